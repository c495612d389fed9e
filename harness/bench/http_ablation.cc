// Scenario kind `http_ablation`: what a hit over HTTP costs with each optimisation left out (claims A11, A12).
#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/driver/generator.h"
#include "harness/driver/workload_source.h"
#include "harness/topology/instance.h"
#include "harness/topology/process_cpu.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr unsigned kLanes = 4;
constexpr std::string_view kApiKey = "ablation-key-of-sixteen";
constexpr std::string_view kPrefix = "ablation:";

struct Plan {
  std::uint64_t keys = 0;
  std::uint64_t value_bytes = 0;
  std::uint64_t requests = 0;
  std::uint32_t connections = 0;
  Duration load_for{};
  bool authorises = true;
};

struct Variant {
  const char* id;
  const char* what;
  std::vector<std::string> flags;
  bool compresses = true;  // ahead of time
  bool authorises = true;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> kAll{
      {"all", "all of them", {}},
      {"no_fast_lane", "no fast lane", {"--http-fast-lane", "false"}},
      {"no_precompression",
       "no compressed forms: the value as it is",
       {"--precompress", "off"},
       false},
      {"no_auth", "no API key", {}, true, false},
      {"none",
       "none: compression a request, full middleware (profile v3.0)",
       {"--profile", "v3.0"},
       false}};
  return kAll;
}

/// What a session store keeps: field names that repeat, values that do not.
std::string session_of(std::uint64_t number, std::size_t bytes) {
  std::string json =
      fmt::format(R"({{"id":"{:016x}","user":{},"roles":["reader","editor"],"items":[)",
                  number * 0x9E3779B97F4A7C15U, number);
  for (std::uint64_t item = 0; json.size() + 80 < bytes; ++item) {
    const std::uint64_t drawn = (number * 1000 + item) * 0x9E3779B97F4A7C15U;
    json += fmt::format(R"({{"sku":"{:08x}","quantity":{},"price":{}.{:02}}},)", drawn >> 32U,
                        drawn % 9 + 1, drawn % 400, drawn % 100);
  }
  json += R"({}],"note":")";
  json.append(bytes - std::min(bytes, json.size() + 2), '.');
  return json + R"("})";
}

/// `count` reads of keys that are drawn uniformly; or without an end.
WorkloadSpec reads(const Plan& plan, std::uint64_t count, std::uint64_t seed) {
  WorkloadSpec spec;
  spec.source = "generated";
  spec.seed = seed;
  spec.operations = count;
  spec.sizes = {{plan.value_bytes, 1.0}};
  spec.keys = plan.keys;
  spec.distribution = "uniform";
  spec.mix = {1, 0, 0, 0};
  spec.prefix = kPrefix;
  return spec;
}

class Ablated {
 public:
  static Result<Ablated> start(const Variant& variant, const Plan& plan, const RedisServer& redis,
                               const std::string& key_file) {
    std::vector<std::string> flags{"--threads", "1",      "--l1-bytes",
                                   "256MiB",    "--pool", std::to_string(kLanes)};
    flags.insert(flags.end(), variant.flags.begin(), variant.flags.end());
    if (variant.authorises && plan.authorises)
      flags.insert(flags.end(), {"--api-key-file", key_file});
    auto instance = Instance::start({.name = variant.id, .l2 = redis.url(), .flags = flags});
    if (!instance) return instance.error();
    if (const auto up = instance->lanes_up_within(kLanes, kPatience); !up) return up.error();
    if (variant.authorises && http_get(instance->http(), "/stats"))
      return Error{Errc::protocol, fmt::format("{}: answers without an API key", variant.id)};
    return Ablated(variant, std::move(*instance));
  }

