#include "harness/bench/server_hits.h"

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/server_stats.h"
#include "harness/driver/generator.h"
#include "harness/topology/instance.h"
#include "harness/topology/pinned.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"
#include "harness/workload/random.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// For the forms of all keys: the thread that makes them comes behind all other work, also that of other programs.
constexpr Duration kPatience = 300s;
constexpr unsigned kLanes = 4;
constexpr std::string_view kPrefix = "hit-";
/// Of a read whose lane was between two leases L2 is asked first.
constexpr double kLeastHits = 0.99;

/// Every key once and in order, or keys that are drawn.
class Keys final : public RequestSource {
 public:
  Keys(const ServerHits& plan, Op kind) : plan_(plan), kind_(kind), left_(plan.keys) {}
  Keys(const ServerHits& plan, std::uint64_t count, std::uint64_t seed)
      : plan_(plan), kind_(Op::get), left_(count), random_(Random(seed)) {}
  bool next(Request& into) override {
    if (left_ == 0) return false;
    --left_;
    into.kind = kind_;
    write_key_name(kPrefix, random_ ? random_->below(plan_.keys) : left_, into.key);
    if (kind_ == Op::set) write_document(into.key, 1, plan_.value_bytes, into.value);
    return true;
  }

 private:
  const ServerHits& plan_;
  Op kind_;
  std::uint64_t left_;
  std::optional<Random> random_;
};

struct Way {
  Protocol protocol;
  Endpoint target;
  std::uint32_t connections = 1;
  std::uint32_t in_flight = 1;
};

Result<RunReport> send(Keys keys, const Way& way) {
  GeneratorOptions generator;
  generator.protocol = way.protocol;
  generator.targets = {way.target};
  generator.connections = way.connections;
  generator.pipeline = way.in_flight;
  generator.http_headers = "Accept-Encoding: br\r\n";
  RunOptions options;
  options.open_loop = false;
  options.duration = kPatience;
  options.check = [](const Completion& done) {
    return done.outcome == Outcome::ok || found(done.outcome);
  };
  auto report = generate(keys, generator, options);
  if (report && report->failed != 0) {
    return Error{Errc::protocol,
                 fmt::format("{} of {} requests failed: {}", report->failed, report->answered,
                             report->failure_texts.empty() ? "" : report->failure_texts[0])};
  }
  return report;
}

/// Until all is in L1 and has its forms.
Result<void> warm(const ServerHits& plan, const Instance& instance) {
  const auto asked =
      send(Keys(plan, Op::get),
           {.protocol = Protocol::http, .target = instance.http(), .connections = 8});
  if (!asked) return asked.error();
  const TimePoint until = Clock::now() + kPatience;
  for (;;) {
    const auto stats = read_stats(instance.http());
    if (!stats) return stats.error();
    if (stats->l1_entries == plan.keys && stats->precompressed >= plan.keys) return {};
    if (Clock::now() > until) {
      return Error{Errc::timeout, fmt::format("of {} values {} are in L1, {} were compressed",
                                              plan.keys, stats->l1_entries, stats->precompressed)};
    }
    std::this_thread::sleep_for(50ms);
  }
}

/// On all cores, until it has compressed what is read.
Result<Instance> start(const ServerHits& plan, const RedisServer& redis) {
  auto instance = Instance::start(
      {.l2 = redis.url(),
       // So long a queue that one pass of reads asks for every key's forms.
       .flags = {"--threads", "1", "--l1-bytes", "1GiB", "--pool", std::to_string(kLanes),
                 "--precompress-threads", "2", "--precompress-queue", std::to_string(plan.keys),
                 "--precompress-bytes", "1GiB"}});
  if (!instance) return instance.error();
  if (const auto up = instance->lanes_up_within(kLanes, kPatience); !up) return up.error();
  return instance;
}

Measure measure_of(const ServerHits& plan, bool server) {
  return {
      .id = server ? "server/hit" : "client/hit",
      .what = fmt::format("GET of {} keys in L1, br accepted", plan.keys),
      .boundary = server ? "server" : "client",
      .clock_starts = server ? "request bytes in user space" : "request bytes given to the kernel",
      .clock_stops = server ? "response bytes ready" : "whole reply parsed",
      .processes = 2,
      .parameters = {{"keys", std::to_string(plan.keys)},
                     {"value_bytes", std::to_string(plan.value_bytes)},
                     {"connections", "1"}}};
}

