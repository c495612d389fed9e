// Scenario kind `failover`: several instances behind a balancer that asks for /readyz, under an open loop over HTTP. One
// is killed and started again, or all are told to end and started again in turn: what clients see of it, what is lost, and
// how soon an instance that begins has in L1 what it had (claims B4 and B5).
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/checked_keys.h"
#include "harness/bench/checked_load.h"
#include "harness/bench/checked_traffic.h"
#include "harness/bench/rotation.h"
#include "harness/bench/scenario.h"
#include "harness/bench/sights.h"
#include "harness/check/fleet.h"
#include "harness/driver/generator.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

// What is promised.
constexpr double kBackShare = 0.95;    // of the former share of L1's hits
constexpr Duration kBackWithin = 10s;  // of the process's start

constexpr unsigned kLanes = 8;
constexpr Duration kLease = 250ms;
constexpr Duration kPatience = 30s;
/// Of a kill, until every connection of the killed one has ended; the kernel ends them at once, and
/// a busy machine's clients are told when it is their turn. One request is under way on each.
constexpr Duration kCutOffWithin = 1s;
/// Of the load itself, before anything of it counts.
constexpr Duration kWarmUp = 500ms;
/// Of a new instance, from when the balancer sends it requests.
constexpr Duration kFirst = 1s;

enum class Fault : std::uint8_t { killed, rolling };
constexpr const char* kFaultNames[] = {"killed", "rolling"};

struct Plan {
  Fault fault = Fault::killed;
  std::size_t instances = 3;
  bool warmup = true;
  /// Rolling: killed in turn, which no deployment should do. Killed: so is the next one, which
  /// nobody excuses.
  bool kills = false;
  Duration steady_for{};
  Duration down_for{};
  Duration watch_for{};
  Duration asked_every{};
  Duration drain_delay{};
  Duration road{};  // to Redis and back
  std::uint32_t connections = 0;
  CheckedLoadOptions load;
};

struct Restart {
  std::size_t instance = 0;
  TimePoint told{};  // to end, or killed
  TimePoint begun{};
  TimePoint ready{};  // as the balancer sees it
};

std::optional<double> nanoseconds(std::optional<Duration> duration) {
  if (!duration) return std::nullopt;
  return static_cast<double>(duration->count());
}

class Failover {
 public:
  Failover(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan), bench_(bench), fleet_(fleet) {}

  Result<void> run() {
    bench_.meter.phase("filling");
    const auto filled =
        fill_keys(plan_.load.keys, plan_.load.value_bytes, history_, fleet_.redis.endpoint());
    if (!filled) return filled.error();
    for (const Instance& instance : fleet_.instances) read_keys(plan_.load.keys, instance.http());
    for (FaultProxy& proxy : fleet_.proxies) {
      proxy.delay(Way::to_server, plan_.road / 2);
      proxy.delay(Way::to_client, plan_.road / 2);
    }
    bench_.meter.advance();
    bench_.meter.phase("steady");
    if (const auto loaded = under_load(); !loaded) return loaded.error();
    for (FaultProxy& proxy : fleet_.proxies) proxy.heal();
    const auto report = history_.take_report();
    const auto settled = settle();
    if (!settled) return settled.error();
    const auto lost = history_.take_report();
    add_measures(report, lost, *settled);
    const auto controlled = add_control(fleet_.redis.client(), processes(), history_, bench_.result,
                                        [this] { return settle(); });
    if (!controlled) return controlled.error();
    judge();
    add_tables();
    return {};
  }

  static std::uint64_t steps(const Plan& plan) {
    return 2 + (plan.fault == Fault::killed ? 1 : plan.instances);
  }

 private:
  [[nodiscard]] Duration scaled(Duration length) const {
    return std::chrono::duration_cast<Duration>(length * bench_.scale);
  }
  static void wait(Duration length) { std::this_thread::sleep_for(length); }

