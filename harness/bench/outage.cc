// Scenario kind `outage`: one instance under an open loop over HTTP, whose Redis is away, hangs, is slow, or comes and
// goes: what clients get meanwhile, and how soon, and with how many reads of Redis, all is as before. Somebody writes to
// Redis past the instance all the while, as far as it can be reached, and every answer is judged.
#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/checked_keys.h"
#include "harness/bench/checked_load.h"
#include "harness/bench/checked_traffic.h"
#include "harness/bench/failing.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/check/fleet.h"
#include "harness/driver/generator.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

// What is promised of an outage.
/// Half of what cannot be answered; or within twice what a hit took, where the machine has more to do than this.
constexpr Duration kFailsWithin = 1ms;
constexpr Duration kFullWithin = 5s;  // of L2's return
constexpr double kMostReads = 1.2;    // of L2, by the steady rate
/// Of requests, while L2 is slow and answers in time.
constexpr double kMostErrors = 0.01;

constexpr unsigned kLanes = 8;
constexpr int kProcesses = 4;  // Redis, proxy, instance, and the clients
constexpr Duration kPatience = 15s;
constexpr Duration kLease = 250ms;
/// Longer than any request, beside what may be old.
constexpr Duration kRemembered = 20s;
/// For so long a lane waits for a Redis that says nothing, before it gives its connection up.
constexpr Duration kLaneDead = 5s;
/// After the fault, until calls that were under way have ended and the breaker knows.
constexpr Duration kOnset = 1s;
constexpr Duration kWarmUp = 1s;

enum class Fault : std::uint8_t { down, hung, slow, flapping };
constexpr const char* kFaultNames[] = {"down", "hung", "slow", "flapping"};

struct Plan {
  Fault fault = Fault::down;
  std::string what;
  std::string coherence;
  std::uint64_t l1_bytes = 0;
  std::uint32_t connections = 0;
  CheckedLoadOptions load;  // max_stale: what is promised
  Duration max_stale{};     // what the instance is told
  double direct_rate = 0;   // writes/s past the instance
  Duration slow_by{};
  Duration away_for{};  // flapping, as is the next
  Duration back_for{};
  Duration healthy_for{};
  Duration outage_for{};
  Duration recovery_for{};
};

class Outage {
 public:
  Outage(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan), bench_(bench), fleet_(fleet), direct_(direct_writes(plan, fleet), history_) {}

  static constexpr std::uint64_t kSteps = 4;

  Result<void> run() {
    bench_.meter.phase("healthy");
    if (const auto filled = fill(); !filled) return filled.error();
    over_time_ = TimeSeriesRecorder(Clock::now() + kWarmUp);
    direct_.start();
    const auto steady = phase("healthy", "L2 is well", scaled(plan_.healthy_for), kWarmUp);
    if (!steady) return steady.error();
    const auto stats = read_stats(instance().http());
    if (!stats) return stats.error();

    bench_.meter.phase(plan_.what);
    const Duration outage_for = scaled(plan_.outage_for);
    std::atomic<bool> over{false};
    std::thread flapping;
    direct_.stop();  // what it wrote before a kill is to be on disk
    const TimePoint away = Clock::now();
    if (const auto begun = begin(); !begun) return begun.error();
    direct_.start();
    if (plan_.fault == Fault::flapping) flapping = std::thread([&] { flap(over); });
    auto outage = phase("outage", plan_.what, outage_for, kOnset);
    over = true;
    if (flapping.joinable()) flapping.join();
    if (!outage) return outage.error();
    const Failing failing = failing_;

    bench_.meter.phase("L2 is back");
    if (const auto ended = end(); !ended) return ended.error();
    const TimePoint back = Clock::now();
    over_time_.fault(plan_.what, away, back);
    last_degraded_ = back;
    const auto recovery =
        phase("recovery", "from L2's return on", scaled(plan_.recovery_for), Duration::zero());
    if (!recovery) return recovery.error();
    auto& values = bench_.result.measures.back().repetitions.back().values;
    const double reads = *steady == 0 ? 0 : *recovery / *steady;
    // A lost connection has disowned what L1 had of it, so each copy is read once more.
    const bool lost = plan_.fault == Fault::down || plan_.fault == Fault::flapping ||
                      (plan_.fault == Fault::hung && kOnset + outage_for >= kLaneDead);
    const double again = lost
                             ? static_cast<double>(stats->l1_entries) /
                                   std::chrono::duration<double>(scaled(plan_.recovery_for)).count()
                             : 0;
    const Duration full = last_degraded_.load() - back;
    values["full_after_ns"] = static_cast<double>(full.count());
    values["reads_over_steady"] = reads;
    values["l1_had_count"] = static_cast<double>(stats->l1_entries);
    judge(full, *recovery / (kMostReads * *steady + again), failing);
    bench_.result.measure(open_loop_over_time("all clients over HTTP, from before it on",
                                              kProcesses, over_time_, plan_.load.rate,
                                              std::move(void_reasons_)));
    direct_.stop();
    if (const auto compared = compare(); !compared) return compared.error();
    add_tables();
    return {};
  }

