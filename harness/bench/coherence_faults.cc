// Scenario kind `coherence_faults`: one fault after the other under full load, every answer checked, and how
// late the latest one was (claim A13 and the promise of docs/coherence.md).
#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "harness/bench/checked_traffic.h"
#include "harness/bench/scenario.h"
#include "harness/check/fleet.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 15s;  // until a fleet is whole again

/// In the order in which they happen.
struct Fault {
  std::string_view id;
  const char* what;
};
constexpr std::array kFaults = {
    Fault{"none", "nothing"},
    Fault{"blackhole_from", "nothing arrives from Redis at one instance"},
    Fault{"blackhole_to", "nothing from one instance arrives at Redis"},
    Fault{"slow", "replies and invalidations 0.4 leases late"},
    Fault{"too_slow", "replies and invalidations 1.6 leases late"},
    Fault{"slow_pushes", "0.8 leases late from the first invalidation on"},
    Fault{"half_open", "connections to nobody"},
    Fault{"killed", "CLIENT KILL of every connection, again and again"},
    Fault{"reset", "connections of one instance reset, again and again"},
    Fault{"stopped", "Redis stopped (SIGSTOP)"},
    Fault{"instance_killed", "an instance killed and started again"},
    Fault{"restarted", "Redis killed and started again, empty"},
    Fault{"failover", "failover to the replica, connections ended"},
    Fault{"failover_open", "failover back, connections to the old primary left open"}};
bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

constexpr std::string_view kNoFault = kFaults.front().id;

struct Plan {
  std::string coherence;
  std::vector<std::string> faults;
  Duration lease{};
  std::uint64_t keys = 0;
  Duration fault_for{};
  Duration recover_for{};
};

class Faults {
 public:
  Faults(const Plan& plan, Bench& bench, Fleet& fleet, RedisServer& replica)
      : plan_(plan),
        bench_(bench),
        fleet_(fleet),
        replica_(replica),
        fault_for_(Duration(
            static_cast<std::int64_t>(static_cast<double>(plan.fault_for.count()) * bench.scale))) {
  }

  /// One a fault, and the control.
  static std::uint64_t steps(const Plan& plan) { return plan.faults.size() + 1; }

  Result<void> run() {
    const auto happens = what_happens();
    TrafficOptions watched = options();
    watched.observe = [this](TimePoint sent, Duration took, bool failed) {
      const std::lock_guard lock(over_time_mutex_);
      failed ? over_time_.failed(sent) : over_time_.answered(sent, took);
    };
    Traffic traffic(std::move(watched), history_);
    traffic.start();
    traffic_ = &traffic;
    for (std::size_t i = 0; i < kFaults.size(); ++i) {
      if (!holds(plan_.faults, kFaults[i].id)) continue;
      if (const auto done = fault(kFaults[i], happens[i]); !done) {
        bench_.result.failures.push_back(fmt::format("{}: {}", kFaults[i].id, done.error().detail));
      }
      bench_.meter.advance();
    }
    traffic.stop();
    const auto settled = traffic.settle();
    if (!settled) return settled.error();
    bench_.result.measure(settled_measure("settled", kProcesses, *settled));
    fail_on_differences("after all faults", *settled, bench_.result);
    fail_on_violations("after quiescence", history_.take_report(), bench_.result);
    bench_.result.measure(closed_loop_over_time("all clients, from the first fault to the last",
                                                kProcesses, over_time_));
    if (const auto done = control(); !done) return done.error();
    bench_.meter.advance();
    add_tables();
    return {};
  }

 private:
  static constexpr std::size_t kProcesses = 5;  // two instances, two Redis servers, the clients
  using Happens = std::function<Result<void>()>;