  Result<void> under_load() {
    std::vector<Endpoint> doors;
    for (const Instance& instance : fleet_.instances) doors.push_back(instance.http());
    const Rotation rotation(doors, plan_.asked_every);
    CheckedLoadOptions options = plan_.load;
    options.seed = bench_.seed;
    options.instances = plan_.instances;
    CheckedLoad load(options, history_);
    GeneratorOptions generator;
    generator.protocol = Protocol::http;
    generator.targets = doors;
    generator.connections = plan_.connections;
    generator.in_rotation = [&](std::size_t instance) { return rotation.has(instance); };
    std::atomic<bool> stop{false};
    RunOptions run;
    run.duration = 1h;  // until it is told to stop
    run.warmup = kWarmUp;
    run.stop = &stop;
    over_time_ = TimeSeriesRecorder(Clock::now() + kWarmUp);
    run.check = [&](const Completion& completion) {
      sights_.add({.at = Clock::now(),
                   .response = completion.done - completion.intended,
                   .instance = completion.connection % plan_.instances,
                   .outcome = completion.outcome,
                   .failure = completion.failure});
      const bool good = load.judge(completion);
      record_completion(over_time_, completion, good);
      return good;
    };
    Result<RunReport> report = Error{Errc::unavailable, "it did not run"};
    std::thread generating([&] { report = generate(load, generator, run); });
    wait(kWarmUp);
    steady_from_ = Clock::now();
    wait(scaled(plan_.steady_for));
    steady_to_ = Clock::now();
    bench_.meter.advance();
    const auto disturbed =
        plan_.fault == Fault::killed ? kill_one(rotation) : restart_all(rotation);
    ended_ = Clock::now();
    stop = true;
    generating.join();
    if (!disturbed) return disturbed.error();
    if (!report) return report.error();
    load_ = std::move(*report);
    acknowledged_ = load.acknowledged();
    return {};
  }

  Result<void> kill_one(const Rotation& rotation) {
    bench_.meter.phase("an instance is killed");
    for (std::size_t i = 0; i < (plan_.kills ? 2U : 1U); ++i) {
      const Restart restart{.instance = i, .told = Clock::now()};
      fleet_.instances[i].kill();
      wait(scaled(plan_.down_for));
      if (const auto begun = begin(restart, rotation); !begun) return begun.error();
      wait(scaled(plan_.watch_for));
    }
    bench_.meter.advance();
    return {};
  }

  Result<void> restart_all(const Rotation& rotation) {
    for (std::size_t i = 0; i < plan_.instances; ++i) {
      bench_.meter.phase(fmt::format("instance {} is restarted", i));
      Restart restart{.instance = i, .told = Clock::now()};
      Instance& instance = fleet_.instances[i];
      if (plan_.kills) {
        instance.kill();
      } else {
        const auto ended = instance.drain(kPatience);
        if (!ended) return ended.error();
        if (*ended != ExitStatus{}) {
          bench_.result.failures.push_back(
              fmt::format("instance {} ended with {}", i, ended->to_string()));
        }
      }
      if (const auto begun = begin(restart, rotation); !begun) return begun.error();
      wait(scaled(plan_.watch_for));
      bench_.meter.advance();
    }
    return {};
  }

  Result<void> begin(Restart restart, const Rotation& rotation) {
    // Whoever asks less often than a process takes to begin anew does not see that it was away.
    if (!rotation.wait(restart.instance, false, kPatience))
      return Error{Errc::timeout, "the balancer did not notice that an instance was away"};
    restart.begun = Clock::now();
    if (const auto begun = fleet_.instances[restart.instance].restart(); !begun)
      return begun.error();
    if (!rotation.wait(restart.instance, true, kPatience))
      return Error{Errc::timeout, fmt::format("instance {} is not ready again", restart.instance)};
    restart.ready = Clock::now();
    restarts_.push_back(restart);
    return {};
  }

  /// Every key at every door and in Redis itself, which must have all that was acknowledged.
  Result<Settled> settle() {
    Traffic traffic({.doors = fleet_.doors(), .keys = plan_.load.keys, .store_writes = false},
                    history_);
    return traffic.settle();
  }

  [[nodiscard]] int processes() const {
    return static_cast<int>(plan_.instances) + 2;  // Redis, and the clients
  }

  void add_load(const char* id, const char* what, TimePoint from, TimePoint to) {
    Measure measure{.id = id,
                    .what = what,
                    .boundary = "client",
                    .clock_starts = "the request was due",
                    .clock_stops = "whole reply parsed",
                    .loop = "open",
                    .processes = processes(),
                    .offered_per_s = load_.offered_rate};
    auto& repetition = measure.repetitions.emplace_back();
    const Histogram response = sights_.response(from, to);
    repetition.add("", response);
    repetition.void_reasons = load_.void_reasons;
    repetition.values["answered_per_s"] =
        static_cast<double>(response.count()) / std::chrono::duration<double>(to - from).count();
    repetition.values["l1_share"] = sights_.l1_share(Sights::kAll, from, to);
    bench_.result.measure(std::move(measure));
  }