  /// Reads until all is in L1, and has the forms that it is to have: a read offers a value to be compressed, unless too many
  /// wait for that already.
  Result<void> warm(const Plan& plan) {
    const TimePoint until = Clock::now() + kPatience;
    for (std::uint64_t seed = 1;; ++seed) {
      const auto sent = send(plan, 2 * plan.keys, seed, 1, kPatience);
      if (!sent) return sent.error();
      const auto now = stats();
      if (!now) return now.error();
      if (now->l1_entries == plan.keys &&
          (!variant_->compresses || now->precompressed >= plan.keys))
        return {};
      if (Clock::now() > until) {
        return Error{Errc::timeout,
                     fmt::format("{}: of {} values {} are in L1, {} were compressed", variant_->id,
                                 plan.keys, now->l1_entries, now->precompressed)};
      }
    }
  }

  Result<void> measure(const Plan& plan, std::uint64_t requests, std::uint64_t seed) {
    const auto before = stats();
    if (!before) return before.error();
    const auto alone = send(plan, requests, seed, 1, kPatience);
    if (!alone) return alone.error();
    const auto after = stats();
    if (!after) return after.error();
    server_.repetitions.emplace_back().add(
        "", after->l1_latency.at("http").since(before->l1_latency.at("http")));
    client_.repetitions.emplace_back().add("", alone->service_time);

    const ProcessTree server(instance_.child().pid());
    const Duration before_load = server.cpu();
    const auto crowd = send(plan, UINT64_MAX, seed, plan.connections, plan.load_for);
    if (!crowd) return crowd.error();
    const Duration used = server.cpu() - before_load;
    const auto answered = static_cast<double>(std::max<std::uint64_t>(crowd->answered, 1));
    auto& repetition = load_.repetitions.emplace_back();
    repetition.values["cpu_ns_per_op"] = static_cast<double>(used.count()) / answered;
    repetition.values["rate_per_s"] = crowd->achieved_rate;
    repetition.values["response_bytes"] = static_cast<double>(crowd->bytes_in) / answered;
    return {};
  }

  void keep(ScenarioResult& result) {
    for (auto* one : {&server_, &client_, &load_}) result.measure(std::move(*one));
  }
  [[nodiscard]] const char* id() const noexcept { return variant_->id; }

 private:
  Ablated(const Variant& variant, Instance instance)
      : variant_(&variant), instance_(std::move(instance)) {
    const auto made = [&](const char* where, const char* what) {
      return Measure{.id = fmt::format("{}/{}", variant.id, where),
                     .what = fmt::format("{}, {}", variant.what, what),
                     .boundary = "client",
                     .clock_starts = "request bytes given to the kernel",
                     .clock_stops = "whole reply parsed",
                     .processes = 2};
    };
    server_ = made("server", "GET that L1 answers, one connection");
    server_.boundary = "server";
    server_.clock_starts = "request bytes in user space";
    server_.clock_stops = "response bytes ready";
    client_ = made("client", "the same, as the client sees it");
    load_ = made("load", "GET, closed loop of many connections");
  }

  [[nodiscard]] std::string headers() const {
    std::string lines = "Accept-Encoding: br, gzip\r\n";
    if (variant_->authorises) lines += fmt::format("Authorization: Bearer {}\r\n", kApiKey);
    return lines;
  }
  [[nodiscard]] Result<ServerStats> stats() const {
    return read_stats(instance_.http(), headers());
  }

  Result<RunReport> send(const Plan& plan, std::uint64_t count, std::uint64_t seed,
                         std::uint32_t connections, Duration most) {
    auto opened = open_workload(reads(plan, count, seed), "");
    if (!opened) return opened.error();
    WorkloadSource source(*opened->stream);
    GeneratorOptions generator;
    generator.protocol = Protocol::http;
    generator.targets = {instance_.http()};
    generator.connections = connections;
    generator.http_headers = headers();
    RunOptions options;
    options.open_loop = false;
    options.duration = most;
    options.check = [](const Completion& completion) { return found(completion.outcome); };
    auto report = generate(source, generator, options);
    if (report && report->failed != 0) {
      return Error{Errc::protocol,
                   fmt::format("{}: {} of {} requests failed: {}", variant_->id, report->failed,
                               report->answered,
                               report->failure_texts.empty() ? "" : report->failure_texts[0])};
    }
    return report;
  }

