// Scenario kind `three_approaches`: sessions in sticky local maps, in a raw Redis, and in two Nearlane
// instances, in one run (claims B1, B2, B3 and the table of B13).
#include "harness/bench/three_approaches.h"

#include <algorithm>
#include <array>
#include <deque>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/bench/caller.h"
#include "harness/bench/in_process.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace three_approaches {

std::vector<Endpoint> Fleet::doors(Protocol protocol) const {
  std::vector<Endpoint> all;
  for (const auto& instance : instances) {
    all.push_back(protocol == Protocol::resp ? instance.resp() : instance.http());
  }
  return all;
}

Measure client_measure(std::string id, std::string what, int processes) {
  return {.id = std::move(id),
          .what = std::move(what),
          .boundary = "client",
          .clock_starts = "request bytes given to the kernel",
          .clock_stops = "whole reply parsed",
          .processes = processes};
}

Measure count_measure(std::string id, std::string what, int processes) {
  return {.id = std::move(id),
          .what = std::move(what),
          .boundary = "client",
          .clock_starts = "none",
          .clock_stops = "none",
          .loop = "closed",
          .processes = processes};
}

namespace {

Result<Fleet> start_fleet(const ThreeApproachesPlan& plan) {
  auto raw = RedisServer::start();
  if (!raw) return raw.error();
  std::vector<std::string> room;
  if (plan.redis_bytes > 0) {
    room = {"--maxmemory", std::to_string(plan.redis_bytes), "--maxmemory-policy",
            "allkeys-random"};
  }
  auto shared = RedisServer::start({.config = room});
  if (!shared) return shared.error();
  Fleet fleet{.raw = std::move(*raw), .shared = std::move(*shared), .instances = {}};
  for (std::size_t i = 0; i < kInstances; ++i) {
    auto instance = Instance::start(
        {.name = fmt::format("nearlane {}", i + 1),
         .l2 = fleet.shared.url(),
         .flags = {"--threads", "1", "--l1-bytes", "1GiB", "--coherence", plan.coherence}});
    if (!instance) return instance.error();
    fleet.instances.push_back(std::move(*instance));
  }
  return fleet;
}

Result<void> in_process(Stage& stage) {
  return time_in_process(stage.plan.hot_in_process, stage.bench);
}

bool alike(const RedisReply& a, const RedisReply& b) {
  if (a.kind != b.kind || a.text != b.text || a.integer != b.integer ||
      a.elements.size() != b.elements.size()) {
    return false;
  }
  return std::equal(a.elements.begin(), a.elements.end(), b.elements.begin(), alike);
}

/// The commands of a session store, sent by the same client code to Redis and to Nearlane.
Result<void> same_code(Stage& stage) {
  stage.bench.meter.phase("the same client code");
  const std::string big(4000, 'x');
  const std::vector<std::vector<std::string_view>> commands = {
      {"PING"},
      {"SET", "code:a", "1", "EX", "60"},
      {"GET", "code:a"},
      {"TTL", "code:a"},
      {"SETEX", "code:b", "100", big},
      {"STRLEN", "code:b"},
      {"GET", "code:b"},
      {"EXPIRE", "code:b", "30"},
      {"TTL", "code:b"},
      {"EXISTS", "code:a", "code:b", "code:none"},
      {"MGET", "code:a", "code:none", "code:b"},
      {"SETNX", "code:a", "2"},
      {"INCR", "code:a"},
      {"GETSET", "code:a", "9"},
      {"GETEX", "code:a", "EX", "5"},
      {"PERSIST", "code:a"},
      {"TTL", "code:a"},
      {"APPEND", "code:a", "!"},
      {"TYPE", "code:a"},
      {"GETDEL", "code:a"},
      {"GET", "code:a"},
      {"DEL", "code:b", "code:none"},
      {"GET"},
      {"INCR", "code:a", "x"},
  };
  auto redis = stage.fleet.raw.client();
  RedisClient nearlane(stage.fleet.instances[0].resp());
  std::uint64_t same = 0;
  for (const auto& command : commands) {
    const auto expected = redis.command(command);
    if (!expected) return expected.error();
    const auto answered = nearlane.command(command);
    if (answered && alike(*expected, *answered)) {
      ++same;
    } else {
      stage.bench.result.failures.push_back(
          fmt::format("{} is answered differently from Redis", fmt::join(command, " ")));
    }
  }
  auto measure = count_measure("same_code", "session store commands, only host:port changed", 3);
  auto& values = measure.repetitions.emplace_back().values;
  values["same_count"] = static_cast<double>(same);
  values["commands_count"] = static_cast<double>(commands.size());
  stage.bench.result.measure(std::move(measure));
  stage.bench.meter.advance();
  return {};
}

Result<std::uint64_t> connections_of(const RedisServer& redis) {
  auto client = redis.client();
  const auto listed = client.command({"CLIENT", "LIST", "TYPE", "normal"});
  if (!listed) return listed.error();
  const auto lines = std::count(listed->text.begin(), listed->text.end(), '\n');
  return static_cast<std::uint64_t>(std::max<std::int64_t>(lines - 1, 0));  // not our own
}

/// Many clients, each with a connection of its own that has been used, and what reaches Redis of them.
Result<void> connections(Stage& stage) {
  stage.bench.meter.phase("fan-in of connections");
  const auto connect_all = [&](const std::vector<Endpoint>& peers,
                               std::deque<Caller>& callers) -> Result<void> {
    Request request;
    request.key = "fan:in";
    for (std::uint64_t i = 0; i < stage.plan.fan_in; ++i) {
      callers.emplace_back(Protocol::resp, peers[i % peers.size()]);
      const auto answer = callers.back().call(request);
      if (answer.outcome == Outcome::error) {
        return Error{Errc::unavailable, fmt::format("client {}: {}", i, answer.value)};
      }
    }
    return {};
  };
  auto measure = count_measure("connections", "connections that reach Redis", 4);
  auto& values = measure.repetitions.emplace_back().values;
  values["clients_count"] = static_cast<double>(stage.plan.fan_in);
  for (const auto& [name, redis, peers] :
       {std::tuple{"redis_count", &stage.fleet.raw, std::vector{stage.fleet.raw.endpoint()}},
        std::tuple{"nearlane_count", &stage.fleet.shared, stage.fleet.doors(Protocol::resp)}}) {
    std::deque<Caller> callers;
    if (const auto done = connect_all(peers, callers); !done) return done.error();
    const auto counted = connections_of(*redis);
    if (!counted) return counted.error();
    values[name] = static_cast<double>(*counted);
  }
  stage.bench.result.measure(std::move(measure));
  stage.bench.meter.advance();
  return {};
}

struct Part {
  const char* name;
  Result<void> (*run)(Stage& stage);
  std::uint64_t (*steps)(const ThreeApproachesPlan& plan, const Bench& bench);
};

std::uint64_t one_step(const ThreeApproachesPlan&, const Bench&) { return 1; }
std::uint64_t three_a_round(const ThreeApproachesPlan&, const Bench& bench) {
  return 3 * static_cast<std::uint64_t>(bench.repetitions);
}

constexpr std::array<Part, 9> kParts = {{
    {"in_process", in_process,
     [](const ThreeApproachesPlan& plan, const Bench& bench) {
       return in_process_steps(plan.hot_in_process, bench);
     }},
    {"hot_reads", hot_reads, three_a_round},
    {"cold_reads", cold_reads, three_a_round},
    {"cold_reads_by_size", cold_reads_by_size,
     [](const ThreeApproachesPlan& plan, const Bench&) -> std::uint64_t {
       return plan.sizes.size();
     }},
    {"scaling", scaling,
     [](const ThreeApproachesPlan& plan, const Bench&) -> std::uint64_t {
       return 3 * plan.workloads.size();
     }},
    {"same_code", same_code, one_step},
    {"connections", connections, one_step},
    {"failure", failure, one_step},
    {"rolling_restart", rolling_restart, one_step},
}};

Result<void> run(Stage stage) {
  for (const Part& part : kParts) {
    if (!stage.plan.has(part.name)) continue;
    // A part that fails leaves its cells saying so; the others still run.
    if (const auto done = part.run(stage); !done) {
      stage.bench.result.failures.push_back(
          fmt::format("{}: {}", to_string(done.error().code), done.error().detail));
    }
  }
  add_three_approaches_tables(stage.plan, stage.bench.result);
  return {};
}

std::uint64_t steps_of(const ThreeApproachesPlan& plan, const Bench& bench) {
  std::uint64_t steps = 0;
  for (const Part& part : kParts) {
    if (plan.has(part.name)) steps += part.steps(plan, bench);
  }
  return steps;
}

}  // namespace
}  // namespace three_approaches

