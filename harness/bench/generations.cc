// Scenario kind `generations`: the engine's profiles in one interleaved run, beside what was published of the
// generations that they reconstruct (claim A19).
#include <algorithm>

#include <fmt/format.h>

#include "harness/bench/scenario.h"
#include "harness/bench/server_reads.h"
#include "harness/bench/server_stats.h"
#include "harness/driver/generator.h"
#include "harness/driver/workload_source.h"
#include "harness/topology/instance.h"
#include "harness/topology/process_cpu.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

/// Of a warm set; a read whose lane was between two leases is confirmed by L2 first.
constexpr double kLeastHits = 0.95;
constexpr std::string_view kNoL1 = "v1.0";

struct Plan {
  std::vector<std::string> profiles;
  std::uint64_t l1_bytes = 0;
  std::uint64_t keys = 0;
  std::size_t value_bytes = 0;
  std::uint64_t hot_requests = 0;
  std::uint64_t l2_requests = 0;
  std::uint32_t connections = 0;
  Duration load_for{};
};

struct Door {
  const char* name;
  Protocol protocol;
};
constexpr Door kDoors[] = {{"http", Protocol::http}, {"resp", Protocol::resp}};

class Generation {
 public:
  static Result<Generation> start(const std::string& profile, const Plan& plan,
                                  const RedisServer& redis) {
    auto instance = Instance::start({.name = "nearlane " + profile,
                                     .l2 = redis.url(),
                                     .flags = {"--profile", profile, "--threads", "1", "--l1-bytes",
                                               std::to_string(plan.l1_bytes)}});
    if (!instance) return instance.error();
    return Generation(profile, std::move(*instance));
  }

  /// One request at a time over HTTP, of keys that are in L1 wherever there is one.
  Result<void> hot(const std::vector<std::string>& keys, std::uint64_t count, std::uint64_t seed) {
    auto caller = caller_of(Protocol::http, instance_);
    Histogram warm;
    if (const auto done = read_keys(caller, keys, warm); !done) return done.error();
    const auto before = read_stats(instance_.http());
    if (!before) return before.error();
    Histogram took;
    if (const auto done = read_keys(caller, draw(keys, count, seed), took); !done) {
      return done.error();
    }
    const auto after = read_stats(instance_.http());
    if (!after) return after.error();
    const auto l1 = [](const ServerStats& stats) {
      const auto at = stats.l1_latency.find("http");
      return at == stats.l1_latency.end() ? Histogram() : at->second;
    };
    server_.repetitions.emplace_back().add("", l1(*after).since(l1(*before)));
    client_.repetitions.emplace_back().add("", took);
    return {};
  }

  /// The first read of what somebody else wrote into L2.
  Result<void> l2(Caller& redis, std::uint64_t count, std::size_t bytes, int round) {
    const auto prefix = fmt::format("l2:{}:{}:", profile_, round);
    const auto keys = fill(redis, prefix, count, bytes);
    if (!keys) return keys.error();
    auto caller = caller_of(Protocol::http, instance_);
    Histogram took;
    if (const auto done = read_keys(caller, *keys, took); !done) return done.error();
    l2_.repetitions.emplace_back().add("", took);
    return {};
  }

  /// As many requests as `connections` clients send that each wait for their answer.
  Result<void> load(const Plan& plan, std::size_t door, std::uint64_t seed) {
    WorkloadSpec spec;
    spec.source = "generated";
    spec.seed = seed;
    spec.operations = UINT64_MAX;
    spec.sizes = {{plan.value_bytes, 1.0}};
    spec.keys = plan.keys;
    spec.distribution = "zipf";
    spec.mix = {1, 0, 0, 0};
    spec.prefix = "gen:";
    auto opened = open_workload(spec, "");
    if (!opened) return opened.error();
    WorkloadSource source(*opened->stream);
    GeneratorOptions generator;
    generator.protocol = kDoors[door].protocol;
    generator.targets = {door == 0 ? instance_.http() : instance_.resp()};
    generator.connections = plan.connections;
    RunOptions options;
    options.open_loop = false;
    options.duration = plan.load_for;
    options.check = document_of_its_key;

    const auto stats_before = read_stats(instance_.http());
    if (!stats_before) return stats_before.error();
    const ProcessTree server(instance_.child().pid());
    const Duration before = server.cpu();
    const auto report = generate(source, generator, options);
    if (!report) return report.error();
    const Duration used = server.cpu() - before;
    const auto stats_after = read_stats(instance_.http());
    if (!stats_after) return stats_after.error();

    auto& repetition = load_[door].repetitions.emplace_back();
    repetition.add("", report->response_time);
    repetition.void_reasons = report->void_reasons;
    const auto answered = static_cast<double>(std::max<std::uint64_t>(report->answered, 1));
    repetition.values["rate_per_s"] = report->achieved_rate;
    repetition.values["failed_count"] = static_cast<double>(report->failed);
    repetition.values["cpu_ns_per_op"] = static_cast<double>(used.count()) / answered;
    const double hits =
        static_cast<double>(stats_after->l1_hits - stats_before->l1_hits) / answered;
    repetition.values["l1_hit_share"] = hits;
    if (report->failed != 0) {
      return Error{Errc::protocol,
                   fmt::format("{} over {}: {} of {} requests failed: {}", profile_,
                               kDoors[door].name, report->failed, report->answered,
                               report->failure_texts.empty() ? "" : report->failure_texts[0])};
    }
    if (tiered() ? hits < kLeastHits : hits != 0) {
      return Error{
          Errc::protocol,
          fmt::format("{} over {}: L1 was to answer {}, and answered {:.1f} %", profile_,
                      kDoors[door].name, tiered() ? "all of a warm set" : "nothing", 100 * hits)};
    }
    return {};
  }