  const Variant* variant_;
  Instance instance_;
  Measure server_;
  Measure client_;
  Measure load_;
};

void add_table(ScenarioResult& result) {
  Table table;
  table.title = "A hit over HTTP (published: 14.5 µs without, 1.5 µs with all of them)";
  table.columns = {"left out",    "server side, p50", "p99",
                   "client, p50", "server CPU",       "bytes a response"};
  for (const Variant& variant : variants()) {
    const auto id = [&](const char* where) { return fmt::format("{}/{}", variant.id, where); };
    table.rows.push_back({{Cell::of(variant.what)},
                          {Cell::of(id("server"), "p50_ns")},
                          {Cell::of(id("server"), "p99_ns")},
                          {Cell::of(id("client"), "p50_ns")},
                          {Cell::of(id("load"), "cpu_ns_per_op")},
                          {Cell::of(id("load"), "response_bytes")}});
  }
  result.tables.push_back(std::move(table));
  result.notes.emplace_back(
      "One event loop an instance, all variants in one run and in turn. CPU is the whole "
      "process's; a response's bytes include its head.");
}

Result<void> run_ablation(const Plan& plan, Bench& bench) {
  const auto rounds = static_cast<std::size_t>(bench.repetitions);
  bench.meter.begin(bench.result.scenario, (rounds + 1) * variants().size());
  bench.meter.phase("starting Redis and one instance a variant");
  const auto redis = RedisServer::start();
  if (!redis) return redis.error();
  const auto folder = TempDir::make();
  if (!folder) return folder.error();
  const auto key_file = (folder->path() / "keys").string();
  std::ofstream(key_file) << kApiKey << "\n";
  Caller writer(Protocol::resp, redis->endpoint());
  Request request{.kind = Op::set};
  for (std::uint64_t number = 0; number < plan.keys; ++number) {
    write_key_name(kPrefix, number, request.key);
    request.value = session_of(number, plan.value_bytes);
    if (const Answer answer = writer.call(request); answer.outcome != Outcome::ok)
      return Error{Errc::protocol, "SET: " + std::string(answer.value)};
  }
  std::vector<Ablated> all;
  for (const Variant& variant : variants()) {
    bench.meter.phase(fmt::format("warming: {}", variant.what));
    auto started = Ablated::start(variant, plan, *redis, key_file);
    if (!started) return started.error();
    if (const auto warm = started->warm(plan); !warm) return warm.error();
    all.push_back(std::move(*started));
    bench.meter.advance();
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t turn = 0; turn < all.size(); ++turn) {
      // Each round begins with another variant, so that none always runs first.
      Ablated& one = all[(turn + round) % all.size()];
      bench.meter.phase(fmt::format("round {}: {}", round + 1, one.id()));
      if (const auto done = one.measure(plan, bench.scaled(plan.requests), bench.seed + round);
          !done)
        bench.result.failures.push_back(done.error().detail);
      bench.meter.advance();
    }
  }
  for (Ablated& one : all) one.keep(bench.result);
  add_table(bench.result);
  return {};
}

}  // namespace

Body read_http_ablation(Section& file) {
  Plan plan;
  auto work = file.section("work");
  plan.keys = static_cast<std::uint64_t>(work.integer("keys", 2000, 1, 1'000'000));
  plan.value_bytes = work.bytes("value_bytes", 1000, 300, 1U << 20U);
  plan.authorises = work.flag("authorises", true);
  plan.requests = static_cast<std::uint64_t>(work.integer("requests", 10'200, 1, 1'000'000'000));
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 32, 1, 4000));
  plan.load_for = work.duration("load_for", std::chrono::milliseconds(400),
                                std::chrono::milliseconds(50), std::chrono::minutes(10));
  return [plan](Bench& bench) { return run_ablation(plan, bench); };
}

}  // namespace nearlane::harness
