// Scenario kind `l2_failover`: instances over a replicated store, Sentinel's or a cluster, under an open loop over HTTP.
// The primary, or one of three, is killed, and its replica takes over: what clients see of it, what is lost that need
// not be, and how soon all is well once the store has said who the primary is (claim B8).
//
// Redis replicates after it has acknowledged, so a killed primary takes some writes with it whoever sits in front. What
// it took is known exactly: between the kill and its promotion the replica is read, key by key, when nothing
// can come to it any more and nobody may write to it. Newer writes are Redis's loss and counted as that; all others must
// be there in the end.
#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/checked_keys.h"
#include "harness/bench/checked_load.h"
#include "harness/bench/checked_traffic.h"
#include "harness/bench/replicated_store.h"
#include "harness/bench/scenario.h"
#include "harness/driver/generator.h"
#include "harness/topology/instance.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// What is promised: no request fails that is answered later than this after the store has said who its primary is.
constexpr Duration kServedWithin = 1s;

constexpr unsigned kLanes = 9;  // three for each primary of a cluster
constexpr Duration kPatience = 30s;
/// Of the load itself, before anything of it counts.
constexpr Duration kWarmUp = 500ms;
/// Longer than any request, beside what may be old.
constexpr Duration kRemembered = 20s;
/// Longer than a replica is behind. What it really had is found out later, and counts.
constexpr Duration kReplicaLag = 500ms;
/// Seconds of the failover that have a row of their own.
constexpr std::int64_t kMostSeconds = 12;
/// Newer than every write of a key.
constexpr std::uint64_t kEverything = std::numeric_limits<std::uint64_t>::max();

struct Plan {
  bool cluster = false;
  bool follows =
      true;  // false: instances are told the first primary's address, and know of no other
  std::string coherence;
  std::chrono::milliseconds max_stale{};
  std::size_t instances = 2;
  Duration lease{};
  std::chrono::milliseconds silence{};  // until servers think that another is down
  Duration steady_for{};
  Duration watch_for{};
  std::uint32_t connections = 0;
  CheckedLoadOptions load;
};

/// An operation's end.
struct Answer {
  TimePoint at{};
  Duration response{};  // since it was due
  Op kind = Op::get;
  Outcome outcome = Outcome::error;
  bool of_killed = false;  // its key was the killed primary's

  [[nodiscard]] bool failed() const noexcept { return outcome == Outcome::error; }
  [[nodiscard]] bool from_l1() const noexcept {
    return outcome == Outcome::hit_l1 || outcome == Outcome::stale;
  }
};

/// What clients saw in a stretch of time.
struct Stretch {
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
  std::uint64_t failed_of_killed = 0;
  std::uint64_t reads = 0;
  std::uint64_t l1 = 0;
  std::uint64_t stale = 0;  // and marked so
  Histogram response;
  Histogram hit;  // whatever L1 answered

  void add(const Answer& answer) {
    if (answer.failed()) {
      ++failed;
      failed_of_killed += answer.of_killed ? 1 : 0;
    } else {
      ++answered;
      response.record(answer.response);
    }
    if (answer.kind != Op::get) return;
    ++reads;
    l1 += answer.outcome == Outcome::hit_l1 ? 1 : 0;
    stale += answer.outcome == Outcome::stale ? 1 : 0;
    if (answer.from_l1()) hit.record(answer.response);
  }
  void put_counts(Repetition& repetition) const {
    const auto share = [this](std::uint64_t part) -> std::optional<double> {
      if (reads == 0) return std::nullopt;
      return static_cast<double>(part) / static_cast<double>(reads);
    };
    auto& values = repetition.values;
    values["answered_count"] = static_cast<double>(answered);
    values["failed_count"] = static_cast<double>(failed);
    values["failed_of_killed_count"] = static_cast<double>(failed_of_killed);
    values["l1_share"] = share(l1);
    values["stale_share"] = share(stale);
  }
};

std::optional<double> since(TimePoint from, std::optional<TimePoint> to) {
  if (!to) return std::nullopt;
  return static_cast<double>((*to - from).count());
}

class L2Failover {
 public:
  L2Failover(const Plan& plan, Bench& bench, ReplicatedStore& store,
             std::vector<Instance>& instances)
      : plan_(plan), bench_(bench), store_(store), instances_(instances) {
    for (std::uint64_t key = 0; key < plan.load.keys; ++key) names_.push_back(checked_key(key));
  }

  static constexpr std::uint64_t kSteps = 4;

