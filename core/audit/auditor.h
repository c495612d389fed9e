// Auditor: compares a few of the entries that L1 served with what L2 says, and gives its verdict on those that
// differ. A state machine without I/O: the tier tells it of hits, carries its questions and shows it L1.
//
// A hit of a sampled key is an observation: the entry is pinned, and L2 is asked over an untracked connection.
// That L2 answers otherwise proves nothing yet, because what L1 serves may be a lease old:
//
//   f         t0       x1    r1              r1 + lease            x2
//   |─────────|────────|─────|───────────────|─────────────────────|──►
//   L2 gave   a hit    L2    its answer      L1 still has the      L2 executes a second question,
//   the entry          executes the          same entry, and the   asked on the key's own lane;
//   its value          question              lane vouches for it   L1 still has it when that settles
//
// 1. The entry was in L1 at t0, so f < t0 < x1: if L2 has something else at x1, it was changed in between.
// 2. The pin keeps the address from being used again, so it is the same fill at every look, not another one of the
//    same value.
// 3. Whatever is vouched for at T > r1 + lease rests on a reply to a command sent after T - lease > r1 > x1. The
//    push of the change came before that reply, on the same connection, so the entry should be gone. L1 is looked
//    at after the lease was read, never before: otherwise the push and the reply could come in between.
// 4. The untracked connection may lead to another node (a primary that was deposed, a replica that nobody has
//    noticed), and then 1 and 3 speak of two stores. So the last word has the lane itself: a read in its order,
//    that registers nothing. When it settles, all pushes before it have been applied. If L2 says something else
//    there and the entry is still in L1, under the lane's epoch, then a change was not announced. That alone is a
//    verdict against L1; without it there is none.
//
// After a verdict the entry is evicted, and the key looked at again, always by 4., at the ages that are left.
// An entry that leaves L1 at any point before is in order: in_flight, if it had left when L2's answer came;
// late, if at a later look. While the lease has run out L1 serves nothing, so the look is put off to the next age.
//
// Only a window of the value is compared, another one each time, so that no question moves more than kWindow.
//
// Units:     time on the monotonic clock, bytes.
// Errors:    a question that L2 did not answer ends the audit, or puts it off to the next age.
// Threads:   any; observe() never waits for another.
// Lifetime:  an audit holds a pin for a minute at most; stop the tier before it dies.
// Cost:      a hit of a key that is not sampled: one test of bits of its hash. Of one that is, with nothing to spend:
//            one load more. An audit: a pin, and one or two questions.
// Source:    docs/coherence.md; "Cache made consistent", Engineering at Meta, 2022 (ages of a verdict).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/entry/entry.h"

namespace nearlane::audit {

enum class Verdict : std::uint8_t {
  // In order: L1 may be a lease behind.
  in_flight,  // L1 had dropped the entry when L2's answer came
  late,       // or at a later look
  // Not in order.
  stale,     // another value in L2
  zombie,    // nothing in L2
  ghost,     // L1 says there is no such key, L2 has it
  ttl_skew,  // L1 would keep it kTtlSkew longer than L2, or more
  split,  // L2 said so over the untracked connection only: two nodes, or changed to and fro unannounced
  count,
};
/// How long after the first differing answer.
enum class Age : std::uint8_t { at_once, lease, s1, s10, s60, count };
/// How an audit ended.
enum class Outcome : std::uint8_t {
  agreed,
  differed,   // with one verdict or more
  left,       // the entry left L1 before L2 was asked
  failed,     // L2 did not answer
  undecided,  // it differed, and the lane did not vouch for it at any of the ages
  count,
};
[[nodiscard]] std::string_view name_of(Verdict verdict) noexcept;
[[nodiscard]] std::string_view name_of(Age age) noexcept;
[[nodiscard]] std::string_view name_of(Outcome outcome) noexcept;
[[nodiscard]] constexpr bool in_order(Verdict verdict) noexcept { return verdict <= Verdict::late; }

/// Whether a verdict is ever given at that age.
[[nodiscard]] constexpr bool possible(Verdict verdict, Age age) noexcept {
  return (verdict == Verdict::in_flight) == (age == Age::at_once);
}

/// Below this two deadlines are the same: L2 counts milliseconds, by a clock that it reads now and then.
inline constexpr Duration kTtlSkew = std::chrono::milliseconds(100);
/// Of a value, what one question moves at most. Unit: bytes.
inline constexpr std::size_t kWindow = std::size_t{16} << 10U;

struct AuditConfig {
  unsigned one_in = 1024;          // a key in so many is sampled: a power of two
  unsigned hits_per_audit = 1000;  // no more than one audit for so many hits
  unsigned rate = 100;             // audits a second at most; 0: none
  std::size_t max_under_way = 64;
  std::size_t max_pinned = std::size_t{64} << 20U;  // bytes of entries under way
  Duration lease{};
};

/// What L1 has under a key.
struct Present {
  /// lapsed: of the lane's epoch and before its deadline, but the lease has run out; gone: not even that.
  enum class Standing : std::uint8_t { gone, lapsed, vouched };
  EntryPtr entry = {};
  Standing standing = Standing::gone;
};

/// A part of a value.
struct Window {
  std::size_t from = 0;
  [[nodiscard]] std::string_view of(std::string_view value) const noexcept {
    return value.substr(std::min(from, value.size()), kWindow);
  }
};

struct Question {
  std::uint64_t id = 0;
  EntryPtr entry = {};
  Window window = {};
  bool on_lane = false;  // else over an untracked connection
};

/// What L2 said of a question's key.
struct L2Answer {
  bool known = false;  // false: it did not answer
  bool exists = false;
  bool same = false;             // the window of its value
  TimePoint ends_by = kForever;  // at the latest
};

/// A verdict.
struct Finding {
  Verdict verdict = Verdict::in_flight;
  Age age = Age::at_once;
  std::uint32_t db = 0;
  std::uint64_t hash = 0;  // of the key
  /// L1 is to forget the key.
  [[nodiscard]] bool repair() const noexcept { return !in_order(verdict); }
};

/// What an entry and an answer are to each other; nothing: they agree.
[[nodiscard]] std::optional<Verdict> compare(const Entry& entry, const L2Answer& answer) noexcept;

class Auditor {
 public:
  /// What L1 has under a key now: the lease is to be read before L1 is looked at. May pin.
  using Peek = std::function<Present(const KeyRef&)>;

