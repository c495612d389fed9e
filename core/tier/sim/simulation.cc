#include "core/tier/sim/simulation.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/tier/sim/instance.h"
#include "core/tier/sim/simulated_backend.h"
#include "core/tier/sim/world.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t kMaxWrites = 5;  // of one schedule
constexpr std::uint32_t kMaxMishaps = 3;
/// No schedule that comes to rest needs as many.
constexpr std::uint64_t kMaxEvents = 20'000;

class Schedule final : private Judge {
 public:
  Schedule(std::uint64_t seed, const Options& options)
      : options_(options),
        // The second key has the first one's name in another database, or is another name.
        keys_{{0, "a"}, (seed & 1U) == 0 ? ModelRedis::Name{1, "a"} : ModelRedis::Name{0, "b"}},
        world_(seed, keys_, options.mutant,
               options.announced ? ModelRedis::Form::untold : ModelRedis::Form::proper) {
    outside_ = world_.random.once_in(2);
    const bool hints = world_.random.once_in(2) && !options.announced;
    degraded_ = world_.random.once_in(4);
    for (auto& instance : instances_) {
      instance.emplace(world_, static_cast<Judge&>(*this), keys_, options.map,
                       Instance::Means{.outside = outside_ || options.audit,
                                       .hints = hints,
                                       .announced = options.announced,
                                       .degraded = degraded_,
                                       .audited = options.audit});
    }
    hot_ = world_.random.once_in(2);
    tick_at_ = world_.now + world_.random.between(microseconds(1), kLease / 5);
    keys_used_ = world_.random.once_in(2) ? 1 : kKeys;
  }

  Outcome run() {
    operations_ = 6 + world_.random.below(10);
    run_for(milliseconds(3));  // most connections are up by then
    for (std::uint32_t i = 0; i < operations_ && !violation_; ++i) {
      operate();
      const bool long_pause = world_.random.once_in(degraded_ ? 3 : 6);
      run_for(long_pause ? world_.random.between(kLease / 4, kLease * 3 / 2)
                         : world_.random.between(microseconds(1), milliseconds(4)));
    }
    // Long enough for the roles of the store's nodes to be asked for.
    if (world_.random.once_in(128)) run_for(std::chrono::milliseconds(1200));
    if (!violation_) come_to_rest();
    Outcome outcome{.violation = violation_, .digest = world_.digest, .coverage = coverage_};
    outcome.coverage.pushes = world_.redis.pushes();
    outcome.coverage.unasked = unasked();
    outcome.coverage.refills = sum(tier::Count::refills) - refills_before_;
    outcome.coverage.hints = sum(tier::Count::hints_heard) - hints_before_;
    for (auto& instance : instances_) {
      outcome.coverage.losses += instance->backend().losses();
      outcome.coverage.agreed += instance->agreed();
    }
    ended_ = true;
    outcome.trace = std::move(trace_);
    return outcome;
  }

 private:
  /// Ends the schedule.
  void violate(int invariant, const std::string& what) override {
    if (violation_ || ended_ || (options_.only != 0 && invariant != options_.only)) return;
    note([&] { return "violates S" + std::to_string(invariant) + ": " + what; });
    violation_ = Violation{invariant, what};
  }
  Coverage& coverage() noexcept override { return coverage_; }
  void say(const std::string& what) override {
    note([&] { return what; });
  }
  [[nodiscard]] bool tracing() const noexcept override { return options_.trace; }
  /// A strict delete was acknowledged: it returns when a lease has passed.
  void revoke(std::size_t key, int place) override {
    revoking_.push_back({world_.now + kLease, key, place});
  }
  [[nodiscard]] int revoked(std::size_t key) const noexcept override { return revoked_[key]; }

  template <class Text>
  void note(Text&& text) {
    if (!options_.trace) return;
    const auto since =
        (world_.now.time_since_epoch() - std::chrono::seconds(1000)) / microseconds(1);
    trace_ += std::to_string(since) + " us  " + std::forward<Text>(text)() + "\n";
  }

  [[nodiscard]] TimePoint next() const noexcept {
    TimePoint first = std::min(world_.next(), tick_at_);
    for (const auto& instance : instances_) first = std::min(first, instance->backend().next());
    for (const Revoking& revoking : revoking_) first = std::min(first, revoking.returns);
    return first;
  }

  void run_for(Duration length) {
    const TimePoint end = world_.now + length;
    while (!violation_) {
      const TimePoint at = std::max(std::min(next(), end), world_.now);
      for (auto& instance : instances_) instance->judge_served(at);
      world_.now = at;
      if (at == end || violation_) return;
      step();
    }
  }