  Result<void> run() {
    bench_.meter.phase("filling");
    if (const auto filled = fill(); !filled) return filled.error();
    for (const Instance& instance : instances_) read_keys(plan_.load.keys, instance.http());
    bench_.meter.advance();
    if (const auto loaded = under_load(); !loaded) return loaded.error();
    add_measures();
    const auto report = history_.take_report();
    judge();
    bench_.meter.phase("comparing every key");
    const auto settled = settle();
    const auto lost = history_.take_report();
    if (!settled) return settled.error();
    add_counts(report, lost, *settled);
    if (const auto done = control(); !done) return done.error();
    bench_.meter.advance();
    add_tables();
    return {};
  }

 private:
  void wait(Duration length) const {
    std::this_thread::sleep_for(std::chrono::duration_cast<Duration>(length * bench_.scale));
  }

  /// Past all instances.
  Result<void> fill() {
    if (const auto learnt = store_.learn(names_); !learnt) return learnt.error();
    return fill_keys(
        plan_.load.keys, plan_.load.value_bytes, history_,
        [this](std::size_t key, const std::string& value) { return store_.set(key, value); });
  }

  Result<void> under_load() {
    CheckedLoadOptions options = plan_.load;
    options.seed = bench_.seed;
    options.instances = plan_.instances;
    options.max_stale = plan_.max_stale;
    CheckedLoad load(options, history_);
    GeneratorOptions generator;
    generator.protocol = Protocol::http;
    for (const Instance& instance : instances_) generator.targets.push_back(instance.http());
    generator.connections = plan_.connections;
    std::atomic<bool> stop{false};
    RunOptions run;
    run.duration = 1h;  // until it is told to stop
    run.warmup = kWarmUp;
    run.stop = &stop;
    over_time_ = TimeSeriesRecorder(Clock::now() + kWarmUp);
    run.check = [&](const Completion& completion) {
      answers_.push_back({.at = Clock::now(),
                          .response = completion.done - completion.intended,
                          .kind = completion.kind,
                          .outcome = completion.outcome,
                          .of_killed = store_.at_primary(load.key_of(completion))});
      const bool good = load.judge(completion);
      record_completion(over_time_, completion, good);
      return good;
    };
    if (const auto listening = store_.listen(); !listening) return listening.error();
    bench_.meter.phase("steady");
    Result<RunReport> report = Error{Errc::unavailable, "it did not run"};
    std::thread generating([&] { report = generate(load, generator, run); });
    std::this_thread::sleep_for(kWarmUp);
    steady_from_ = Clock::now();
    wait(plan_.steady_for);
    steady_to_ = Clock::now();
    bench_.meter.advance();
    const auto failed_over = fail_over();
    ended_ = Clock::now();
    stop = true;
    generating.join();
    if (!failed_over) return failed_over.error();
    if (!report) return report.error();
    load_ = std::move(*report);
    acknowledged_ = load.acknowledged();
    bench_.meter.advance();
    return {};
  }

  Result<void> fail_over() {
    bench_.meter.phase("a primary is killed");
    const TimePoint before = Clock::now();
    store_.primary().kill();
    gone_ = Clock::now();
    history_.lose(before - kReplicaLag, gone_ + 2 * plan_.lease);
    const auto held = store_.held_by_replica();
    if (!held) return held.error();
    std::this_thread::sleep_until(gone_ + 2 * plan_.lease);
    nobody_until_ = Clock::now();
    for (std::size_t key = 0; key < names_.size(); ++key) take_over(key, (*held)[key]);
    const auto announced = store_.replaced(kPatience);
    if (!announced) return announced.error();
    announced_ = *announced;
    bench_.meter.phase("its replica has taken over");
    wait(plan_.watch_for);
    return {};
  }

  void take_over(std::size_t key, const std::string& held) {
    const std::string& name = names_[key];
    if (!store_.at_primary(key)) {
      (void)history_.lose_newer(name, kEverything);
      return;
    }
    std::optional<std::uint64_t> version;
    if (!held.empty()) {
      const auto verified = verify_document(name, held);
      if (verified) version = *verified;
      if (!verified) history_.read_damaged(name, kStore, verified.error().detail);
    }
    unreplicated_ += history_.lose_newer(name, version);
  }