void add_table(const ServerHits& plan, ScenarioResult& result) {
  Table table;
  table.title = fmt::format(
      "A hit of {} keys of {} B, br accepted, one connection (published, server side: p50 1.5 µs, "
      "p99 3.7 µs)",
      plan.keys, plan.value_bytes);
  table.columns = {"clock", "p50", "limit", "p99", "limit", "a response"};
  table.rows.push_back({{Cell::of("server")},
                        {Cell::of("server/hit", "p50_ns")},
                        {Cell::of("500 ns")},
                        {Cell::of("server/hit", "p99_ns")},
                        {Cell::of("1.5 µs")},
                        {Cell::of("client/hit", "response_bytes")}});
  table.rows.push_back({{Cell::of("client")},
                        {Cell::of("client/hit", "p50_ns")},
                        {Cell::of("—")},
                        {Cell::of("client/hit", "p99_ns")},
                        {Cell::of("—")},
                        {Cell::of("client/hit", "response_bytes")}});
  result.tables.push_back(std::move(table));
}

}  // namespace

ServerHits read_server_hits(Section& file) {
  auto section = file.section("server");
  ServerHits plan;
  plan.keys = static_cast<std::uint64_t>(section.integer("keys", 100'000, 1, 10'000'000));
  plan.value_bytes = section.bytes("value_bytes", 1024, 512, 1U << 20U);
  plan.requests = static_cast<std::uint64_t>(section.integer("requests", 10'200, 1, 1'000'000'000));
  return plan;
}

Result<void> time_server_hits(const ServerHits& wanted, Bench& bench) {
  ServerHits plan = wanted;
  plan.keys = bench.scaled(wanted.keys);
  bench.meter.phase(fmt::format("the server's own clock: {} keys and their forms", plan.keys));
  const auto redis = RedisServer::start();
  if (!redis) return redis.error();
  const auto filled = send(
      Keys(plan, Op::set),
      {.protocol = Protocol::resp, .target = redis->endpoint(), .connections = 4, .in_flight = 16});
  if (!filled) return filled.error();
  const auto instance = start(plan, *redis);
  if (!instance) return instance.error();
  if (const auto done = warm(plan, *instance); !done) return done.error();
  const auto there = pin_process(instance->child().pid(), kServersCore);
  if (!there) return there.error();
  Measure server = measure_of(plan, true);
  Measure client = measure_of(plan, false);
  const Pinned here(kClientsCore);
  for (int round = 0; round < bench.repetitions; ++round) {
    bench.meter.phase("the server's own clock: reads");
    const auto before = read_stats(instance->http());
    if (!before) return before.error();
    const auto report =
        send(Keys(plan, plan.requests, bench.seed + static_cast<std::uint64_t>(round)),
             {.protocol = Protocol::http, .target = instance->http()});
    if (!report) return report.error();
    const auto after = read_stats(instance->http());
    if (!after) return after.error();
    const auto hits = static_cast<double>(after->l1_hits - before->l1_hits);
    const auto answered = static_cast<double>(report->answered);
    const double response_bytes = static_cast<double>(report->bytes_in) / answered;
    if (hits < kLeastHits * answered || response_bytes >= static_cast<double>(plan.value_bytes)) {
      bench.result.failures.push_back(
          fmt::format("server/hit: {} of {} reads were L1 hits, of {:.0f} bytes each", hits,
                      report->answered, response_bytes));
    }
    server.repetitions.emplace_back().add(
        "", after->l1_latency.at("http").since(before->l1_latency.at("http")));
    auto& seen = client.repetitions.emplace_back();
    seen.add("", report->service_time);
    seen.values["response_bytes"] = response_bytes;
    bench.meter.advance();
  }
  bench.result.measure(std::move(server));
  bench.result.measure(std::move(client));
  add_table(plan, bench.result);
  return {};
}

}  // namespace nearlane::harness
