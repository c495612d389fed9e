// Instance: one process of the simulation: a TieredCache, its L2, two client connections, and the
// judgement of whatever it says.
//
// A client's commands follow docs/decisions/0004-order-within-a-connection.md: a read whose lane
// has an unanswered write of the same connection goes down the lane behind it, and what would have
// to wait is not sent at all.
//
// Threads:   one owner. The first client lives on the lanes' loop, the second on another.
// Lifetime:  world and judge outlive it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/sim/simulated_backend.h"
#include "core/tier/sim/simulation.h"
#include "core/tier/sim/world.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::sim {

/// What the schedule wants to hear.
class Judge {
 public:
  virtual ~Judge() = default;
  virtual void violate(int invariant, const std::string& what) = 0;
  virtual void revoke(std::size_t key, int place) = 0;
  /// The place of the last strict delete that has returned.
  [[nodiscard]] virtual int revoked(std::size_t key) const noexcept = 0;
  virtual Coverage& coverage() noexcept = 0;
  virtual void say(const std::string& what) = 0;
  [[nodiscard]] virtual bool tracing() const noexcept = 0;
};

class Instance {
 public:
  /// What this schedule's instances have beside their lanes.
  struct Means {
    bool outside = false;    // a way outside the lanes
    bool hints = false;      // they hear of each other
    bool announced = false;  // the store tells nothing: instances tell each other
    bool degraded = false;   // a breaker, and what L1 had is served while it is not closed
    bool audited = false;    // every hit is compared with L2
  };
  Instance(World& world, Judge& judge, const std::vector<ModelRedis::Name>& keys,
           std::string_view map, const Means& means);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // What a client sends; nothing if it would have to wait.
  void read(std::size_t session, std::size_t key, TimePoint deadline);
  void write(std::size_t session, std::size_t key, Version version, TimePoint deadline);
  void remove(std::size_t session, std::size_t key, Version version, TimePoint deadline,
              bool strictly);
  /// A command that only reads, and that the tier knows nothing of.
  void look_at(std::size_t session, std::size_t key, TimePoint deadline);
  void touch(std::size_t session, std::size_t key, TimePoint deadline);
  void write_both(std::size_t session, Version first, Version second, TimePoint deadline);
  void flush(std::size_t session, Version first, Version second, TimePoint deadline);

  /// Clients that read all the time, so that the lane is kept warm.
  void look();
  /// The auditor's turn.
  void audit() { cache_->audit(world_.now); }
  /// L2 is asked whether it is back.
  void probe() { cache_->probe(); }
  /// What a lost lane has disowned is read again.
  void refill() { cache_->refill(); }
  [[nodiscard]] std::uint64_t agreed() const {
    return cache_->auditor().ended(audit::Outcome::agreed);
  }
  /// Judges what L1 would serve up to, but not including, `until`.
  void judge_served(TimePoint until);
  /// One more read of every key, when nothing else happens.
  void ask_everything();
  void judge_rest();

  [[nodiscard]] std::uint64_t questions() const noexcept { return questions_; }
  [[nodiscard]] bool quiet() const noexcept {
    return unanswered_ == 0 && backend_->quiet() && asks_l2();
  }
  [[nodiscard]] SimulatedBackend& backend() noexcept { return *backend_; }
  [[nodiscard]] const SimulatedBackend& backend() const noexcept { return *backend_; }

 private:
  struct Written {
    std::size_t key;
    Version version;
  };
  /// A client's connection: what of it is unanswered.
  struct Session {
    std::uint32_t unanswered = 0;
    std::uint32_t writes = 0;
    std::uint32_t aside = 0;  // what may be sent twice, or has joined a call of somebody else
    bool wide = false;
    std::vector<Written> written = {};  // by unanswered writes, in order
    std::vector<Written> begun = {};    // by all
  };
  /// A read behind an unanswered write of its own connection, and its answer.
  struct Follower {
    Written behind;
    Version shown;
    TimePoint asked;
    TimePoint answered;
  };
  struct Question {
    std::size_t session;
    std::size_t key;
    TimePoint asked;
    int floor;
    int own_floor;  // revocations, which are not offered where anything is served stale, left out
    std::optional<Written> behind;
    std::size_t begun;  // writes of its connection
    bool aside;
    bool last;  // asked when all was quiet
    bool answered = false;
  };

  [[nodiscard]] std::chrono::milliseconds ttl_for(std::size_t key);
  /// Touches answered from L1; false: this one has to be sent.
  bool slide(std::size_t session, std::size_t key, std::chrono::milliseconds ttl);
  [[nodiscard]] const KeyRef& ref(std::size_t key) const noexcept { return refs_[key]; }
  [[nodiscard]] bool may_write(std::size_t session) const noexcept;
  [[nodiscard]] int floor(std::size_t key) const noexcept;
  void ask(std::size_t session, std::size_t key, TimePoint deadline, bool last);
  /// The place of the first write that its connection began after the question, of those that happened.
  [[nodiscard]] int ceiling(const Question& question) const noexcept;
  void take_answer(Question& question, const Result<tier::Lookup>& found);
  void judge_answer(const Question& question, Version shown);
  void judge_stale(const Question& question, Version shown);
  [[nodiscard]] bool asks_l2() const { return cache_->breaker() == guard::Breaker::State::closed; }
  /// What L1 would serve if it looked at less than it does, for mutants; null: nothing.
  [[nodiscard]] const Entry* carelessly_stale(const KeyRef& key) const;
  void take_finding(const audit::Finding& finding);
  void begin_write(std::size_t session, std::initializer_list<Written> written);
  /// `failed`: with what, if it did. `wrote`: it was acknowledged, and wrote.
  void end_write(std::size_t session, std::initializer_list<Written> written,
                 std::optional<Errc> failed, bool wrote);
  /// Runs on the session's loop.
  template <class Work>
  void on_loop(std::size_t session, Work&& work);
  [[nodiscard]] std::string text(const char* what, std::size_t key, Version version) const;

  World& world_;
  Judge& judge_;
  const std::array<KeyRef, kKeys> refs_;
  bool coalesces_ = false;
  Duration max_stale_{};
  l1::L1Map* map_ = nullptr;
  SimulatedBackend* backend_ = nullptr;
  std::unique_ptr<tier::TieredCache> cache_;
  std::array<Session, 2> sessions_;
  std::array<int, kKeys> acknowledged_{};   // places
  std::array<TimePoint, kKeys> unknown_{};  // when a write of unknown outcome was last given up
  std::vector<Version> known_;              // versions of acknowledged writes
  std::vector<Follower> followers_;
  std::uint32_t unanswered_ = 0;
  std::uint64_t questions_ = 0;
};

}  // namespace nearlane::sim