  /// Every key at every door and at the primaries, which must have all that was not lost with the killed one.
  Result<Settled> settle() {
    std::vector<Door> doors;
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      const auto node = static_cast<Node>(i);
      doors.push_back({.node = node, .protocol = Protocol::resp, .endpoint = instances_[i].resp()});
      doors.push_back({.node = node, .protocol = Protocol::http, .endpoint = instances_[i].http()});
    }
    Traffic traffic({.doors = std::move(doors), .keys = plan_.load.keys}, history_);
    const TimePoint begin = Clock::now();
    const auto stored = store_.values();
    if (!stored) return stored.error();
    return traffic.settle_against(*stored, begin);
  }

  Result<void> control() {
    return add_control(
        "the primaries emptied", processes(), history_, bench_.result,
        [this] { return store_.forget_all(); }, [this] { return settle(); });
  }

  // What came of it -------------------------------------------------------------------------------------------

  [[nodiscard]] Stretch stretch(TimePoint from, TimePoint to) const {
    Stretch seen;
    const auto first = std::ranges::lower_bound(answers_, from, {}, &Answer::at);
    for (auto answer = first; answer != answers_.end() && answer->at < to; ++answer)
      seen.add(*answer);
    return seen;
  }
  template <class Wanted>
  [[nodiscard]] std::uint64_t count(TimePoint from, TimePoint to, Wanted&& wanted) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(answers_, [&](const Answer& answer) {
      return answer.at >= from && answer.at < to && wanted(answer);
    }));
  }
  [[nodiscard]] std::optional<TimePoint> last_failure() const {
    const auto last =
        std::find_if(answers_.rbegin(), answers_.rend(), std::mem_fn(&Answer::failed));
    if (last == answers_.rend() || last->at < gone_) return std::nullopt;
    return last->at;
  }
  /// Of what only the new primary can have taken.
  [[nodiscard]] std::optional<TimePoint> first_write() const {
    const auto first = std::ranges::find_if(answers_, [this](const Answer& answer) {
      return answer.of_killed && answer.outcome == Outcome::ok && answer.at >= nobody_until_;
    });
    if (first == answers_.end()) return std::nullopt;
    return first->at;
  }

  [[nodiscard]] int processes() const {
    return static_cast<int>(plan_.instances + store_.processes()) + 1;  // the clients
  }

  void add_stretch(const char* id, const char* what, TimePoint from, TimePoint to) {
    Measure measure{.id = id,
                    .what = what,
                    .boundary = "client",
                    .clock_starts = "the request was due",
                    .clock_stops = "whole reply parsed",
                    .loop = "open",
                    .processes = processes(),
                    .offered_per_s = load_.offered_rate};
    auto& repetition = measure.repetitions.emplace_back();
    const Stretch seen = stretch(from, to);
    repetition.add("", seen.response);
    repetition.add("hit", seen.hit);
    repetition.void_reasons = load_.void_reasons;
    bench_.result.measure(std::move(measure));
    // Which count, however late the load was.
    Measure counts = counting(counts_of(id), what, processes());
    seen.put_counts(counts.repetitions.back());
    bench_.result.measure(std::move(counts));
  }
  static std::string counts_of(std::string_view id) { return fmt::format("{}/counts", id); }

  void add_measures() {
    add_stretch("steady", "the store is well", steady_from_, steady_to_);
    add_stretch("failover", "from the kill to the announcement", gone_, announced_.first);
    add_stretch("after", "from a second behind the announcement on",
                announced_.first + kServedWithin, ended_);
    over_time_.fault(plan_.cluster ? "a primary away" : "no master", gone_, announced_.first);
    bench_.result.measure(open_loop_over_time("all clients", processes(), over_time_,
                                              load_.offered_rate, load_.void_reasons));
    Measure times = counting("times", "the failover, from the kill on", processes());
    times.clock_starts = "the killed primary was reaped";
    times.clock_stops = "as each name says";
    auto& values = times.repetitions.back().values;
    values["announced_ns"] = since(gone_, announced_.first);
    values["all_announced_ns"] = since(gone_, announced_.last);
    values["first_write_ns"] = since(gone_, first_write());
    values["last_failure_ns"] = since(gone_, last_failure());
    values["failures_after_ns"] = since(announced_.first, last_failure());
    bench_.result.measure(std::move(times));
    for (std::int64_t i = 0; i < seconds(); ++i) {
      Measure second =
          counting(second_id(i), fmt::format("second {} from the kill on", i + 1), processes());
      const TimePoint from = gone_ + i * 1s;
      stretch(from, from + 1s).put_counts(second.repetitions.back());
      bench_.result.measure(std::move(second));
    }
  }
  [[nodiscard]] std::int64_t seconds() const {
    return std::min<std::int64_t>(std::chrono::floor<std::chrono::seconds>(ended_ - gone_).count(),
                                  kMostSeconds);
  }
  static std::string second_id(std::int64_t number) { return fmt::format("second/{}", number); }

  void judge() {
    const auto expect = [this](bool holds, std::string what) {
      if (!holds) bench_.result.failures.push_back(std::move(what));
    };
    const auto failed = [](const Answer& answer) { return answer.failed(); };
    const auto before = count(steady_from_, steady_to_, failed);
    expect(before == 0, fmt::format("{} requests failed while the store was well", before));
    late_failures_ = count(announced_.first + kServedWithin, ended_, failed);
    expect(
        late_failures_ == 0,
        fmt::format("{} requests failed later than a second after the store had said who its "
                    "primary is{}",
                    late_failures_,
                    load_.failure_texts.empty() ? "" : "; the first: " + load_.failure_texts[0]));
    expect(first_write().has_value(), "no write was taken after the failover");
    // A lease is long enough for an answer that was on its way.
    const auto untrue = count(gone_ + plan_.lease, nobody_until_, [](const Answer& answer) {
      return answer.of_killed && answer.outcome == Outcome::ok;
    });
    expect(untrue == 0,
           fmt::format("{} writes were acknowledged while there was no primary", untrue));
  }

  void add_counts(const HistoryReport& report, const HistoryReport& lost, const Settled& settled) {
    Measure counts = counting("counts", "what clients were told, and what is left", processes());
    auto& values = counts.repetitions.back().values;
    values["operations_count"] = static_cast<double>(answers_.size());
    values["acknowledged_count"] = static_cast<double>(acknowledged_);
    values["unreplicated_count"] = static_cast<double>(unreplicated_);
    values["late_failures_count"] = static_cast<double>(late_failures_);
    put_judged(report, lost, settled, counts, bench_.result);
    bench_.result.measure(std::move(counts));
  }

  void add_tables() {
    const char* store = plan_.cluster ? "a cluster of three primaries, one of which is killed"
                                      : "a master under three sentinels, which is killed";
    Table load;
    load.title = fmt::format(
        "{} requests a second over HTTP to {} instances over {}; {:.0f} % of them writes, {} keys "
        "of {} bytes",
        plan_.load.rate, plan_.instances, store, 100 * plan_.load.write_share, plan_.load.keys,
        plan_.load.value_bytes);
    load.columns = {"",    "answered", "failed",   "from L1", "from L1, marked stale",
                    "p50", "p99",      "L1's p50", "p99",     "longest"};
    for (const auto& [id, what] :
         {std::pair{"steady", "before"}, std::pair{"failover", "from the kill to the announcement"},
          std::pair{"after", "from a second behind it on"}}) {
      load.rows.push_back({{Cell::of(what)},
                           {Cell::of(counts_of(id), "answered_count")},
                           {Cell::of(counts_of(id), "failed_count")},
                           {Cell::of(counts_of(id), "l1_share")},
                           {Cell::of(counts_of(id), "stale_share")},
                           {Cell::of(id, "p50_ns")},
                           {Cell::of(id, "p99_ns")},
                           {Cell::of(id, "hit_p50_ns")},
                           {Cell::of(id, "hit_p99_ns")},
                           {Cell::of(id, "hit_max_ns")}});
    }
    bench_.result.tables.push_back(std::move(load));

    bench_.result.tables.push_back(
        row_of("The failover, from the kill on",
               {{"another primary announced", "times", "announced_ns"},
                {"by all who announce it", "times", "all_announced_ns"},
                {"first write that it took", "times", "first_write_ns"},
                {"last request that failed", "times", "last_failure_ns"},
                {"behind the announcement (allowed: 1 s)", "times", "failures_after_ns"},
                {"failed later than that (0)", "counts", "late_failures_count"}}));
    add_tables_of_seconds_and_counts();
  }

  void add_tables_of_seconds_and_counts() {
    Table by_second;
    by_second.title = "Second by second, from the kill on";
    by_second.columns = {"second",        "answered",
                         "failed",        "of those, of the killed primary's keys",
                         "reads from L1", "from L1, marked stale"};
    for (std::int64_t i = 0; i < seconds(); ++i) {
      const std::string id = second_id(i);
      by_second.rows.push_back({{Cell::of(std::to_string(i + 1))},
                                {Cell::of(id, "answered_count")},
                                {Cell::of(id, "failed_count")},
                                {Cell::of(id, "failed_of_killed_count")},
                                {Cell::of(id, "l1_share")},
                                {Cell::of(id, "stale_share")}});
    }
    bench_.result.tables.push_back(std::move(by_second));

    bench_.result.tables.push_back(
        judged_table({{"writes acknowledged", "counts", "acknowledged_count"},
                      {"of those the replica had not got", "counts", "unreplicated_count"}},
                     plan_.lease, plan_.max_stale));
    bench_.result.notes.emplace_back(
        "Redis acknowledges before it replicates. What the replica had not got is known because it "
        "is "
        "read, key by key, between the kill and its promotion.");
    bench_.result.notes.emplace_back(
        plan_.cluster ? "Announced: the map of a node that lives names the replica. A cluster of "
                        "which a part "
                        "is down refuses all keys from when it agrees on that, until it is not."
                      : "Announced: a sentinel has published +switch-master.");
    bench_.result.notes.emplace_back(
        "Instances, store and clients share the machine, so times say that it works, not how "
        "fast.");
  }

  const Plan& plan_;
  Bench& bench_;
  ReplicatedStore& store_;
  std::vector<Instance>& instances_;
  std::vector<std::string> names_;
  History history_{{.bound = plan_.lease, .memory = plan_.max_stale + kRemembered}};
  std::vector<Answer> answers_;  // in the order of their ends
  TimeSeriesRecorder over_time_{Clock::now()};
  RunReport load_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t unreplicated_ = 0;
  std::uint64_t late_failures_ = 0;
  TimePoint steady_from_{};
  TimePoint steady_to_{};
  TimePoint gone_{};
  TimePoint nobody_until_{};
  ReplicatedStore::Announced announced_;
  TimePoint ended_{};
};

