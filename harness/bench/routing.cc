// Scenario kind `routing`: what L1 answers, and what L2 is asked, when a session's requests go to any of N
// instances, with each of the three measures against it on and off.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "core/base/key.h"
#include "core/tier/sim/random.h"
#include "harness/bench/routing_fleet.h"
#include "harness/bench/scenario.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {
namespace {

/// Lanes and shards go by the hash; with a seed of its own each run would find other figures.
constexpr std::uint64_t kHashSeed = 1;
constexpr std::size_t kMostRequests = 2'000'000;  // of a log, which is held in memory

struct Plan {
  std::string trace;
  std::vector<std::size_t> instances;
  std::chrono::milliseconds ttl{};
  std::uint32_t value_bytes = 0;  // where the log records none
  tier::RefreshLimits refresh = {};
  std::uint64_t generated = 0;  // sessions, where there is no trace
  double writes_share = 0;      // of their requests, whatever they found
  sim::Mutant mutant = sim::Mutant::none;
};

/// A row of the tables.
struct Variant {
  std::string id;
  std::string what;
  tier::KeyRules rules = {};
  sim::ModelRedis::Form store = sim::ModelRedis::Form::proper;
};

constexpr const char* kBest = "silent";

std::vector<Variant> variants() {
  std::vector<Variant> all = {
      {.id = kBest,
       .what = "nothing, over a store that announces no touches (there is none)",
       .store = sim::ModelRedis::Form::quiet_touches}};
  constexpr unsigned kCombinations = 8;
  for (unsigned on = 0; on < kCombinations; ++on) {
    const tier::KeyRules rules{
        .touch_coalescing = (on & 1U) != 0, .refresh = (on & 2U) != 0, .prefetch = (on & 4U) != 0};
    std::string id;
    const auto add = [&](bool is_on, const char* name) {
      if (is_on) id += (id.empty() ? "" : " + ") + std::string(name);
    };
    add(rules.touch_coalescing, "touch_coalescing");
    add(rules.refresh, "refresh");
    add(rules.prefetch, "prefetch");
    if (id.empty()) id = "nothing";
    all.push_back({.id = id, .what = id, .rules = rules});
  }
  return all;
}

class LogBuilder {
 public:
  void add(std::uint64_t second, const std::string& name, bool writes, std::uint64_t bytes) {
    const auto [at, is_new] =
        numbers_.try_emplace(name, static_cast<std::uint32_t>(log_.names.size()));
    if (is_new) log_.names.push_back(name);
    log_.requests.push_back({.second = second,
                             .session = at->second,
                             .writes = writes,
                             .bytes = static_cast<std::uint32_t>(bytes)});
  }
  [[nodiscard]] SessionLog& log() noexcept { return log_; }

 private:
  SessionLog log_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

/// A request is a read and what follows it: a touch, or a set.
Result<SessionLog> read_log(const std::string& path, std::uint32_t value_bytes) {
  auto trace = open_trace(path);
  if (!trace) return trace.error();
  LogBuilder builder;
  auto& requests = builder.log().requests;
  TraceRecord record;
  while (true) {
    const auto more = (*trace)->next(record);
    if (!more) return more.error();
    if (!*more || requests.size() == kMostRequests) return std::move(builder.log());
    const std::uint64_t bytes = record.bytes > 1 ? record.bytes : value_bytes;
    if (record.op == Op::get) {
      builder.add(record.second, record.key, false, bytes);
    } else if (record.op == Op::set && !requests.empty() &&
               builder.log().names[requests.back().session] == record.key) {
      requests.back().writes = true;
      requests.back().bytes = static_cast<std::uint32_t>(bytes);
    }
  }
}

/// Sessions like those of the recorded web log: half have up to 6 requests, one in ten more than 22; they come in
/// bursts of a few seconds with minutes in between.
SessionLog generate_log(const Plan& plan, std::uint64_t sessions, std::uint64_t seed) {
  constexpr double kSeconds = 46'000;  // a day's busy half
  constexpr double kMedian = 6;
  constexpr double kSigma = 1.0;  // of the logarithm: the ninth decile is 22
  constexpr double kMost = 338;
  sim::Random random(seed);
  const auto uniform = [&] { return (random.below(1U << 24U) + 0.5) / (1U << 24U); };
  const auto exponential = [&](double mean) { return -mean * std::log(uniform()); };
  struct Visit {
    double at;
    std::uint64_t session;
  };
  std::vector<Visit> visits;
  for (std::uint64_t session = 0; session < sessions; ++session) {
    const double normal =
        std::sqrt(-2 * std::log(uniform())) * std::cos(2 * 3.14159265358979 * uniform());
    const double length = std::clamp(kMedian * std::exp(kSigma * normal), 1.0, kMost);
    double at = uniform() * kSeconds;
    for (double i = 0; i < length; ++i) {
      visits.push_back({at, session});
      at += random.below(5) != 0 ? exponential(4) : std::min(exponential(200), 1700.0);
    }
  }
  std::ranges::sort(visits, {}, &Visit::at);
  LogBuilder builder;
  for (const Visit& visit : visits) {
    builder.add(static_cast<std::uint64_t>(visit.at), fmt::format("sess:{:016x}", visit.session),
                uniform() < plan.writes_share, plan.value_bytes);
  }
  return std::move(builder.log());
}

class Routing {
 public:
  Routing(const Plan& plan, Bench& bench) : plan_(plan), bench_(bench) {}

