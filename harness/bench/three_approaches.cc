// Scenario kind `three_approaches`: sessions in sticky local maps, in a raw Redis, and in two Nearlane
// instances, in one run (claims B1, B2, B3 and the table of B13).
#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/bench/approach.h"
#include "harness/bench/in_process.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_reads.h"
#include "harness/bench/server_stats.h"
#include "harness/bench/session_app.h"
#include "harness/bench/three_approaches_tables.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kInstances = 2;
constexpr Duration kLease = std::chrono::milliseconds(250);  // the promised bound of staleness
constexpr Duration kSlack = std::chrono::milliseconds(20);   // a round trip on a busy machine

using Plan = ThreeApproachesPlan;

/// The processes of a run. Each Redis serves one approach, so that neither warms the other.
struct Fleet {
  RedisServer raw;
  RedisServer shared;
  std::vector<Instance> instances;

  [[nodiscard]] std::vector<Endpoint> doors(Protocol protocol) const {
    std::vector<Endpoint> all;
    for (const auto& instance : instances) {
      all.push_back(protocol == Protocol::resp ? instance.resp() : instance.http());
    }
    return all;
  }
};

Result<Fleet> start_fleet() {
  auto raw = RedisServer::start();
  if (!raw) return raw.error();
  auto shared = RedisServer::start();
  if (!shared) return shared.error();
  Fleet fleet{.raw = std::move(*raw), .shared = std::move(*shared), .instances = {}};
  for (std::size_t i = 0; i < kInstances; ++i) {
    auto instance = Instance::start({.name = fmt::format("nearlane {}", i + 1),
                                     .l2 = fleet.shared.url(),
                                     .flags = {"--threads", "1", "--l1-bytes", "1GiB"}});
    if (!instance) return instance.error();
    fleet.instances.push_back(std::move(*instance));
  }
  return fleet;
}

Measure client_measure(std::string id, std::string what, int processes) {
  return {.id = std::move(id),
          .what = std::move(what),
          .boundary = "client",
          .clock_starts = "request bytes given to the kernel",
          .clock_stops = "whole reply parsed",
          .processes = processes};
}

/// A measure that is a count of what happened, not a time.
Measure count_measure(std::string id, std::string what, int processes) {
  return {.id = std::move(id),
          .what = std::move(what),
          .boundary = "client",
          .clock_starts = "none",
          .clock_stops = "none",
          .loop = "closed",
          .processes = processes};
}

class ThreeApproaches {
 public:
  ThreeApproaches(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan), bench_(bench), fleet_(fleet) {}

  Result<void> run() {
    using Part = Result<void> (ThreeApproaches::*)();
    for (const Part part :
         {&ThreeApproaches::in_process, &ThreeApproaches::hot_reads, &ThreeApproaches::cold_reads,
          &ThreeApproaches::cold_reads_by_size, &ThreeApproaches::scaling,
          &ThreeApproaches::same_code, &ThreeApproaches::connections, &ThreeApproaches::failure,
          &ThreeApproaches::rolling_restart}) {
      // A part that fails leaves its cells saying so; the others still run.
      if (const auto done = (this->*part)(); !done) {
        bench_.result.failures.push_back(
            fmt::format("{}: {}", to_string(done.error().code), done.error().detail));
      }
    }
    add_three_approaches_tables(plan_, bench_.result);
    return {};
  }

 private:
  struct Target {
    std::string id;
    std::string what;
    Protocol protocol;
    Endpoint peer;
  };

  std::vector<Target> targets(std::size_t instance) const {
    const auto& nearlane = fleet_.instances[instance];
    return {{"resp/redis", "raw Redis over RESP", Protocol::resp, fleet_.raw.endpoint()},
            {"resp/nearlane", "Nearlane over RESP", Protocol::resp, nearlane.resp()},
            {"http/nearlane", "Nearlane over HTTP", Protocol::http, nearlane.http()}};
  }