  void step() {
    if (++coverage_.events > kMaxEvents) return violate(5, "does not come to rest");
    const std::uint64_t arrivals = world_.arrivals;
    world_.advance();
    if (world_.arrivals != arrivals) spring_ambush();
    for (auto& instance : instances_) instance->backend().advance();
    if (tick_at_ <= world_.now) {
      tick_at_ = world_.now + instances_[0]->backend().tick_period();
      for (auto& instance : instances_) {
        if (hot_) instance->look();
        instance->refill();
        instance->probe();
        if (options_.audit) instance->audit();
        instance->backend().tick();
      }
    }
    std::erase_if(revoking_, [&](const Revoking& revoking) {
      if (revoking.returns > world_.now) return false;
      ++coverage_.revocations;
      revoked_[revoking.key] = std::max(revoked_[revoking.key], revoking.place);
      return true;
    });
    flush();
  }

  void flush() {
    for (auto& instance : instances_) instance->backend().flush();
  }

  void operate() {
    Random& random = world_.random;
    Instance& instance = *instances_[random.below(2)];
    const std::size_t session = random.below(2);
    const std::size_t key = random.below(keys_used_);
    switch (random.below(20)) {
      default:
        instance.read(session, key, deadline());
        break;
      case 8:
      case 9:
      case 10:
        if (writes_++ < kMaxWrites) instance.write(session, key, new_version(), deadline());
        break;
      case 11:
        if (writes_++ < kMaxWrites)
          instance.remove(session, key, new_version(), deadline(), random.once_in(2));
        break;
      case 7:
        if (random.once_in(2)) {
          instance.look_at(session, key, deadline());
        } else {
          instance.read(session, key, deadline());
        }
        break;
      case 6:
      case 12:
        instance.touch(session, key, deadline());
        break;
      case 13:
        if (outside_ && writes_++ < kMaxWrites) wide(instance, session);
        break;
      case 14:
      case 15:
      case 16:
        if (options_.announced) {  // whoever writes past the instances is not heard of
          instance.read(session, key, deadline());
          break;
        }
        if (writes_++ >= kMaxWrites) break;
        if (random.once_in(2)) {
          ambush_ = key;
        } else {
          write_directly(key);
        }
        break;
      case 17:
        if (random.once_in(2)) {
          world_.redis.expire_due(world_.now);
        } else {
          world_.redis.forget_tracked(key);
        }
        world_.collect();
        break;
      case 18:
      case 19:
        if (mishaps_++ < kMaxMishaps) mishap(instance);
        break;
    }
    flush();
  }

  TimePoint deadline() {
    if (world_.random.once_in(2)) return world_.now + std::chrono::seconds(10);
    return world_.now + world_.random.between(milliseconds(1), kLease);
  }

  Version new_version() noexcept { return ++versions_; }

  void wide(Instance& instance, std::size_t session) {
    const Version first = new_version();
    const Version second = new_version();
    if (keys_[1].db == 0 && !world_.random.once_in(4))
      return instance.write_both(session, first, second, deadline());
    instance.flush(session, first, second, deadline());
  }

  void write_directly(std::size_t key) {
    const std::string value = std::to_string(new_version());
    (void)new_version();  // FLUSHALL is two writes
    const std::string marker = "#" + value;
    const std::string_view name = keys_[key].name;
    const std::uint32_t db = keys_[key].db;
    const std::string ttl = std::to_string(1 + world_.random.below(100));
    note([&] { return "somebody writes " + value + " to key " + std::to_string(key); });
    switch (world_.random.below(8)) {
      case 0:
        world_.redis.execute(db, {"DEL", name, marker}, world_.now);
        break;
      case 1:
        world_.redis.execute(db, {"SET", name, value, "PX", ttl}, world_.now);
        break;
      case 2:
        world_.redis.execute(db, {"PEXPIRE", name, ttl}, world_.now);
        break;
      case 3:
        if (world_.random.once_in(2)) {
          world_.redis.execute(db, {"FLUSHALL", marker}, world_.now);
          break;
        }
        [[fallthrough]];
      default:
        world_.redis.execute(db, {"SET", name, value}, world_.now);
        break;
    }
    world_.collect();
  }

  /// Somebody who has waited writes in between what an instance sent together.
  void spring_ambush() {
    if (!ambush_ || (!world_.redis.waits_for_more() && !world_.random.once_in(8))) return;
    write_directly(*std::exchange(ambush_, std::nullopt));
  }