  void add_measures(const HistoryReport& report, const HistoryReport& lost,
                    const Settled& settled) {
    add_load("steady", "all instances run", steady_from_, steady_to_);
    add_load("disturbed", "from the first end to the last start and after", steady_to_, ended_);
    for (const Restart& restart : restarts_) {
      add_restart(restart);
      over_time_.fault(fmt::format("instance {} away", restart.instance), restart.told,
                       restart.ready);
    }
    bench_.result.measure(open_loop_over_time("all clients", processes(), over_time_,
                                              load_.offered_rate, load_.void_reasons));
    Measure counts = counting("counts", "what clients saw, and what is left", processes());
    auto& values = counts.repetitions.back().values;
    values["operations_count"] = static_cast<double>(load_.answered);
    values["acknowledged_count"] = static_cast<double>(acknowledged_);
    values["cut_off_count"] = static_cast<double>(cut_off());
    values["failed_count"] = static_cast<double>(load_.failed);
    values["other_failed_count"] = *values["failed_count"] - *values["cut_off_count"];
    put_judged(report, lost, settled, counts, bench_.result);
    bench_.result.measure(std::move(counts));
  }

  /// What the kill cut off; in a rolling deployment, where nothing is excused, whatever lost its
  /// connection.
  [[nodiscard]] std::uint64_t cut_off() const {
    if (plan_.fault == Fault::rolling || restarts_.empty())
      return load_.failures[static_cast<std::size_t>(Failure::lost)];
    const Restart& killed = restarts_.front();
    // Connection i goes to instance i modulo their number.
    const auto connections =
        (plan_.connections + plan_.instances - 1 - killed.instance) / plan_.instances;
    return std::min<std::uint64_t>(
        sights_.lost(killed.instance, killed.told, killed.told + kCutOffWithin), connections);
  }

  static std::string id_of(const Restart& restart) {
    return fmt::format("instance/{}", restart.instance);
  }

  void add_restart(const Restart& restart) {
    Measure measure =
        counting(id_of(restart), fmt::format("instance {}", restart.instance), processes());
    measure.clock_starts = "the process is started";
    measure.clock_stops = "the end of the first half second of such a share";
    auto& values = measure.repetitions.back().values;
    const auto former = sights_.l1_share(restart.instance, steady_from_, steady_to_);
    values["former_l1_share"] = former;
    values["ready_ns"] = nanoseconds(restart.ready - restart.begun);
    values["away_ns"] = nanoseconds(restart.ready - restart.told);
    values["first_l1_share"] =
        sights_.l1_share(restart.instance, restart.ready, restart.ready + kFirst);
    values["back_ns"] = nanoseconds(
        sights_.back_after(restart.instance, restart.begun, kBackShare * former.value_or(1)));
    // Of all that clients see, from the end of the one that was ended.
    const auto all = sights_.l1_share(Sights::kAll, steady_from_, steady_to_);
    values["all_back_ns"] =
        nanoseconds(sights_.back_after(Sights::kAll, restart.told, kBackShare * all.value_or(1)));
    bench_.result.measure(std::move(measure));
  }

  [[nodiscard]] std::optional<double> value(const std::string& id,
                                            const std::string& metric) const {
    for (const Measure& measure : bench_.result.measures) {
      if (measure.id == id) return measure.repetitions.back().values.at(metric);
    }
    return std::nullopt;
  }

  void judge() {
    const auto expect = [this](bool holds, std::string what) {
      if (!holds) bench_.result.failures.push_back(std::move(what));
    };
    const bool killed = plan_.fault == Fault::killed;
    const double failed =
        value("counts", killed ? "other_failed_count" : "failed_count").value_or(0);
    expect(failed == 0,
           fmt::format("{} requests failed{}{}", failed, killed ? " that no kill had cut off" : "",
                       load_.failure_texts.empty() ? "" : "; such as " + load_.failure_texts[0]));
    for (const Restart& restart : restarts_) {
      const std::string id = id_of(restart);
      const auto former = value(id, "former_l1_share");
      const auto first = value(id, "first_l1_share");
      const auto back = value(id, "back_ns");
      expect(back && *back <= static_cast<double>(Duration(kBackWithin).count()),
             fmt::format("{}: 95 % of the former share of L1's hits not within 10 s", id));
      expect(
          former && first && *first >= kBackShare * *former,
          fmt::format("{}: ready, and cold: L1 had {:.1f} % in its first second, {:.1f} % before",
                      id, 100 * first.value_or(0), 100 * former.value_or(0)));
    }
  }