  Result<void> in_process() { return time_in_process(plan_.hot_in_process, bench_); }

  Result<void> hot_reads() {
    std::vector<Measure> measures;
    for (const auto& target : targets(0)) {
      measures.push_back(client_measure("hot_read/" + target.id, "hot session, " + target.what, 2));
    }
    for (int i = 0; i < bench_.repetitions; ++i) {
      for (std::size_t t = 0; t < measures.size(); ++t) {
        bench_.meter.phase("hot reads");
        const auto target = targets(0)[t];
        Caller caller(target.protocol, target.peer);
        const auto keys = fill(caller, "hot:", plan_.hot_keys, plan_.value_bytes);
        if (!keys) return keys.error();
        Histogram warm;
        Histogram took;
        if (const auto done = read_keys(caller, *keys, warm); !done) return done.error();
        const auto wanted = draw(*keys, bench_.scaled(plan_.hot_requests),
                                 bench_.seed + static_cast<std::uint64_t>(i));
        if (const auto done = read_keys(caller, wanted, took); !done) return done.error();
        measures[t].repetitions.emplace_back().add("", took);
        bench_.meter.advance();
      }
    }
    keep_measures(measures);
    return {};
  }

  /// Sessions written through one instance and read through the other, twice. Raw Redis has no instances:
  /// there the reader is merely another connection.
  Result<void> read_elsewhere(const Target& writer, const Target& reader, std::string_view prefix,
                              std::uint64_t count, std::size_t bytes, Histogram& first,
                              Histogram& second) {
    Caller from(writer.protocol, writer.peer);
    Caller to(reader.protocol, reader.peer);
    const auto keys = fill(from, prefix, count, bytes);
    if (!keys) return keys.error();
    if (const auto done = read_keys(to, *keys, first); !done) return done.error();
    if (const auto done = read_keys(to, *keys, second); !done) return done.error();
    Request request{.kind = Op::erase};
    for (const auto& key : *keys) {
      request.key = key;
      (void)from.call(request);  // only to give the memory back
    }
    return {};
  }

  Result<void> cold_reads() {
    std::vector<Measure> measures;
    for (const auto& target : targets(1)) {
      const int processes = target.id == "resp/redis" ? 2 : 3;
      measures.push_back(client_measure("cold_read/" + target.id,
                                        "first read by another client, " + target.what, processes));
      measures.push_back(
          client_measure("second_read/" + target.id, "its second read, " + target.what, 2));
    }
    for (int i = 0; i < bench_.repetitions; ++i) {
      for (std::size_t t = 0; 2 * t < measures.size(); ++t) {
        bench_.meter.phase("cold reads");
        Histogram first;
        Histogram second;
        if (const auto done = read_elsewhere(targets(0)[t], targets(1)[t], "cold:", plan_.cold_keys,
                                             plan_.value_bytes, first, second);
            !done) {
          return done.error();
        }
        measures[2 * t].repetitions.emplace_back().add("", first);
        measures[2 * t + 1].repetitions.emplace_back().add("", second);
        bench_.meter.advance();
      }
    }
    keep_measures(measures);
    return {};
  }

  Result<void> cold_reads_by_size() {
    for (const auto bytes : plan_.sizes) {
      bench_.meter.phase(fmt::format("cold reads of {} bytes", bytes));
      for (std::size_t t = 0; t < 2; ++t) {
        const auto target = targets(1)[t];
        auto measure =
            client_measure(fmt::format("cold_read_of/{}/{}", bytes, target.id),
                           fmt::format("first read of {} bytes elsewhere", bytes), t == 0 ? 2 : 3);
        auto again = client_measure(fmt::format("second_read_of/{}/{}", bytes, target.id),
                                    fmt::format("second read of {} bytes", bytes), 2);
        Histogram first;
        Histogram second;
        if (const auto done = read_elsewhere(targets(0)[t], target, "size:", plan_.size_samples,
                                             bytes, first, second);
            !done) {
          return done.error();
        }
        measure.repetitions.emplace_back().add("", first);
        again.repetitions.emplace_back().add("", second);
        bench_.result.measure(std::move(measure));
        bench_.result.measure(std::move(again));
      }
      bench_.meter.advance();
    }
    return {};
  }