  /// Of each fault, until it has ended.
  std::array<Happens, kFaults.size()> what_happens() {
    const Duration lease = plan_.lease;
    FaultProxy& bad = fleet_.proxies[0];
    const auto network = [this, &bad](std::function<void()> begin) -> Happens {
      return [this, &bad, begin = std::move(begin)]() -> Result<void> {
        begin();
        wait(fault_for_);
        bad.heal();
        return {};
      };
    };
    const auto repeated = [this](Happens once) -> Happens {
      return [this, once = std::move(once)]() -> Result<void> {
        for (const TimePoint end = Clock::now() + fault_for_; Clock::now() < end;) {
          if (const auto done = once(); !done) return done.error();
          wait(150ms);
        }
        return {};
      };
    };
    return {
        network([] {}),
        network([&bad] { bad.hold(Way::to_client, true); }),
        network([&bad] { bad.hold(Way::to_server, true); }),
        network([&bad, lease] { bad.delay(Way::to_client, lease * 2 / 5); }),
        network([&bad, lease] { bad.delay(Way::to_client, lease * 8 / 5); }),
        network([&bad, lease] { bad.delay_pushes(lease * 4 / 5); }),
        [this, &bad]() -> Result<void> {
          bad.strand();
          wait(fault_for_);
          bad.cut();
          return {};
        },
        repeated([this] {
          return direct(fleet_.redis, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
        }),
        repeated([&bad]() -> Result<void> {
          bad.cut();
          return {};
        }),
        [this]() -> Result<void> {
          if (const auto stalled = fleet_.redis.stall(); !stalled) return stalled.error();
          wait(fault_for_);
          return fleet_.redis.resume();
        },
        [this]() -> Result<void> {
          fleet_.instances[1].kill();
          wait(fault_for_ / 2);
          return fleet_.instances[1].restart();
        },
        [this]() -> Result<void> {
          history_.begin_flush(Clock::now());
          fleet_.redis.kill();
          wait(fault_for_ / 4);
          auto started = fleet_.redis.restart();
          history_.end_flush(Clock::now());
          return started;
        },
        [this] { return fail_over(fleet_.redis, replica_, true); },
        [this] { return fail_over(replica_, fleet_.redis, false); },
    };
  }

  [[nodiscard]] TrafficOptions options() const {
    TrafficOptions all = watched_traffic(fleet_.doors());
    all.keys = plan_.keys;
    all.seed = bench_.seed;
    return all;
  }

  static void wait(Duration duration) { std::this_thread::sleep_for(duration); }

  static Result<void> direct(const RedisServer& server,
                             std::initializer_list<std::string_view> command) {
    const auto reply = server.client().command(command);
    if (!reply) return reply.error();
    if (reply->is_error()) return Error{Errc::l2_error, reply->text};
    return {};
  }

  /// One row: the fault, then recovery, both under load and judged together.
  Result<void> fault(const Fault& which, const Happens& happen) {
    bench_.meter.phase(which.what);
    const std::string id(which.id);
    const auto before = traffic_->counts();
    const TimePoint begin = Clock::now();
    auto done = happen();
    if (which.id != kNoFault) {
      const std::lock_guard lock(over_time_mutex_);
      over_time_.fault(id, begin, Clock::now());
    }
    if (done) done = fleet_.ready_within(kPatience);
    wait(plan_.recover_for);
    const auto report = history_.take_report();
    bench_.result.measure(checked_measure(id, which.what, kProcesses, traffic_->counts() - before,
                                          report, Clock::now() - begin));
    fail_on_violations(id, report, bench_.result);
    return done;
  }

  /// Planned, so that nothing acknowledged is lost: Redis itself waits for the replica and swaps roles.
  Result<void> fail_over(const RedisServer& from, const RedisServer& to, bool end_connections) {
    const auto& target = to.endpoint();
    if (const auto ready = followed(from); !ready) return ready.error();
    if (const auto begun =
            direct(from, {"FAILOVER", "TO", target.host, std::to_string(target.port)});
        !begun) {
      return begun.error();
    }
    auto client = to.client();
    const TimePoint patience = Clock::now() + kPatience;
    for (auto role = client.info("replication", "role"); !role || *role != "master";
         role = client.info("replication", "role")) {
      if (Clock::now() > patience) return Error{Errc::timeout, "the replica was not promoted"};
    }
    traffic_->turn_store_to(target);
    for (FaultProxy& proxy : fleet_.proxies) {
      proxy.retarget(target);
      if (end_connections) proxy.cut();
    }
    // An instance that nobody tells asks for its primary's role once a second.
    wait(std::max<Duration>(fault_for_, 1200ms));
    return {};
  }

  /// Waits until the primary itself says that its replica follows.
  static Result<void> followed(const RedisServer& primary) {
    const TimePoint patience = Clock::now() + kPatience;
    auto client = primary.client();
    for (auto replica = client.info("replication", "slave0");
         !replica || replica->find("state=online") == std::string::npos;
         replica = client.info("replication", "slave0")) {
      if (Clock::now() > patience) {
        return Error{Errc::timeout, primary.endpoint().to_string() + " has no replica"};
      }
      wait(10ms);
    }
    return {};
  }

  /// What a broken store would do, to show that it would be noticed.
  Result<void> control() {
    bench_.meter.phase("invalidations left out");
    if (const auto flushed = direct(fleet_.redis, {"FLUSHALL"}); !flushed) return flushed.error();
    History history({.bound = plan_.lease, .kept_violations = 1});
    Traffic traffic(options(), history);
    const TimePoint begin = Clock::now();
    traffic.start();
    fleet_.proxies[0].drop_pushes(true);
    wait(plan_.lease * 4 + fault_for_);
    traffic.stop();
    const Duration lasted = Clock::now() - begin;
    const auto settled = traffic.settle();
    if (!settled) return settled.error();
    const auto report = history.take_report();
    bench_.result.measure(checked_measure("control", "invalidations left out", kProcesses,
                                          traffic.counts(), report, lasted));
    bench_.result.measure(settled_measure("control/settled", kProcesses, *settled));
    if (report.stale == 0 || settled->different == 0) {
      bench_.result.failures.emplace_back(
          "the checker did not notice that invalidations were left out");
    }
    return {};
  }

  void add_tables() {
    Table table;
    table.title =
        fmt::format("One fault after the other: how late the latest answer was (allowed: {} ms)",
                    std::chrono::duration_cast<std::chrono::milliseconds>(plan_.lease).count());
    table.columns = {"fault",           "reads",        "late reads",
                     "the latest by",   "not allowed",  "requests that failed",
                     "reads abandoned", "with recovery"};
    const auto row = [&](const std::string& id, const std::string& what) {
      table.rows.push_back({{Cell::of(what)},
                            {Cell::of(id, "reads_count")},
                            {Cell::of(id, "late_count")},
                            {Cell::of(id, "latest_ns")},
                            {Cell::of(id, "violations_count")},
                            {Cell::of(id, "failed_count")},
                            {Cell::of(id, "abandoned_count")},
                            {Cell::of(id, "lasted_ns")}});
    };
    for (const auto& measure : bench_.result.measures) {
      if (std::ranges::find(kFaults, std::string_view(measure.id), &Fault::id) != kFaults.end())
        row(measure.id, measure.what);
    }
    row("control", "for comparison, a broken store: replies arrive, invalidations do not");
    bench_.result.tables.push_back(std::move(table));

    Table settled;
    settled.title = "After quiescence: every key at every door, against Redis";
    settled.columns = {"after", "answers", "of those over HTTP from L1", "stale for ever"};
    for (const auto& [id, what] : {std::pair{"settled", "all faults"},
                                   std::pair{"control/settled", "invalidations left out"}}) {
      settled.rows.push_back({{Cell::of(what)},
                              {Cell::of(id, "compared_count")},
                              {Cell::of(id, "from_l1_count")},
                              {Cell::of(id, "different_count")}});
    }
    bench_.result.tables.push_back(std::move(settled));
    bench_.result.notes.emplace_back(
        "A read is late when it was sent after somebody had been told that a newer write had "
        "happened. "
        "Requests may fail under a fault; what is answered must be allowed.");
    bench_.result.notes.emplace_back(
        "Network faults are one instance's; the other instance and the direct writer go on "
        "writing. The "
        "failovers are planned ones: an unplanned one may lose acknowledged writes, which is "
        "Redis's.");
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  RedisServer& replica_;
  const Duration fault_for_;
  History history_{{.bound = plan_.lease}};
  Traffic* traffic_ = nullptr;
  std::mutex over_time_mutex_;  // clients have threads of their own
  TimeSeriesRecorder over_time_{Clock::now()};
};

}  // namespace

Body read_coherence_faults(Section& file) {
  Plan plan;
  auto size = file.section("fleet");
  plan.lease = size.duration("lease", 250ms, 10ms, 10s);
  plan.coherence = size.choice("coherence", "lanes", {"lanes", "none"});
  auto traffic = file.section("traffic");
  plan.keys = static_cast<std::uint64_t>(traffic.integer("keys", 500, 1, 1'000'000));
  plan.fault_for = traffic.duration("fault_for", 1s, 100ms, 1h);
  plan.recover_for = traffic.duration("recover_for", 300ms, 10ms, 1h);
  std::vector<std::string> all;
  all.reserve(kFaults.size());
  for (const Fault& fault : kFaults) all.emplace_back(fault.id);
  plan.faults = traffic.some_of("faults", all);
  const auto has = [&](std::string_view id) { return holds(plan.faults, id); };
  if (has("failover_open") && !has("failover"))
    traffic.problem("faults", "must have failover before failover_open, which goes back");
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, Faults::steps(plan));
    bench.meter.phase("starting Redis, its replica and instances");
    // A replica is sent its copy at once, not after the pause in which others might join it.
    auto fleet = Fleet::start({.instances = 2,
                               .lease = plan.lease,
                               .flags = {"--coherence", plan.coherence},
                               .redis = {"--repl-diskless-sync-delay", "0"}});
    if (!fleet) return fleet.error();
    const auto& primary = fleet->redis.endpoint();
    auto replica =
        RedisServer::start({.config = {"--replicaof", primary.host, std::to_string(primary.port)}});
    if (!replica) return replica.error();
    return Faults(plan, bench, *fleet, *replica).run();
  };
}

}  // namespace nearlane::harness
