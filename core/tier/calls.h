// The tier's calls to L2: what each command, once answered, does to L1 and tells its asker.
//
// settle() is in the key's order and does what the install rules say; complete() answers
// (core/cohere/call.h). Those that may install carry a flight, which whoever submits them registers first.
//
// Threads:   the carrier's.
// Lifetime:  the tier outlives them, and so do the rules, which are its own.
// Source:    docs/decisions/0003-settle-then-complete.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/cohere/call.h"
#include "core/tier/tiered_cache_impl.h"

namespace nearlane::tier {

/// It was answered that it cannot be served now: L2 loads its data, or has no master.
[[nodiscard]] bool says_away(const cohere::Answer& answer) noexcept;

/// A call on somebody's behalf, which the breaker may refuse and learns from.
class Guarded : public cohere::Call {
 public:
  Guarded(TieredCache::Impl& tier, cohere::Command what) : Call(std::move(what)), tier_(tier) {}

  void complete(cohere::Answer answer) noexcept final {
    if (on_behalf) tier_.note_outcome(command, answer);
    tier_.note_size(command, answer);
    finish(std::move(answer));
  }
  /// Somebody waits for it. What nobody asked for closes L2 to nobody: its time is not theirs.
  bool on_behalf = true;

  /// It was not sent, and will not be.
  void refuse(const Error& why) noexcept {
    const cohere::Answer answer = cohere::Answer::failed(why.code, why.detail);
    settle(answer);
    finish(answer);
  }

 protected:
  /// Answers whoever asked.
  virtual void finish(cohere::Answer answer) noexcept = 0;

  TieredCache::Impl& tier_;
};

/// GET from L2: installs, and answers all who joined.
class Fetch final : public Guarded {
 public:
  Fetch(TieredCache::Impl& tier, const KeyRules& rules, Key key, TimePoint deadline, bool with_type)
      : Guarded(tier, what(rules, std::move(key), deadline, with_type)),
        flight(command.key),
        rules_(rules) {
    flight.whole = with_type;
  }

  void settle(const cohere::Answer& answer) noexcept override;

  Flights::Flight flight;
  std::vector<TieredCache::GetHandler> waiters;  // those who did not join by way of the flight
  /// What the entry begins with: over 0 for a fetch that nobody asked for.
  std::uint8_t unused = 0;
  std::optional<Unasked> unasked = {};  // why, of such a one
  bool may_be_stale = true;             // whoever waits would rather have that than an error

 private:
  static cohere::Command what(const KeyRules& rules, Key key, TimePoint deadline, bool with_type);
  void finish(cohere::Answer answer) noexcept override;

  const KeyRules& rules_;
  EntryPtr entry_;
  bool installed_ = false;
};

/// Says when a lane has answered, and so whatever L2 had announced before.
class Confirm final : public Guarded {
 public:
  Confirm(TieredCache::Impl& tier, cohere::Command what,
          std::function<void(std::optional<Error>)> done)
      : Guarded(tier, std::move(what)), done_(std::move(done)) {}
  void settle(const cohere::Answer&) noexcept override {}

 private:
  void finish(cohere::Answer answer) noexcept override;

  std::function<void(std::optional<Error>)> done_;
};

/// Renews a lane's lapsed lease: all who joined look again.
class Renewal final : public Guarded {
 public:
  Renewal(TieredCache::Impl& tier, std::size_t lane, TimePoint deadline)
      : Guarded(
            tier,
            {.op = cohere::Op::confirm, .key = lane_key(lane), .lane = lane, .deadline = deadline}),
        flight(command.key) {}

  /// Renewals of one lane are one flight.
  static Key lane_key(std::size_t lane) {
    Key key(0, std::string());
    key.hash = lane;
    return key;
  }

  void settle(const cohere::Answer& answer) noexcept override;

  Renewals::Flight flight;

 private:
  void finish(cohere::Answer answer) noexcept override;

  std::vector<Renewals::Waiter> waiters_;
};

/// SET whose value we know: L1 takes it when L2 has written it and will announce the next change.
class Store final : public Guarded {
 public:
  Store(TieredCache::Impl& tier, const KeyRules& rules, cohere::Command what,
        TieredCache::SetHandler done)
      : Guarded(tier, std::move(what)),
        flight(command.key),
        rules_(rules),
        done_(std::move(done)) {}

  void settle(const cohere::Answer& answer) noexcept override;

  Flights::Flight flight;
  bool asks_forms = false;
  bool new_here = false;  // L1 knew nothing of the key, so the others are told of it

 private:
  void finish(cohere::Answer answer) noexcept override;

  const KeyRules& rules_;
  TieredCache::SetHandler done_;
  bool installed_ = false;
};

/// A write that depends on the value. L2 and the lanes take it for somebody else's, so what is under way for the key
/// may be older: L1 forgets it before the answer is released.
class Compare final : public Guarded {
 public:
  Compare(TieredCache::Impl& tier, cohere::Command what, TieredCache::CompareHandler done)
      : Guarded(tier, std::move(what)), done_(std::move(done)) {}
  void settle(const cohere::Answer& answer) noexcept override;

 private:
  void finish(cohere::Answer answer) noexcept override;

  TieredCache::CompareHandler done_;
};

/// EXPIRE and its kin: L1 keeps its copy and moves the deadline.
class Touch final : public Guarded {
 public:
  Touch(TieredCache::Impl& tier, const KeyRules& rules, cohere::Command what)
      : Guarded(tier, std::move(what)), flight(command.key), rules_(rules) {}

  /// Touches of one key to one time are one flight among slides, but for those that touch what is said of its type, too.
  static Key slide_key(const KeyRef& key, std::chrono::milliseconds ttl, bool with_type) {
    Key joint(key);
    joint.hash ^= static_cast<std::uint64_t>(ttl.count()) * 0x9E37'79B9'7F4A'7C15U;
    if (with_type) joint.hash = ~joint.hash;
    return joint;
  }
  Slides::Flight& slide(Key joint) {
    joint_.emplace(std::move(joint));
    return slide_.emplace(*joint_);
  }

  void settle(const cohere::Answer& answer) noexcept override;

  Flights::Flight flight;
  std::vector<TieredCache::ReplyHandler> waiters;  // those who did not join by way of the slide

 private:
  void finish(cohere::Answer answer) noexcept override;

  const KeyRules& rules_;
  std::optional<Key> joint_;
  std::optional<Slides::Flight> slide_;
};

/// Tells the other instances what was written by a way of its own.
class Announce final : public cohere::Call {
 public:
  Announce(cohere::Command what, std::function<void(std::optional<Error>)> done)
      : Call(std::move(what)), done_(std::move(done)) {}
  void settle(const cohere::Answer&) noexcept override {}
  void complete(cohere::Answer answer) noexcept override;

 private:
  std::function<void(std::optional<Error>)> done_;
};

/// Any other command; if it writes, L1 forgets its keys before it is sent and again when it has
/// settled.
class Raw final : public Guarded {
 public:
  Raw(TieredCache::Impl& tier, cohere::Command what, std::vector<Key> written,
      TieredCache::ReplyHandler done)
      : Guarded(tier, std::move(what)), written_(std::move(written)), done_(std::move(done)) {}

  void settle(const cohere::Answer& answer) noexcept override;
  void forget_all() noexcept;

 private:
  void finish(cohere::Answer answer) noexcept override;
  static void answer_with(cohere::Answer answer, const TieredCache::ReplyHandler& done);

  std::vector<Key> written_;
  TieredCache::ReplyHandler done_;
};

}  // namespace nearlane::tier