  /// One workload sent to one approach.
  Result<AppCounts> replay(const WorkloadSpec& spec, Approach& approach, Balance balance,
                           Input* input) {
    auto opened = open_workload(spec, bench_.traces);
    if (!opened) return opened.error();
    if (input != nullptr) *input = {spec.name, opened->origin, opened->absent};
    SessionApp app(approach, balance, bench_.seed);
    if (spec.source == "generated") app.log_in(spec);
    app.forget_counts();
    if (const auto done = app.run(*opened->stream); !done) return done.error();
    const auto& counts = app.counts();
    // A local map has no bound: what another instance changed it never hears of.
    const bool bounded = dynamic_cast<const Remote*>(&approach) != nullptr;
    if (counts.corrupt + counts.failed != 0 || (bounded && counts.stalest > kLease + kSlack)) {
      bench_.result.failures.push_back(fmt::format(
          "{}: {} reads corrupt, {} requests failed, {} stale, the stalest by {} ms", spec.name,
          counts.corrupt, counts.failed, counts.stale,
          std::chrono::duration_cast<std::chrono::milliseconds>(counts.stalest).count()));
    }
    return counts;
  }

  void add_counts(const std::string& id, const std::string& what, const AppCounts& counts,
                  int processes) {
    auto measure = client_measure(id, what, processes);
    auto& repetition = measure.repetitions.emplace_back();
    repetition.add("", counts.found_took);
    const auto reads = static_cast<double>(counts.reads);
    repetition.values["reads_count"] = reads;
    repetition.values["existing_share"] = static_cast<double>(counts.existing) / reads;
    repetition.values["found_share"] = counts.found_share();
    repetition.values["not_found_count"] = static_cast<double>(counts.not_found);
    repetition.values["stale_count"] = static_cast<double>(counts.stale);
    repetition.values["hit_share"] = static_cast<double>(counts.found) / reads;
    repetition.values["l1_share"] = counts.l1_share();
    repetition.values["l1_hits_count"] = static_cast<double>(counts.l1);
    repetition.values["could_be_l1_share"] =
        static_cast<double>(counts.could_be_l1) /
        static_cast<double>(std::max<std::uint64_t>(counts.existing, 1));
    repetition.values["stalest_ns"] = static_cast<double>(counts.stalest.count());
    bench_.result.measure(std::move(measure));
  }

  Result<std::vector<ServerStats>> all_stats() const {
    std::vector<ServerStats> all;
    for (const auto& instance : fleet_.instances) {
      auto stats = read_stats(instance.http());
      if (!stats) return stats.error();
      all.push_back(std::move(*stats));
    }
    return all;
  }

  Result<void> scaling() {
    for (auto spec : plan_.workloads) {
      spec.operations =
          spec.source == "generated" ? bench_.scaled(spec.operations) : spec.operations;
      const auto id = [&](std::string_view approach) {
        return fmt::format("scaling/{}/{}", spec.name, approach);
      };
      bench_.meter.phase(fmt::format("{}: sticky local maps", spec.name));
      Input input;
      for (const auto balance : {Balance::affinity, Balance::random}) {
        LocalMaps maps(kInstances);
        const auto counts = replay(spec, maps, balance, &input);
        if (!counts) return counts.error();
        const bool sticky = balance == Balance::affinity;
        add_counts(id(sticky ? "sticky" : "sticky_random"),
                   fmt::format("local maps, {} balancing", sticky ? "sticky" : "random"), *counts,
                   1);
      }
      bench_.result.inputs.push_back(input);
      bench_.meter.advance();

      bench_.meter.phase(fmt::format("{}: raw Redis", spec.name));
      Remote redis(Protocol::resp, {fleet_.raw.endpoint(), fleet_.raw.endpoint()});
      const auto raw = replay(spec, redis, Balance::random, nullptr);
      if (!raw) return raw.error();
      add_counts(id("redis"), "raw Redis, random balancing", *raw, 2);
      bench_.meter.advance();

      bench_.meter.phase(fmt::format("{}: two Nearlane instances", spec.name));
      Remote nearlane(Protocol::http, fleet_.doors(Protocol::http));
      const auto before = all_stats();
      if (!before) return before.error();
      const auto tiered = replay(spec, nearlane, Balance::random, nullptr);
      if (!tiered) return tiered.error();
      add_counts(id("nearlane"), "two Nearlane instances, random balancing, HTTP", *tiered, 4);
      const auto after = all_stats();
      if (!after) return after.error();
      compare_counters(spec.name, *tiered, *before, *after);
      bench_.meter.advance();
    }
    return {};
  }

