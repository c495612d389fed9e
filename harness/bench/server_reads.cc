#include "harness/bench/server_reads.h"

#include <fmt/format.h>

#include "harness/bench/server_stats.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kServerStarts = "request bytes in user space";
constexpr std::string_view kServerStops = "response bytes ready";

Error unexpected(std::string_view what, const std::string& key, const Answer& answer) {
  return {Errc::protocol, fmt::format("{} of {}: {} {} {}", what, key, to_string(answer.outcome),
                                      to_string(answer.failure), answer.value.substr(0, 200))};
}

struct Door {
  const char* name;
  Protocol protocol;
};
constexpr Door kDoors[] = {{"resp", Protocol::resp}, {"http", Protocol::http}};

}  // namespace

Caller caller_of(Protocol protocol, const Instance& instance) {
  return {protocol, protocol == Protocol::resp ? instance.resp() : instance.http()};
}

Result<std::vector<std::string>> fill(Caller& caller, std::string_view prefix, std::uint64_t count,
                                      std::size_t bytes) {
  std::vector<std::string> keys;
  Request request{.kind = Op::set};
  for (std::uint64_t number = 0; number < count; ++number) {
    write_key_name(prefix, number, request.key);
    write_document(request.key, 1, bytes, request.value);
    const auto answer = caller.call(request);
    if (answer.outcome != Outcome::ok) return unexpected("set", request.key, answer);
    keys.push_back(request.key);
  }
  return keys;
}

Result<void> read_keys(Caller& caller, const std::vector<std::string>& keys, Histogram& took) {
  Request request;
  for (const auto& key : keys) {
    request.key = key;
    const auto answer = caller.call(request);
    if (!found(answer.outcome) || !verify_document(key, answer.value)) {
      return unexpected("get", key, answer);
    }
    took.record(answer.took);
  }
  return {};
}

std::vector<std::string> draw(const std::vector<std::string>& keys, std::uint64_t count,
                              std::uint64_t seed) {
  Random random(seed);
  std::vector<std::string> drawn;
  drawn.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) drawn.push_back(keys[random.below(keys.size())]);
  return drawn;
}

ServerReads read_server_reads(Section& file) {
  auto section = file.section("server");
  ServerReads plan;
  plan.keys = static_cast<std::uint64_t>(section.integer("keys", 1000, 1, 10'000'000));
  plan.value_bytes = section.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  plan.requests = static_cast<std::uint64_t>(section.integer("requests", 12'000, 1, 1'000'000'000));
  plan.l1_bytes = section.bytes("l1_bytes", plan.l1_bytes, 1U << 20U, std::uint64_t{1} << 40U);
  return plan;
}

Result<void> run_server_reads(const ServerReads& plan, Bench& bench) {
  bench.meter.phase("server: start and fill");
  const auto redis = RedisServer::start();
  if (!redis) return redis.error();
  const auto instance =
      Instance::start({.l2 = redis->url(),
                       .flags = {"--threads", "1", "--l1-bytes", std::to_string(plan.l1_bytes)}});
  if (!instance) return instance.error();
  auto writer = caller_of(Protocol::resp, *instance);
  const auto keys = fill(writer, "key:", plan.keys, plan.value_bytes);
  if (!keys) return keys.error();

  Measure measures[2][2];
  for (std::size_t door = 0; door < 2; ++door) {
    for (const bool server : {true, false}) {
      Measure& made = measures[door][server ? 0 : 1];
      made.id = fmt::format("{}/{}", server ? "server" : "client", kDoors[door].name);
      made.what = fmt::format("GET of a key in L1 over {}", kDoors[door].name);
      made.boundary = server ? "server" : "client";
      made.clock_starts = server ? kServerStarts : "request bytes given to the kernel";
      made.clock_stops = server ? kServerStops : "whole reply parsed";
      made.processes = 2;
      made.parameters = {{"keys", fmt::format("{}", plan.keys)},
                         {"value_bytes", fmt::format("{}", plan.value_bytes)},
                         {"connections", "1"},
                         {"pipeline", "1"}};
    }
  }
  for (int i = 0; i < bench.repetitions; ++i) {
    for (std::size_t door = 0; door < 2; ++door) {
      bench.meter.phase(fmt::format("server: reads over {}", kDoors[door].name));
      auto caller = caller_of(kDoors[door].protocol, *instance);
      Histogram warm;
      if (const auto done = read_keys(caller, *keys, warm); !done) return done.error();
      const auto before = read_stats(instance->http());
      if (!before) return before.error();
      Histogram took;
      const auto wanted =
          draw(*keys, bench.scaled(plan.requests), bench.seed + static_cast<std::uint64_t>(i));
      if (const auto done = read_keys(caller, wanted, took); !done) return done.error();
      const auto after = read_stats(instance->http());
      if (!after) return after.error();
      const auto hits = after->l1_hits - before->l1_hits;
      // A read whose lane was between two leases is confirmed by L2 first and is no L1 hit.
      if (hits * 100 < wanted.size() * 99) {
        bench.result.failures.push_back(fmt::format("{}: only {} of {} reads were L1 hits",
                                                    kDoors[door].name, hits, wanted.size()));
      }
      const auto latency = [&](const ServerStats& stats) {
        const auto at = stats.l1_latency.find(kDoors[door].name);
        return at == stats.l1_latency.end() ? Histogram() : at->second;
      };
      measures[door][0].repetitions.emplace_back().add("", latency(*after).since(latency(*before)));
      measures[door][1].repetitions.emplace_back().add("", took);
      bench.meter.advance();
    }
  }
  Table table;
  table.title =
      "GET of a key in L1, one connection (published for HTTP, server side: p50 1.5 µs, p99 3.7 "
      "µs)";
  table.columns = {"door", "clock", "p50", "p99", "p99.9", "max"};
  for (auto& door : measures) {
    for (auto& measure : door) {
      const auto& id = measure.id;
      table.rows.push_back({{Cell::of(id.substr(id.find('/') + 1))},
                            {Cell::of(measure.boundary)},
                            {Cell::of(id, "p50_ns")},
                            {Cell::of(id, "p99_ns")},
                            {Cell::of(id, "p999_ns")},
                            {Cell::of(id, "max_ns")}});
      bench.result.measure(std::move(measure));
    }
  }
  bench.result.tables.push_back(std::move(table));
  return {};
}

}  // namespace nearlane::harness