  void add_tables() {
    Table load;
    load.title = fmt::format(
        "{} requests a second over HTTP to {} instances, {:.0f} % of them writes, {} keys of {} "
        "bytes",
        plan_.load.rate, plan_.instances, 100 * plan_.load.write_share, plan_.load.keys,
        plan_.load.value_bytes);
    load.columns = {"", "answered", "p50", "p99", "longest", "from L1"};
    for (const auto& [id, what] :
         {std::pair{"steady", "before"},
          std::pair{"disturbed", plan_.fault == Fault::killed ? "one killed, and started again"
                                                              : "each restarted in turn"}}) {
      load.rows.push_back({{Cell::of(what)},
                           {Cell::of(id, "answered_per_s")},
                           {Cell::of(id, "p50_ns")},
                           {Cell::of(id, "p99_ns")},
                           {Cell::of(id, "max_ns")},
                           {Cell::of(id, "l1_share")}});
    }
    bench_.result.tables.push_back(std::move(load));

    Table starts;
    starts.title = "Instances that begin again";
    starts.columns = {"",
                      "from L1 before",
                      "ready after",
                      "from L1 in its first second (allowed: 95 % of before)",
                      "95 % of before, from its start (allowed: 10 s)",
                      "of all instances, from the end of that one"};
    for (const Restart& restart : restarts_) {
      const std::string id = id_of(restart);
      starts.rows.push_back({{Cell::of(id)},
                             {Cell::of(id, "former_l1_share")},
                             {Cell::of(id, "ready_ns")},
                             {Cell::of(id, "first_l1_share")},
                             {Cell::of(id, "back_ns")},
                             {Cell::of(id, "all_back_ns")}});
    }
    bench_.result.tables.push_back(std::move(starts));

    bench_.result.tables.push_back(
        judged_table({{"requests", "counts", "operations_count"},
                      {plan_.fault == Fault::killed ? "failed (allowed: those cut off by the kill)"
                                                    : "failed (allowed: 0)",
                       "counts", "failed_count"},
                      {"cut off", "counts", "cut_off_count"},
                      {"writes acknowledged", "counts", "acknowledged_count"}},
                     kLease, Duration::zero()));
    bench_.result.notes.emplace_back(
        "A balancer asks every instance for /readyz and sends requests to those that are ready; a "
        "connection that ends takes its clients to the others. What was under way at a kill has "
        "failed; nothing is sent twice.");
    bench_.result.notes.emplace_back(
        "Instances, Redis and clients share the machine, so times say that it works, not how "
        "fast.");
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  History history_{{.bound = kLease}};
  Sights sights_;
  TimeSeriesRecorder over_time_{Clock::now()};
  RunReport load_;
  std::uint64_t acknowledged_ = 0;
  std::vector<Restart> restarts_;
  TimePoint steady_from_{};
  TimePoint steady_to_{};
  TimePoint ended_{};
};

}  // namespace

Body read_failover(Section& file) {
  Plan plan;
  auto failover = file.section("failover");
  const auto fault =
      failover.choice("fault", "killed", {std::begin(kFaultNames), std::end(kFaultNames)});
  plan.fault = fault == kFaultNames[0] ? Fault::killed : Fault::rolling;
  plan.instances = static_cast<std::size_t>(failover.integer("instances", 3, 2, 16));
  plan.warmup = failover.flag("warmup", true);
  plan.kills = failover.flag("kills", false);
  plan.steady_for = failover.duration("steady_for", 5s, 100ms, 1h);
  plan.down_for = failover.duration("down_for", 1s, 1ms, 1h);
  plan.watch_for = failover.duration("watch_for", 10s, 100ms, 1h);
  plan.asked_every = failover.duration("asked_every", 50ms, 1ms, 10s);
  plan.drain_delay = failover.duration("drain_delay", 1s, 0s, 1min);
  plan.road = failover.duration("road", 0s, 0s, 1s);
  auto work = file.section("work");
  plan.load.rate = work.number("rate", 2000, 1, 1e6);
  plan.load.keys = static_cast<std::uint64_t>(work.integer("keys", 5000, 1, 1'000'000));
  plan.load.value_bytes = work.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  plan.load.theta = work.number("zipf", 0.99, 0.01, 10);
  plan.load.write_share = work.number("writes_share", 0.02, 0, 1);
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 48, 1, 4096));
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, Failover::steps(plan));
    bench.meter.phase("starting Redis and instances");
    const auto delay = std::chrono::ceil<std::chrono::milliseconds>(plan.drain_delay);
    auto fleet =
        Fleet::start({.instances = plan.instances,
                      .lease = kLease,
                      .proxied = plan.road != Duration::zero(),
                      .lanes = kLanes,
                      .flags = {"--warmup", plan.warmup ? "true" : "false", "--warmup-interval",
                                "500ms", "--drain-delay", fmt::format("{}ms", delay.count())}});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(kPatience); !up) return up.error();
    return Failover(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