  /// The server's count of L1 hits and the client's (X-Cache) are of the same requests and must agree.
  void compare_counters(const std::string& workload, const AppCounts& client,
                        const std::vector<ServerStats>& before,
                        const std::vector<ServerStats>& after) {
    std::uint64_t hits = 0;
    std::uint64_t pushes = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      hits += after[i].l1_hits - before[i].l1_hits;
      pushes += after[i].invalidations - before[i].invalidations;
    }
    auto measure = count_measure(fmt::format("server_counts/{}", workload),
                                 "the instances' own counters over the same run", 4);
    measure.boundary = "server";
    auto& values = measure.repetitions.emplace_back().values;
    values["l1_hits_count"] = static_cast<double>(hits);
    values["invalidations_count"] = static_cast<double>(pushes);
    bench_.result.measure(std::move(measure));
    const auto difference = hits > client.l1 ? hits - client.l1 : client.l1 - hits;
    // 0.1 % of the reads, as the harness promises.
    if (difference * 1000 > client.reads) {
      bench_.result.failures.push_back(
          fmt::format("{}: the servers count {} L1 hits, their client {} of {} reads", workload,
                      hits, client.l1, client.reads));
    }
  }

  /// The commands of a session store, sent by the same client code to Redis and to Nearlane.
  Result<void> same_code() {
    bench_.meter.phase("the same client code");
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
    auto redis = fleet_.raw.client();
    RedisClient nearlane(fleet_.instances[0].resp());
    std::uint64_t same = 0;
    for (const auto& command : commands) {
      const auto expected = redis.command(command);
      if (!expected) return expected.error();
      const auto answered = nearlane.command(command);
      if (answered && alike(*expected, *answered)) {
        ++same;
      } else {
        bench_.result.failures.push_back(
            fmt::format("{} is answered differently from Redis", fmt::join(command, " ")));
      }
    }
    auto measure = count_measure("same_code", "session store commands, only host:port changed", 3);
    auto& values = measure.repetitions.emplace_back().values;
    values["same_count"] = static_cast<double>(same);
    values["commands_count"] = static_cast<double>(commands.size());
    bench_.result.measure(std::move(measure));
    bench_.meter.advance();
    return {};
  }

  static bool alike(const RedisReply& a, const RedisReply& b) {
    if (a.kind != b.kind || a.text != b.text || a.integer != b.integer ||
        a.elements.size() != b.elements.size()) {
      return false;
    }
    return std::equal(a.elements.begin(), a.elements.end(), b.elements.begin(), alike);
  }

  static Result<std::uint64_t> connections_of(const RedisServer& redis) {
    auto client = redis.client();
    const auto listed = client.command({"CLIENT", "LIST", "TYPE", "normal"});
    if (!listed) return listed.error();
    const auto lines = std::count(listed->text.begin(), listed->text.end(), '\n');
    return static_cast<std::uint64_t>(std::max<std::int64_t>(lines - 1, 0));  // not our own
  }

  /// Many clients, each with a connection of its own that has been used, and what reaches Redis of them.
  Result<void> connections() {
    bench_.meter.phase("fan-in of connections");
    const auto connect_all = [&](const std::vector<Endpoint>& peers,
                                 std::deque<Caller>& callers) -> Result<void> {
      Request request;
      request.key = "fan:in";
      for (std::uint64_t i = 0; i < plan_.fan_in; ++i) {
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
    values["clients_count"] = static_cast<double>(plan_.fan_in);
    for (const auto& [name, redis, peers] :
         {std::tuple{"redis_count", &fleet_.raw, std::vector{fleet_.raw.endpoint()}},
          std::tuple{"nearlane_count", &fleet_.shared, fleet_.doors(Protocol::resp)}}) {
      std::deque<Caller> callers;
      if (const auto done = connect_all(peers, callers); !done) return done.error();
      const auto counted = connections_of(*redis);
      if (!counted) return counted.error();
      values[name] = static_cast<double>(*counted);
    }
    bench_.result.measure(std::move(measure));
    bench_.meter.advance();
    return {};
  }

  WorkloadSpec writing() const {
    WorkloadSpec spec;
    spec.name = "failover";
    spec.source = "generated";
    spec.seed = bench_.seed;
    spec.operations = bench_.scaled(plan_.failover_requests);
    spec.sizes = {{plan_.value_bytes, 1.0}};
    spec.ttl = std::chrono::minutes(30);
    spec.keys = 2000;
    spec.distribution = "uniform";
    spec.mix = {0.5, 0.5, 0, 0};
    spec.prefix = "fail:";
    return spec;
  }

  static void add_lost(Measure& measure, const SessionApp& app, const SessionApp::ReadBack& read) {
    auto& values = measure.repetitions.emplace_back().values;
    values["acknowledged_count"] = static_cast<double>(read.acknowledged);
    values["lost_count"] = static_cast<double>(read.lost);
    values["unread_count"] = static_cast<double>(read.failed);
    values["retried_count"] = static_cast<double>(app.counts().retried);
    values["failed_count"] = static_cast<double>(app.counts().failed);
    values["stale_count"] = static_cast<double>(app.counts().stale);
  }

  /// Half-way through a run of reads and writes one of two instances is killed with SIGKILL; afterwards every
  /// acknowledged session is read through the other.
  Result<void> failure() {
    bench_.meter.phase("kill -9 of one instance");
    const auto spec = writing();
    {
      LocalMaps maps(kInstances);
      SessionApp app(maps, Balance::affinity, bench_.seed);
      app.log_in(spec);
      maps.lose(0);
      // Affinity would now send everyone to the instance that is left.
      auto measure = count_measure("failure/sticky", "one of two local maps is gone", 1);
      add_lost(measure, app, app.read_back(1));
      bench_.result.measure(std::move(measure));
    }
    {
      Remote redis(Protocol::resp, {fleet_.raw.endpoint(), fleet_.raw.endpoint()});
      SessionApp app(redis, Balance::random, bench_.seed);
      app.log_in(spec);
      auto measure =
          count_measure("failure/redis", "one of two clients is gone; Redis itself stays", 2);
      add_lost(measure, app, app.read_back(1));
      bench_.result.measure(std::move(measure));
    }
    Remote nearlane(Protocol::http, fleet_.doors(Protocol::http));
    SessionApp app(nearlane, Balance::random, bench_.seed);
    app.log_in(spec);
    app.forget_counts();
    auto opened = open_workload(spec, "");
    if (!opened) return opened.error();
    // The kill comes from another thread, so that it also falls between a request and its reply.
    std::atomic<bool> half_way{false};
    std::thread killer([&] {
      half_way.wait(false);
      fleet_.instances[0].kill();
    });
    const auto done = app.run(*opened->stream, [&] {
      if (app.counts().requests == spec.operations / 2) {
        half_way.store(true);
        half_way.notify_one();
      }
      return true;
    });
    half_way.store(true);
    half_way.notify_one();
    killer.join();
    if (!done) return done.error();
    const auto first = app.read_back(1);
    const auto second = app.read_back(1);
    auto measure = count_measure("failure/nearlane", "one of two instances is killed", 4);
    add_lost(measure, app, first);
    const auto acknowledged = static_cast<double>(std::max<std::uint64_t>(second.acknowledged, 1));
    measure.repetitions[0].values["rebuilt_l1_share"] =
        static_cast<double>(second.l1) / acknowledged;
    bench_.result.measure(std::move(measure));
    if (first.lost + first.failed != 0) {
      bench_.result.failures.push_back(
          fmt::format("failure: {} acknowledged sessions lost, {} could not be read", first.lost,
                      first.failed));
    }
    bench_.meter.advance();
    return {};
  }

  /// Each instance in turn is drained with SIGTERM and started again while requests go on.
  Result<void> rolling_restart() {
    bench_.meter.phase("rolling restart");
    auto spec = writing();
    spec.operations = UINT64_MAX;  // until the restarts are over
    {
      LocalMaps maps(kInstances);
      SessionApp app(maps, Balance::affinity, bench_.seed);
      app.log_in(spec);
      for (std::size_t i = 0; i < kInstances; ++i) maps.lose(i);
      auto measure = count_measure("rolling/sticky", "every local map is restarted in turn", 1);
      add_lost(measure, app, app.read_back(0));
      bench_.result.measure(std::move(measure));
    }
    if (const auto again = fleet_.instances[0].restart(); !again) return again.error();
    Remote nearlane(Protocol::http, fleet_.doors(Protocol::http));
    SessionApp app(nearlane, Balance::random, bench_.seed);
    app.log_in(spec);
    app.forget_counts();
    auto opened = open_workload(spec, "");
    if (!opened) return opened.error();
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> sent{0};
    Result<void> restarted;
    std::thread deployer([&] {
      const auto traffic = [&sent, more = plan_.rolling_requests] {
        const auto until = sent.load() + more;
        for (auto seen = sent.load(); seen < until; seen = sent.load()) sent.wait(seen);
      };
      for (auto& instance : fleet_.instances) {
        traffic();
        if (const auto drained = instance.drain(); !drained) restarted = drained.error();
        if (const auto again = instance.restart(); !again) restarted = again.error();
      }
      traffic();
      over.store(true);
    });
    const auto done = app.run(*opened->stream, [&] {
      ++sent;
      sent.notify_one();
      return !over.load();
    });
    // An application that ended early must not leave the other thread waiting for its requests.
    sent.store(UINT64_MAX);
    sent.notify_one();
    deployer.join();
    if (!done) return done.error();
    if (!restarted) return restarted.error();
    auto measure = count_measure("rolling/nearlane", "every instance is restarted in turn", 4);
    const auto read = app.read_back(0);
    add_lost(measure, app, read);
    measure.repetitions[0].values["requests_count"] = static_cast<double>(app.counts().requests);
    bench_.result.measure(std::move(measure));
    if (read.lost + read.failed != 0) {
      bench_.result.failures.push_back(
          fmt::format("rolling restart: {} acknowledged sessions lost, {} could not be read",
                      read.lost, read.failed));
    }
    bench_.meter.advance();
    return {};
  }

  void keep_measures(std::vector<Measure>& measures) {
    for (auto& measure : measures) bench_.result.measure(std::move(measure));
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
};

std::uint64_t steps_of(const Plan& plan, const Bench& bench) {
  const auto rounds = static_cast<std::uint64_t>(bench.repetitions);
  return in_process_steps(plan.hot_in_process, bench) + 3 * rounds + 3 * rounds +
         plan.sizes.size() + 3 * plan.workloads.size() + 4;
}

}  // namespace

Body read_three_approaches(Section& file) {
  Plan plan;
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
    auto fleet = start_fleet();
    if (!fleet) return fleet.error();
    return ThreeApproaches(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