  [[nodiscard]] const std::string& profile() const noexcept { return profile_; }

  void keep(ScenarioResult& result) {
    for (auto* measure : {&server_, &client_, &l2_, &load_[0], &load_[1]}) {
      result.measure(std::move(*measure));
    }
  }

 private:
  Generation(std::string profile, Instance instance)
      : profile_(std::move(profile)), instance_(std::move(instance)) {
    const auto client = [&](const char* name, const char* what, int processes) {
      return Measure{.id = fmt::format("{}/{}", profile_, name),
                     .what = fmt::format("{}, {}", profile_, what),
                     .boundary = "client",
                     .clock_starts = "request bytes given to the kernel",
                     .clock_stops = "whole reply parsed",
                     .processes = processes};
    };
    server_ = client("server/http", "GET that L1 answers, one connection", 2);
    server_.boundary = "server";
    server_.clock_starts = "request bytes in user space";
    server_.clock_stops = "response bytes ready";
    // Without an L1 every read involves Redis too.
    client_ = client("client/http", "GET, one connection", tiered() ? 2 : 3);
    l2_ = client("l2/http", "first read of what another client wrote into L2", 3);
    for (std::size_t door = 0; door < 2; ++door) {
      load_[door] = client(kDoors[door].name, "GET, closed loop", tiered() ? 2 : 3);
      load_[door].id = fmt::format("{}/load/{}", profile_, kDoors[door].name);
    }
  }

  [[nodiscard]] bool tiered() const { return profile_ != kNoL1; }

  std::string profile_;
  Instance instance_;
  Measure server_;
  Measure client_;
  Measure l2_;
  Measure load_[2];
};

struct Published {
  const char* profile;
  const char* l1_latency;
  const char* p99;
  const char* l2_latency;
  const char* hit_rate;
  const char* throughput;
};
constexpr Published kPublished[] = {
    {"v1.0", "no L1", "n/a", "0.55 ms", "0 %", "n/a"},
    {"v2.0", "8.5 µs", "~30 µs", "0.55 ms", "85 %", "~100k/s"},
    {"v3.0", "14.5 µs (HTTP), 4.65 µs", "~16 µs", "0.55 ms", "100 % (warm set)", "215k/s"},
    {"v4.3", "1.5 µs", "3.7 µs", "0.55 ms", "99.05 % (production)", "660k+/s on 64 vCPU"},
};