Body read_three_approaches(Section& file) {
  using namespace three_approaches;
  ThreeApproachesPlan plan;
  std::vector<std::string> parts;
  parts.reserve(kParts.size());
  for (const Part& part : kParts) parts.emplace_back(part.name);
  plan.parts = file.some_of("parts", parts);
  auto sessions = file.section("sessions");
  plan.value_bytes = sessions.bytes("value_bytes", 3500, kMinDocumentBytes, 1U << 26U);
  plan.hot_keys = static_cast<std::uint64_t>(sessions.integer("hot_keys", 1000, 1, 1'000'000));
  plan.hot_requests =
      static_cast<std::uint64_t>(sessions.integer("hot_requests", 10'000, 1, 1'000'000'000));
  plan.cold_keys = static_cast<std::uint64_t>(sessions.integer("cold_keys", 10'000, 1, 10'000'000));
  plan.size_samples = static_cast<std::uint64_t>(sessions.integer("size_samples", 200, 1, 100'000));
  for (const auto& size : sessions.texts("sizes", {})) {
    const auto bytes = parse_bytes(size);
    if (!bytes) sessions.problem("sizes", bytes.error().detail);
    plan.sizes.push_back(bytes ? *bytes : kMinDocumentBytes);
  }
  plan.failover_requests =
      static_cast<std::uint64_t>(sessions.integer("failover_requests", 10'000, 2, 1'000'000'000));
  plan.rolling_requests =
      static_cast<std::uint64_t>(sessions.integer("rolling_requests", 2'000, 1, 1'000'000'000));
  plan.restarts_all_at_once = sessions.flag("restarts_all_at_once", false);
  plan.redis_bytes = sessions.bytes("redis_bytes", 0, 0, std::uint64_t{1} << 40U);
  plan.coherence = sessions.choice("coherence", "lanes", {"lanes", "none"});
  plan.fan_in = static_cast<std::uint64_t>(sessions.integer("fan_in", 200, 1, 9'000));
  for (auto& section : file.sections("workload")) plan.workloads.push_back(read_workload(section));
  if (plan.workloads.empty()) file.problem("workload", "is missing: at least one [[workload]]");
  auto& hot = plan.hot_in_process;
  hot.maps = {sessions.text("map", "native")};
  hot.l1_bytes = std::uint64_t{1} << 30U;
  hot.workload = {.name = "hot sessions",
                  .source = "generated",
                  .operations = 500'000,
                  .sizes = {{plan.value_bytes, 1.0}},
                  .keys = plan.hot_keys,
                  .distribution = "uniform",
                  .mix = {1, 0, 0, 0},
                  .prefix = "ses:"};
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, steps_of(plan, bench));
    bench.meter.phase("starting Redis and instances");
    auto fleet = start_fleet(plan);
    if (!fleet) return fleet.error();
    return run({.plan = plan, .bench = bench, .fleet = *fleet});
  };
}

}  // namespace nearlane::harness