 private:
  static TrafficOptions direct_writes(const Plan& plan, const Fleet& fleet) {
    TrafficOptions options{.doors = {{.node = kStore, .endpoint = fleet.redis.endpoint()}},
                           .keys = plan.load.keys,
                           .theta = plan.load.theta,
                           .store_batch = 1};
    options.store_pause =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / plan.direct_rate));
    options.expiring_set_share = options.erase_share = options.touch_share = 0;
    return options;
  }
  [[nodiscard]] Instance& instance() const { return fleet_.instances.front(); }
  [[nodiscard]] FaultProxy& proxy() const { return fleet_.proxies.front(); }

  [[nodiscard]] Duration scaled(Duration length) const {
    return std::chrono::duration_cast<Duration>(length * bench_.scale);
  }

  Result<void> begin() {
    switch (plan_.fault) {
      case Fault::down: {
        // What it had is there again when it is back.
        const auto saved = fleet_.redis.client().command({"SAVE"});
        if (!saved) return saved.error();
        fleet_.redis.kill();
        break;
      }
      case Fault::hung:
        return fleet_.redis.stall();
      case Fault::slow:
        proxy().delay(Way::to_client, plan_.slow_by);
        break;
      case Fault::flapping:
        break;
    }
    return {};
  }
  Result<void> end() {
    switch (plan_.fault) {
      case Fault::down:
        return fleet_.redis.restart();
      case Fault::hung:
        return fleet_.redis.resume();
      case Fault::slow:
      case Fault::flapping:
        proxy().heal();
        break;
    }
    return {};
  }
  void flap(const std::atomic<bool>& over) {
    const auto wait = [&](Duration length) {
      for (const TimePoint until = Clock::now() + length; !over && Clock::now() < until;)
        std::this_thread::sleep_for(10ms);
    };
    while (!over) {
      proxy().refuse(true);
      proxy().cut();
      wait(plan_.away_for);
      if (over) break;
      proxy().heal();
      wait(plan_.back_for);
    }
  }

  /// So that L1 holds what it will hold.
  Result<void> fill() {
    const auto filled =
        fill_keys(plan_.load.keys, plan_.load.value_bytes, history_, fleet_.redis.endpoint());
    if (!filled) return filled.error();
    const auto done = load_for(scaled(plan_.healthy_for), {});
    if (!done) return done.error();
    return {};
  }

  /// As the workload says, and each time with requests of its own.
  Result<RunReport> load_for(Duration length, Duration warmup) {
    CheckedLoadOptions options = plan_.load;
    options.seed = bench_.seed + stretches_++;
    CheckedLoad load(options, history_);
    GeneratorOptions generator;
    generator.protocol = Protocol::http;
    generator.targets = {instance().http()};
    generator.connections = plan_.connections;
    RunOptions run{.duration = warmup + length, .warmup = warmup};
    Failing failing;
    run.check = [&](const Completion& done) {
      if (done.intended >= warmup) failing.add(done);
      if (done.outcome == Outcome::stale || done.outcome == Outcome::error)
        last_degraded_ = Clock::now();
      const bool good = load.judge(done);
      record_completion(over_time_, done, good);
      return good;
    };
    auto report = generate(load, generator, run);
    acknowledged_ += load.acknowledged();
    failing_ = failing;
    return report;
  }

  /// A stretch of load, and what came of it; how often a second Redis was read, unless it was away.
  Result<double> phase(const char* id, const std::string& what, Duration length, Duration warmup) {
    const bool asked = plan_.fault == Fault::slow || std::string_view(id) != "outage";
    const auto reads = [&] {
      return asked ? fleet_.redis.client().calls("get") : Result<std::uint64_t>(0);
    };
    const auto before = reads();
    if (!before) return before.error();
    const TimePoint begun = Clock::now();
    const auto report = load_for(length, warmup);
    if (!report) return report.error();
    void_reasons_.insert(void_reasons_.end(), report->void_reasons.begin(),
                         report->void_reasons.end());
    const double lasted = std::chrono::duration<double>(Clock::now() - begun).count();
    const auto after = reads();
    if (!after) return after.error();
    const double reads_per_s = static_cast<double>(*after - *before) / lasted;
    add_measure(id, what, *report, asked ? std::optional(reads_per_s) : std::nullopt);
    bench_.meter.advance();
    return reads_per_s;
  }

  /// Every key at both doors and in Redis, which must have all that was acknowledged; and what the checker has to say.
  Result<void> compare() {
    bench_.meter.phase("comparing every key");
    const auto report = history_.take_report();
    if (const auto up = fleet_.ready_within(kPatience); !up) return up.error();
    const auto settled = settle(fleet_.doors());
    if (!settled) return settled.error();
    const auto lost = history_.take_report();
    Measure counts = counting("counts", "what clients were told, and what is left", kProcesses);
    auto& values = counts.repetitions.back().values;
    values["reads_count"] = static_cast<double>(report.reads);
    values["acknowledged_count"] = static_cast<double>(acknowledged_);
    values["direct_count"] = static_cast<double>(direct_.counts().operations);
    put_judged(report, lost, *settled, counts, bench_.result);
    bench_.result.measure(std::move(counts));
    bench_.meter.advance();
    return add_control(fleet_.redis.client(), kProcesses, history_, bench_.result,
                       [this] { return settle({fleet_.store_door()}); });
  }

  /// What these doors say of every key, the store's being one of them.
  Result<Settled> settle(std::vector<Door> doors) {
    Traffic traffic({.doors = std::move(doors), .keys = plan_.load.keys}, history_);
    return traffic.settle();
  }

  void add_measure(const char* id, const std::string& what, const RunReport& run,
                   std::optional<double> reads_per_s) {
    Measure measure{.id = id,
                    .what = what,
                    .boundary = "client",
                    .clock_starts = "the request was due",
                    .clock_stops = "whole reply parsed",
                    .loop = "open",
                    .processes = kProcesses,
                    .offered_per_s = run.offered_rate};
    auto& repetition = measure.repetitions.emplace_back();
    repetition.add("", run.response_time);
    repetition.void_reasons = run.void_reasons;
    auto& values = repetition.values;
    values["answered_per_s"] = run.achieved_rate;
    values["l2_reads_per_s"] = reads_per_s;
    std::uint64_t gets = 0;
    for (const Outcome outcome : kOutcomes) gets += run.count(Op::get, outcome);
    for (const auto& [name, outcome] : {std::pair{"l1", Outcome::hit_l1},
                                        {"stale", Outcome::stale},
                                        {"l2", Outcome::hit_l2},
                                        {"none", Outcome::miss},
                                        {"error", Outcome::error}}) {
      const auto cell = run.response_by_cell.find({Op::get, outcome});
      const std::uint64_t count = run.count(Op::get, outcome);
      values[fmt::format("{}_share", name)] =
          gets == 0 ? 0 : static_cast<double>(count) / static_cast<double>(gets);
      if (cell != run.response_by_cell.end()) repetition.add(name, cell->second);
    }
    values["written_count"] = static_cast<double>(run.count(Op::set, Outcome::ok));
    values["not_written_count"] = static_cast<double>(run.count(Op::set, Outcome::error));
    bench_.result.measure(std::move(measure));
  }

  [[nodiscard]] double value(const char* id, const std::string& metric) const {
    for (const auto& measure : bench_.result.measures) {
      if (measure.id != id) continue;
      const auto& values = measure.repetitions.back().values;
      const auto found = values.find(metric);
      return found == values.end() ? 0 : found->second.value_or(0);
    }
    return 0;
  }

  /// `reads`: of L2 after its return, by what is allowed; `failing`: during the outage.
  void judge(Duration full, double reads, const Failing& failing) {
    const auto expect = [this](bool holds, std::string what) {
      if (!holds) bench_.result.failures.push_back(std::move(what));
    };
    const double stale = value("outage", "stale_share");
    if (plan_.fault == Fault::slow) {
      expect(stale == 0, "stale answers, although L2 answered in time");
      expect(value("outage", "error_share") <= kMostErrors, "errors, although L2 answered in time");
    } else {
      expect(stale > 0, "nothing was served stale");
    }
    if (plan_.fault == Fault::down || plan_.fault == Fault::hung) {
      expect(value("outage", "written_count") == 0,
             "a write was acknowledged that L2 does not have");
      // Too few hits for a median leave the limit that does not depend on them.
      const Duration hit(static_cast<Duration::rep>(value("healthy", "l1_p50_ns")));
      auto at_once = failing.judge(std::max(kFailsWithin, 2 * hit));
      for (auto& failure : at_once.failures) expect(false, std::move(failure));
      for (auto& unknown : at_once.unknown) bench_.result.notes.push_back(std::move(unknown));
    }
    expect(full <= kFullWithin, fmt::format("full traffic only {:.1f} s after L2's return",
                                            std::chrono::duration<double>(full).count()));
    expect(reads <= 1, fmt::format("L2 was read {:.2f} times as often as allowed", reads));
  }

  void add_tables() {
    Table table;
    table.title =
        fmt::format("{} GETs a second over HTTP, of {} keys of which L1 holds a part: {}",
                    plan_.load.rate * (1 - plan_.load.write_share), plan_.load.keys, plan_.what);
    table.columns = {"phase", "answered", "p50",    "p99", "from L1", "p99",        "STALE",
                     "p99",   "from L2",  "errors", "p50", "p99",     "reads of L2"};
    for (const auto& measure : bench_.result.measures) {
      if (measure.loop == "none" || measure.id == "over_time") continue;  // no phase
      const auto& values = measure.repetitions.back().values;
      const auto cell = [&](const char* metric) {
        const auto found = values.find(metric);
        const bool there =
            found != values.end() && (found->second || found->first.ends_with("_ns"));
        return std::vector{there ? Cell::of(measure.id, metric) : Cell::of("—")};
      };
      table.rows.push_back({{Cell::of(measure.id)},
                            cell("answered_per_s"),
                            cell("p50_ns"),
                            cell("p99_ns"),
                            cell("l1_share"),
                            cell("l1_p99_ns"),
                            cell("stale_share"),
                            cell("stale_p99_ns"),
                            cell("l2_share"),
                            cell("error_share"),
                            cell("error_p50_ns"),
                            cell("error_p99_ns"),
                            cell("l2_reads_per_s")});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.tables.push_back(row_of(
        "L2's return",
        {{"until the last stale answer or error (allowed: 5 s)", "recovery", "full_after_ns"},
         {"reads of L2 from then on, by the steady rate", "recovery", "reads_over_steady"},
         {"copies that L1 had", "recovery", "l1_had_count"}}));
    bench_.result.tables.push_back(
        judged_table({{"reads judged", "counts", "reads_count"},
                      {"writes acknowledged", "counts", "acknowledged_count"},
                      {"writes past the instance", "counts", "direct_count"}},
                     kLease, plan_.load.max_stale));
    bench_.result.notes.emplace_back(
        "Allowed are 1.2 times the steady reads; where connections were lost, and with them what "
        "they vouched "
        "for, one more for each copy that L1 had.");
    bench_.result.notes.emplace_back(
        "The outage's figures begin a second after the fault: until then calls that were under way "
        "wait for their timeout. Between stretches of load a moment passes, in which what is drawn "
        "over "
        "time has fewer requests. Server, Redis, proxy and generator share the machine.");
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  History history_{{.bound = kLease, .memory = plan_.load.max_stale + kRemembered}};
  Traffic direct_;
  std::atomic<TimePoint> last_degraded_{TimePoint{}};
  TimeSeriesRecorder over_time_{Clock::now()};
  std::vector<std::string> void_reasons_;  // of all stretches
  std::uint64_t stretches_ = 0;            // of load, so far
  Failing failing_;                        // in the latest of them
  std::uint64_t acknowledged_ = 0;
};

}  // namespace