void add_table(const Plan& plan, ScenarioResult& result) {
  Table table;
  table.title = "Engine generations: ours, and what was published";
  table.columns = {"profile",
                   "",
                   "L1 hit, server side p50",
                   "p99",
                   "L2 hit p50 (client)",
                   "L1 hit rate",
                   "GET over HTTP",
                   "GET over RESP",
                   "server CPU, HTTP",
                   "server CPU, RESP"};
  const auto published = [&table](const Published& figures) {
    const auto none = [] { return Cell::of("not published"); };
    table.rows.push_back({{Cell::of(figures.profile)},
                          {Cell::of("published")},
                          {Cell::of(figures.l1_latency)},
                          {Cell::of(figures.p99)},
                          {Cell::of(figures.l2_latency)},
                          {Cell::of(figures.hit_rate)},
                          {Cell::of(figures.throughput)},
                          {none()},
                          {none()},
                          {none()}});
  };
  for (const auto& profile : plan.profiles) {
    const auto id = [&](const char* name) { return fmt::format("{}/{}", profile, name); };
    const bool tiered = profile != kNoL1;
    const auto l1 = [&](const char* metric) {
      return tiered ? Cell::of(id("server/http"), metric) : Cell::of("no L1");
    };
    table.rows.push_back({{Cell::of(profile)},
                          {Cell::of("here")},
                          {l1("p50_ns")},
                          {l1("p99_ns")},
                          {Cell::of(id("l2/http"), "p50_ns")},
                          {Cell::of(id("load/http"), "l1_hit_share")},
                          {Cell::of(id("load/http"), "rate_per_s")},
                          {Cell::of(id("load/resp"), "rate_per_s")},
                          {Cell::of(id("load/http"), "cpu_ns_per_op")},
                          {Cell::of(id("load/resp"), "cpu_ns_per_op")}});
    for (const auto& figures : kPublished) {
      if (figures.profile == profile) published(figures);
    }
  }
  if (std::find(plan.profiles.begin(), plan.profiles.end(), "v4.3") == plan.profiles.end()) {
    published(kPublished[3]);
  }
  result.tables.push_back(std::move(table));

  Table seen;
  seen.title = "The same, as a client sees it (HTTP, one connection)";
  seen.columns = {"profile", "p50", "p99", "max"};
  for (const auto& profile : plan.profiles) {
    const auto id = profile + "/client/http";
    seen.rows.push_back({{Cell::of(profile)},
                         {Cell::of(id, "p50_ns")},
                         {Cell::of(id, "p99_ns")},
                         {Cell::of(id, "max_ns")}});
  }
  result.tables.push_back(std::move(seen));
}

Result<void> run_generations(const Plan& plan, Bench& bench) {
  const auto rounds = static_cast<std::size_t>(bench.repetitions);
  bench.meter.begin(bench.result.scenario, rounds * plan.profiles.size());
  bench.meter.phase("starting Redis and one instance a profile");
  const auto redis = RedisServer::start();
  if (!redis) return redis.error();
  std::vector<Generation> generations;
  for (const auto& profile : plan.profiles) {
    auto started = Generation::start(profile, plan, *redis);
    if (!started) return started.error();
    generations.push_back(std::move(*started));
  }
  Caller writer(Protocol::resp, redis->endpoint());
  const auto keys = fill(writer, "gen:", plan.keys, plan.value_bytes);
  if (!keys) return keys.error();
  auto sized = plan;
  sized.load_for = Duration(static_cast<std::int64_t>(static_cast<double>(plan.load_for.count()) *
                                                      std::min(bench.scale, 10.0)));
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t turn = 0; turn < generations.size(); ++turn) {
      // Each round begins with another profile, so that none always runs first.
      auto& generation = generations[(turn + round) % generations.size()];
      bench.meter.phase(fmt::format("round {}: {}", round + 1, generation.profile()));
      const auto seed = bench.seed + round;
      Result<void> done = generation.hot(*keys, bench.scaled(plan.hot_requests), seed);
      if (done) {
        done = generation.l2(writer, plan.l2_requests, plan.value_bytes, static_cast<int>(round));
      }
      for (std::size_t door = 0; done && door < 2; ++door) {
        done = generation.load(sized, door, seed);
      }
      if (!done) {
        bench.result.failures.push_back(
            fmt::format("{}: {}", generation.profile(), done.error().detail));
      }
      bench.meter.advance();
    }
  }
  for (auto& generation : generations) generation.keep(bench.result);
  add_table(plan, bench.result);
  bench.result.notes.emplace_back(
      "The profiles reconstruct published generations from their descriptions; they are not those "
      "programs.");
  bench.result.notes.emplace_back(
      "One event loop an instance, all profiles in one run and in turn. The load generator has a "
      "core of its "
      "own at best, so requests/s say little of a fast server; judge by CPU time a request (user "
      "and system).");
  return {};
}

}  // namespace

Body read_generations(Section& file) {
  Plan plan;
  plan.profiles = file.texts("profiles", {"v1.0", "v2.0", "v3.0", "v4.3", "head"});
  auto work = file.section("work");
  plan.keys = static_cast<std::uint64_t>(work.integer("keys", 2000, 1, 10'000'000));
  plan.l1_bytes =
      work.bytes("l1_bytes", std::uint64_t{1} << 30U, 1U << 20U, std::uint64_t{1} << 40U);
  plan.value_bytes = work.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  plan.hot_requests =
      static_cast<std::uint64_t>(work.integer("hot_requests", 10'200, 1, 1'000'000'000));
  plan.l2_requests = static_cast<std::uint64_t>(work.integer("l2_requests", 500, 1, 1'000'000));
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 32, 1, 4096));
  plan.load_for = work.duration("load_for", std::chrono::milliseconds(350),
                                std::chrono::milliseconds(50), std::chrono::hours(1));
  return [plan](Bench& bench) { return run_generations(plan, bench); };
}

}  // namespace nearlane::harness