  Result<void> run() {
    auto log = load();
    if (!log) return log.error();
    const auto wanted = bench_.scaled(log->requests.size());
    if (wanted < log->requests.size()) log->requests.resize(wanted);
    set_hash_seed(kHashSeed);
    const auto all = variants();
    bench_.meter.begin(bench_.result.scenario, all.size() * plan_.instances.size());
    for (const Variant& variant : all) {
      for (const std::size_t instances : plan_.instances) {
        bench_.meter.phase(fmt::format("{}, {} instances", variant.id, instances));
        add(variant, instances,
            run_routing(*log, {.instances = instances,
                               .ttl = plan_.ttl,
                               .rules = variant.rules,
                               .refresh = plan_.refresh,
                               .store = variant.store,
                               .mutant = plan_.mutant,
                               .seed = bench_.seed}));
        bench_.meter.advance();
      }
    }
    add_tables(all);
    return {};
  }

 private:
  Result<SessionLog> load() {
    if (const auto path = find_trace(bench_.traces, plan_.trace); !path.empty()) {
      bench_.result.inputs.push_back({.workload = plan_.trace, .origin = "recorded trace"});
      return read_log(path, plan_.value_bytes);
    }
    bench_.result.inputs.push_back({.workload = plan_.trace,
                                    .origin = "generated sessions of the same shape, seeded",
                                    .absent = plan_.trace});
    return generate_log(plan_, plan_.generated, bench_.seed);
  }

  static std::string id_of(const std::string& variant, std::size_t instances) {
    return fmt::format("{}/{}", variant, instances);
  }

  void add(const Variant& variant, std::size_t instances, const RoutingCounts& counts) {
    Measure measure{.id = id_of(variant.id, instances),
                    .what = variant.what,
                    .boundary = "in process",
                    .clock_starts = "no clock: requests are counted, in virtual time",
                    .clock_stops = "as above",
                    .loop = "none",
                    .parameters = {{"instances", std::to_string(instances)},
                                   {"ttl_ms", std::to_string(plan_.ttl.count())}}};
    auto& values = measure.repetitions.emplace_back().values;
    const auto requests = static_cast<double>(counts.requests);
    const auto share = [&](std::uint64_t part) { return static_cast<double>(part) / requests; };
    const auto count = [&](const char* name, std::uint64_t value) {
      values[std::string(name) + "_count"] = static_cast<double>(value);
    };
    values["l1_hit_share"] = share(counts.l1_hits);
    values["possible_share"] = share(counts.requests - counts.began);
    values["l2_reads_share"] = share(counts.l2_reads);
    values["l2_read_bytes"] = static_cast<double>(counts.l2_bytes);
    values["ended_early_share"] = share(counts.ended_early);
    values["touches_share"] = share(counts.l2_touches);
    count("requests", counts.requests);
    count("l1_hits", counts.l1_hits);
    count("confirmations", counts.confirmations);
    count("l2_reads", counts.l2_reads);
    count("l2_touches", counts.l2_touches);
    count("refreshes", counts.refreshes);
    count("prefetches", counts.prefetches);
    count("unasked", counts.refreshes + counts.prefetches);
    count("unasked_used", counts.background_uses);
    count("hints", counts.hints);
    count("pushes", counts.pushes);
    count("not_allowed", counts.not_allowed);
    if (variant.id == kBest) best_[instances] = counts.l2_reads;
    values["l2_reads_of_silent_share"] =
        static_cast<double>(counts.l2_reads) / static_cast<double>(best_[instances]);
    if (counts.failed != 0 || counts.not_allowed != 0) {
      bench_.result.failures.push_back(
          fmt::format("{}: {} requests were not answered, {} answers were not allowed", measure.id,
                      counts.failed, counts.not_allowed));
    }
    bench_.result.measure(std::move(measure));
  }