Body read_outage(Section& file) {
  Plan plan;
  auto outage = file.section("outage");
  const auto fault =
      outage.choice("fault", "down", {std::begin(kFaultNames), std::end(kFaultNames)});
  for (std::size_t i = 0; i < std::size(kFaultNames); ++i) {
    if (fault == kFaultNames[i]) plan.fault = static_cast<Fault>(i);
  }
  plan.what = outage.text("what", fault);
  plan.healthy_for = outage.duration("healthy_for", 5s, 100ms, 1h);
  plan.outage_for = outage.duration("outage_for", 5s, 100ms, 1h);
  plan.recovery_for = outage.duration("recovery_for", 10s, 100ms, 1h);
  plan.slow_by = outage.duration("slow_by", 100ms, 1ms, 10s);
  plan.away_for = outage.duration("away_for", 700ms, 10ms, 1h);
  plan.back_for = outage.duration("back_for", 2s, 10ms, 1h);
  plan.coherence = outage.choice("coherence", "lanes", {"lanes", "none"});
  auto work = file.section("work");
  plan.load.rate = work.number("rate", 2000, 1, 1e6);
  plan.load.keys = static_cast<std::uint64_t>(work.integer("keys", 20'000, 1, 1'000'000));
  plan.load.value_bytes = work.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  plan.load.theta = work.number("zipf", 0.99, 0.01, 10);
  plan.load.write_share = work.number("writes_share", 0.05, 0, 1);
  plan.direct_rate = work.number("direct_rate", 20, 0.1, 10'000);
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 64, 1, 4096));
  plan.l1_bytes =
      work.bytes("l1_bytes", std::uint64_t{8} << 20U, 1U << 20U, std::uint64_t{1} << 40U);
  plan.max_stale = work.duration("max_stale", 60s, 0s, 24h);
  plan.load.max_stale = work.duration("promised_max_stale", plan.max_stale, 0s, 24h);
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, Outage::kSteps);
    bench.meter.phase("starting Redis and an instance");
    auto fleet =
        Fleet::start({.instances = 1,
                      .lease = kLease,
                      .lanes = kLanes,
                      .l1_bytes = plan.l1_bytes,
                      .max_stale = std::chrono::ceil<std::chrono::milliseconds>(plan.max_stale),
                      .flags = {"--coherence", plan.coherence}});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(kPatience); !up) return up.error();
    return Outage(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