Result<Instance> start_instance(const Plan& plan, ReplicatedStore& store, std::size_t number) {
  const auto lease = std::chrono::duration_cast<std::chrono::milliseconds>(plan.lease);
  auto instance = Instance::start(
      {.name = fmt::format("nearlane {}", number),
       .l2 = plan.follows ? store.url() : store.primary().url(),
       .flags = {"--threads", "1", "--pool", std::to_string(kLanes), "--l1-bytes", "256MiB",
                 "--lease", fmt::format("{}ms", lease.count()), "--coherence", plan.coherence,
                 "--max-stale", fmt::format("{}ms", plan.max_stale.count())}});
  if (!instance) return instance.error();
  if (const auto up = instance->lanes_up_within(kLanes, kPatience); !up) return up.error();
  return instance;
}

}  // namespace

Body read_l2_failover(Section& file) {
  Plan plan;
  auto failover = file.section("failover");
  plan.cluster = failover.choice("store", "sentinel", {"sentinel", "cluster"}) == "cluster";
  plan.follows = failover.flag("follows", true);
  plan.coherence = failover.choice("coherence", "lanes", {"lanes", "none"});
  plan.max_stale =
      std::chrono::ceil<std::chrono::milliseconds>(failover.duration("max_stale", 60s, 0s, 24h));
  plan.instances = static_cast<std::size_t>(failover.integer("instances", 2, 1, 16));
  plan.lease = failover.duration("lease", 250ms, 10ms, 10s);
  plan.silence =
      std::chrono::ceil<std::chrono::milliseconds>(failover.duration("silence", 1s, 100ms, 1min));
  plan.steady_for = failover.duration("steady_for", 5s, 100ms, 1h);
  plan.watch_for = failover.duration("watch_for", 5s, 100ms, 1h);
  auto work = file.section("work");
  plan.load.rate = work.number("rate", 2000, 1, 1e6);
  plan.load.keys = static_cast<std::uint64_t>(work.integer("keys", 2000, 1, 1'000'000));
  plan.load.value_bytes = work.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  plan.load.theta = work.number("zipf", 0.99, 0.01, 10);
  plan.load.write_share = work.number("writes_share", 0.05, 0, 1);
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 256, 1, 4096));
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, L2Failover::kSteps);
    bench.meter.phase("starting the store and instances");
    auto store = plan.cluster ? ReplicatedStore::start_cluster(plan.silence)
                              : ReplicatedStore::start_sentinel(plan.silence);
    if (!store) return store.error();
    std::vector<Instance> instances;
    for (std::size_t i = 0; i < plan.instances; ++i) {
      auto instance = start_instance(plan, **store, i);
      if (!instance) return instance.error();
      instances.push_back(std::move(*instance));
    }
    return L2Failover(plan, bench, **store, instances).run();
  };
}

}  // namespace nearlane::harness