  void add_tables(const std::vector<Variant>& all) {
    const auto row = [&](const std::string& what, const std::string& id, const char* metric) {
      std::vector<std::vector<Cell>> cells = {{Cell::of(what)}};
      for (const std::size_t instances : plan_.instances)
        cells.push_back({Cell::of(id_of(id, instances), metric)});
      return cells;
    };
    const auto table = [&](const char* title, const char* metric) {
      Table made{.title = title, .columns = {"on"}};
      for (const std::size_t instances : plan_.instances)
        made.columns.push_back(std::to_string(instances));
      for (const Variant& variant : all) made.rows.push_back(row(variant.what, variant.id, metric));
      return made;
    };
    auto& tables = bench_.result.tables;
    tables.push_back(
        table("Answered by L1, by number of instances, requests routed at random", "l1_hit_share"));
    tables.back().rows.insert(
        tables.back().rows.begin(),
        row("at most possible: the session was there", "nothing", "possible_share"));
    tables.back().plot_x = "instances";
    tables.push_back(table("Reads of L2, beside those over a store that announces no touches",
                           "l2_reads_of_silent_share"));
    tables.push_back(table("Reads of L2 a request", "l2_reads_share"));
    tables.push_back(table("Bytes of values read from L2", "l2_read_bytes"));
    tables.push_back(table("Touches sent to L2 a request", "touches_share"));
    tables.push_back(table("Reads that nobody had asked for", "unasked_count"));
    tables.push_back(table("Of those, used", "unasked_used_count"));
    tables.push_back(table("Sessions that had ended when the log takes them for alive, a request",
                           "ended_early_share"));
    bench_.result.notes.push_back(
        fmt::format("Virtual time: every instance is the tier and the lane that ship, with "
                    "unlimited L1; clock, network and "
                    "Redis are the simulation's. Sliding TTL of {} s; each request goes to an "
                    "instance drawn by the seed, reads "
                    "its session, and touches it, or stores it where there is none. What L1 "
                    "answers after it has confirmed its "
                    "lease with one small command counts as answered by L1. Every answer was "
                    "judged by the store's history.",
                    plan_.ttl.count() / 1000));
    bench_.result.notes.push_back(
        fmt::format("Values whose size the log does not tell have {} bytes. A request in the "
                    "background costs a token; the "
                    "budget is {} a second and instance.",
                    plan_.value_bytes, plan_.refresh.reads_per_s));
  }

  const Plan& plan_;
  Bench& bench_;
  std::map<std::size_t, std::uint64_t> best_;  // reads, by instances
};

}  // namespace

Body read_routing(Section& file) {
  Plan plan;
  auto sessions = file.section("sessions");
  plan.trace = sessions.text("trace", "nasa-sessions");
  plan.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(sessions.duration(
      "ttl", std::chrono::minutes(30), std::chrono::seconds(1), std::chrono::hours(240)));
  plan.value_bytes =
      static_cast<std::uint32_t>(sessions.bytes("value_bytes", 3500, 8, std::uint64_t{1} << 20U));
  plan.generated = static_cast<std::uint64_t>(sessions.integer("generated", 3000, 1, 1'000'000));
  plan.writes_share = sessions.number("writes_share", 0, 0, 1);
  auto fleet = file.section("fleet");
  if (fleet.choice("planted", "none", {"none", "naive_install"}) != "none")
    plan.mutant = sim::Mutant::naive_install;
  const std::int64_t most = fleet.integer("most_instances", 16, 1, 64);
  for (std::int64_t n = 1; n <= most; n *= 2) plan.instances.push_back(static_cast<std::size_t>(n));
  plan.refresh.reads_per_s =
      static_cast<std::uint64_t>(fleet.integer("refresh_rate", 1000, 1, 1'000'000));
  return [plan](Bench& bench) { return Routing(plan, bench).run(); };
}

}  // namespace nearlane::harness