  explicit Auditor(const AuditConfig& config);

  /// Whether hits of the key are observed. The bits are neither those that choose the lane nor the lowest.
  [[nodiscard]] bool sampled(std::uint64_t hash) const noexcept { return (hash & mask_) == 0; }
  /// A hit of a sampled key, at `now` or later. The entry is alive.
  void observe(const Entry& entry, std::uint64_t hash, TimePoint now) noexcept {
    if (allowance_.load(std::memory_order_relaxed) != 0) take_up(entry, hash, now);
  }

  /// Turns hits since the last call into audits that may be made.
  void earn(std::uint64_t hits, TimePoint now);
  /// What to ask L2 now.
  [[nodiscard]] std::vector<Question> due(TimePoint now, const Peek& peek);
  /// What L2 said, and what L1 has under the key: of a question on the lane at its place in the lane's order.
  [[nodiscard]] std::optional<Finding> answered(std::uint64_t id, const L2Answer& answer,
                                                const Present& present, TimePoint now);
  /// Ends all audits.
  void stop() noexcept;

  [[nodiscard]] std::size_t under_way() const;
  [[nodiscard]] std::uint64_t ended(Outcome outcome) const;
  [[nodiscard]] std::uint64_t found(Verdict verdict, Age age) const;

 private:
  struct Audit {
    enum class Stage : std::uint8_t { observed, asked, waiting, asked_on_lane };
    std::uint64_t id = 0;
    Key key;
    EntryPtr entry;  // null: it was evicted, whatever comes next is looked at
    Window window = {};
    Stage stage = Stage::observed;
    Verdict suspected = Verdict::stale;
    bool judged = false;      // a verdict was given
    std::size_t next = 0;     // of the ages
    TimePoint differed_at{};  // r1
    std::size_t charge = 0;
  };
  using Audits = std::list<Audit>;

  void take_up(const Entry& entry, std::uint64_t hash, TimePoint now) noexcept;
  Question ask(Audit& audit, bool on_lane, TimePoint now) const;
  bool look(Audits::iterator audit, const Present& present);
  Finding find(Audit& audit, Verdict verdict, Age age);
  void put_off(Audits::iterator audit);
  void end(Audits::iterator audit, Outcome outcome);
  [[nodiscard]] TimePoint next_look(const Audit& audit) const noexcept;
  [[nodiscard]] Age age_of(const Audit& audit) const noexcept;
  void set_allowance() noexcept;

  const AuditConfig config_;
  const std::uint64_t mask_;
  std::atomic<unsigned> allowance_{0};  // audits that may be taken up

  mutable std::mutex mutex_;  // of all below
  Audits audits_;
  std::uint64_t last_id_ = 0;
  std::size_t pinned_ = 0;
  std::uint64_t hits_ = 0;  // not yet spent
  double tokens_ = 0;       // of the rate
  TimePoint earned_at_ = TimePoint::min();
  std::array<std::uint64_t, static_cast<std::size_t>(Outcome::count)> ended_{};
  std::array<std::array<std::uint64_t, static_cast<std::size_t>(Age::count)>,
             static_cast<std::size_t>(Verdict::count)>
      found_{};
};

}  // namespace nearlane::audit
