// Scenario kind `coherence_faults`: one fault after the other under full load, every answer checked, and how
// late the latest one was (claim A13 and the promise of docs/coherence.md).
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "harness/bench/checked_traffic.h"
#include "harness/bench/scenario.h"
#include "harness/check/fleet.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 15s;  // until a fleet is whole again

struct Plan {
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

  static constexpr std::uint64_t kSteps = 15;

  Result<void> run() {
    const Duration lease = plan_.lease;
    FaultProxy& bad = fleet_.proxies[0];
    Traffic traffic(options(), history_);
    traffic.start();
    traffic_ = &traffic;
    const auto network = [&](const char* id, const char* what, const std::function<void()>& begin) {
      return fault(id, what, [&]() -> Result<void> {
        begin();
        wait(fault_for_);
        bad.heal();
        return {};
      });
    };
    const auto repeated = [&](const char* id, const char* what,
                              const std::function<Result<void>()>& once) {
      return fault(id, what, [&]() -> Result<void> {
        for (const TimePoint end = Clock::now() + fault_for_; Clock::now() < end;) {
          if (const auto done = once(); !done) return done.error();
          wait(150ms);
        }
        return {};
      });
    };
    using Step = std::function<Result<void>()>;
    const Step steps[] = {
        [&] { return network("none", "nothing", [] {}); },
        [&] {
          return network("blackhole_from", "nothing arrives from Redis at one instance",
                         [&] { bad.hold(Way::to_client, true); });
        },
        [&] {
          return network("blackhole_to", "nothing from one instance arrives at Redis",
                         [&] { bad.hold(Way::to_server, true); });
        },
        [&] {
          return network("slow", "replies and invalidations 0.4 leases late",
                         [&] { bad.delay(Way::to_client, lease * 2 / 5); });
        },
        [&] {
          return network("too_slow", "replies and invalidations 1.6 leases late",
                         [&] { bad.delay(Way::to_client, lease * 8 / 5); });
        },
        [&] {
          return network("slow_pushes", "0.8 leases late from the first invalidation on",
                         [&] { bad.delay_pushes(lease * 4 / 5); });
        },
        [&] {
          return fault("half_open", "connections to nobody", [&]() -> Result<void> {
            bad.strand();
            wait(fault_for_);
            bad.cut();
            return {};
          });
        },
        [&] {
          return repeated("killed", "CLIENT KILL of every connection, again and again", [&] {
            return direct(fleet_.redis, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
          });
        },
        [&] {
          return repeated("reset", "connections of one instance reset, again and again",
                          [&]() -> Result<void> {
                            bad.cut();
                            return {};
                          });
        },
        [&] {
          return fault("stopped", "Redis stopped (SIGSTOP)", [&]() -> Result<void> {
            if (const auto stalled = fleet_.redis.stall(); !stalled) return stalled.error();
            wait(fault_for_);
            return fleet_.redis.resume();
          });
        },
        [&] {
          return fault("instance_killed", "an instance killed and started again",
                       [&]() -> Result<void> {
                         fleet_.instances[1].kill();
                         wait(fault_for_ / 2);
                         return fleet_.instances[1].restart();
                       });
        },
        [&] {
          return fault("restarted", "Redis killed and started again, empty", [&]() -> Result<void> {
            history_.begin_flush(Clock::now());
            fleet_.redis.kill();
            wait(fault_for_ / 4);
            auto started = fleet_.redis.restart();
            history_.end_flush(Clock::now());
            return started;
          });
        },
        [&] {
          return fault("failover", "failover to the replica, connections ended",
                       [&] { return fail_over(fleet_.redis, replica_, true); });
        },
        [&] {
          return fault("failover_open", "failover back, connections to the old primary left open",
                       [&] { return fail_over(replica_, fleet_.redis, false); });
        },
    };
    for (const auto& step : steps) {
      if (const auto done = step(); !done) {
        bench_.result.failures.push_back(
            fmt::format("{}: {}", rows_.empty() ? "start" : rows_.back(), done.error().detail));
      }
      bench_.meter.advance();
    }
    traffic.stop();
    const auto settled = traffic.settle();
    if (!settled) return settled.error();
    bench_.result.measure(settled_measure("settled", kProcesses, *settled));
    fail_on_differences("after all faults", *settled, bench_.result);
    fail_on_violations("after quiescence", history_.take_report(), bench_.result);
    if (const auto done = control(); !done) return done.error();
    bench_.meter.advance();
    add_tables();
    return {};
  }

 private:
  static constexpr std::size_t kProcesses = 5;  // two instances, two Redis servers, the clients

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
  Result<void> fault(const char* id, const char* what,
                     const std::function<Result<void>()>& happen) {
    bench_.meter.phase(what);
    rows_.emplace_back(id);
    const auto before = traffic_->counts();
    const TimePoint begin = Clock::now();
    auto done = happen();
    if (done) done = fleet_.ready_within(kPatience);
    wait(plan_.recover_for);
    const auto report = history_.take_report();
    bench_.result.measure(checked_measure(id, what, kProcesses, traffic_->counts() - before, report,
                                          Clock::now() - begin));
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
      if (measure.id == "settled" || measure.id.starts_with("control")) continue;
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
  std::vector<std::string> rows_;
};

}  // namespace

Body read_coherence_faults(Section& file) {
  Plan plan;
  plan.lease = file.section("fleet").duration("lease", 250ms, 10ms, 10s);
  auto traffic = file.section("traffic");
  plan.keys = static_cast<std::uint64_t>(traffic.integer("keys", 500, 1, 1'000'000));
  plan.fault_for = traffic.duration("fault_for", 1s, 100ms, 1h);
  plan.recover_for = traffic.duration("recover_for", 300ms, 10ms, 1h);
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, Faults::kSteps);
    bench.meter.phase("starting Redis, its replica and instances");
    // A replica is sent its copy at once, not after the pause in which others might join it.
    auto fleet = Fleet::start(
        {.instances = 2, .lease = plan.lease, .redis = {"--repl-diskless-sync-delay", "0"}});
    if (!fleet) return fleet.error();
    const auto& primary = fleet->redis.endpoint();
    auto replica =
        RedisServer::start({.config = {"--replicaof", primary.host, std::to_string(primary.port)}});
    if (!replica) return replica.error();
    return Faults(plan, bench, *fleet, *replica).run();
  };
}

}  // namespace nearlane::harness