  void mishap(Instance& instance) {
    Connection* connection = pick_connection(instance.backend());
    const std::uint32_t which = world_.random.below(degraded_ ? 11 : 8);
    note([&] { return "mishap " + std::to_string(which); });
    if (which > 7) {
      operations_ += 10;  // or there would be nobody left who meets it
      return world_.go_away();
    }
    if (which == 7) {
      if (std::exchange(failed_over_, true)) return;
      ++coverage_.failovers;
      return world_.fail_over();
    }
    if (connection == nullptr) return;
    if (which < 3) {
      world_.stall(*connection);
    } else if (which < 5) {
      world_.cut(*connection);
    } else {
      world_.deafen(*connection);
    }
  }

  Connection* pick_connection(const SimulatedBackend& backend) {
    using Role = SimulatedBackend::Role;
    if (options_.announced && world_.random.once_in(2))
      return backend.connection(world_.random.once_in(3) ? Role::aside : Role::channel);
    return backend.connection(world_.random.once_in(4) ? Role::wide : Role::lane);
  }

  [[nodiscard]] bool quiet() const noexcept {
    if (!world_.quiet() || !revoking_.empty()) return false;
    return std::ranges::all_of(instances_, [](const auto& instance) { return instance->quiet(); });
  }

  /// Nothing more befalls anybody: all that is under way ends, and what L1 then has is the truth.
  void come_to_rest() {
    world_.heal();
    hot_ = false;
    ambush_.reset();
    note([] { return std::string("nothing more happens"); });
    const TimePoint patience = world_.now + std::chrono::seconds(20);
    run_for(kLease * 5 / 4);
    while (!quiet() && !violation_) {
      run_for(milliseconds(5));
      if (world_.now > patience) return violate(5, "somebody waits for ever");
    }
    for (auto& instance : instances_) instance->ask_everything();
    flush();
    while (!quiet() && !violation_) {
      run_for(milliseconds(5));
      if (world_.now > patience) return violate(5, "somebody waits for ever");
    }
    for (auto& instance : instances_) instance->judge_rest();
    std::uint64_t fetches = 0;
    std::uint64_t questions = unasked();
    for (auto& instance : instances_) {
      fetches += instance->backend().fetches();
      questions += instance->questions();
    }
    if (fetches > questions) violate(5, "more fetches than questions");
  }

  static std::uint64_t sum(tier::Count id) { return tier::Counts::sum(id); }
  static std::uint64_t all_unasked() {
    return sum(tier::Count::refreshes) + sum(tier::Count::prefetches) + sum(tier::Count::refills);
  }
  [[nodiscard]] std::uint64_t unasked() const { return all_unasked() - unasked_before_; }

  struct Revoking {
    TimePoint returns;
    std::size_t key;
    int place;
  };

  const Options options_;
  const std::uint64_t unasked_before_ = all_unasked();
  const std::uint64_t refills_before_ = sum(tier::Count::refills);
  const std::uint64_t hints_before_ = sum(tier::Count::hints_heard);
  const std::vector<ModelRedis::Name> keys_;
  Coverage coverage_;
  std::string trace_;
  std::optional<Violation> violation_;
  std::array<int, kKeys> revoked_{};
  std::vector<Revoking> revoking_;
  bool ended_ = false;
  bool outside_ = false;   // commands with several keys or none are sent
  bool hot_ = false;       // clients read all the time
  bool degraded_ = false;  // instances have breakers, and the store is away at times
  bool failed_over_ = false;
  std::uint32_t keys_used_ = kKeys;
  std::optional<std::size_t> ambush_;  // the key
  TimePoint tick_at_{};
  std::uint32_t operations_ = 0;  // of this schedule
  std::uint32_t writes_ = 0;
  std::uint32_t mishaps_ = 0;
  Version versions_ = kNone;
  World world_;
  std::array<std::optional<Instance>, 2> instances_;
};

}  // namespace

Coverage& Coverage::operator+=(const Coverage& other) noexcept {
  served += other.served;
  answers += other.answers;
  acknowledged += other.acknowledged;
  unknown += other.unknown;
  revocations += other.revocations;
  pushes += other.pushes;
  losses += other.losses;
  failovers += other.failovers;
  agreed += other.agreed;
  in_order += other.in_order;
  touched += other.touched;
  coalesced += other.coalesced;
  unasked += other.unasked;
  refills += other.refills;
  hints += other.hints;
  stale += other.stale;
  events += other.events;
  return *this;
}

Outcome simulate(std::uint64_t seed, const Options& options) {
  set_hash_seed(1);
  return Schedule(seed, options).run();
}

}  // namespace nearlane::sim
