// One workload sent to each approach: what is found, where, and how soon.
#include <algorithm>

#include <fmt/format.h>

#include "harness/bench/approach.h"
#include "harness/bench/server_stats.h"
#include "harness/bench/session_app.h"
#include "harness/bench/three_approaches.h"

namespace nearlane::harness::three_approaches {
namespace {

constexpr Duration kLease = std::chrono::milliseconds(250);  // the promised bound of staleness
constexpr Duration kSlack = std::chrono::milliseconds(20);   // a round trip on a busy machine

/// One workload sent to one approach.
Result<AppCounts> replay(Stage& stage, const WorkloadSpec& spec, Approach& approach,
                         Balance balance, Input* input) {
  auto opened = open_workload(spec, stage.bench.traces);
  if (!opened) return opened.error();
  if (input != nullptr) *input = {spec.name, opened->origin, opened->absent};
  SessionApp app(approach, balance, stage.bench.seed);
  if (spec.source == "generated") app.log_in(spec);
  app.forget_counts();
  if (const auto done = app.run(*opened->stream); !done) return done.error();
  const auto& counts = app.counts();
  // A local map promises neither: what another instance wrote or changed it never hears of.
  const bool shared = dynamic_cast<const Remote*>(&approach) != nullptr;
  const bool lost = shared && counts.not_found != 0;
  const bool too_stale = shared && counts.stalest > kLease + kSlack;
  if (lost || too_stale || counts.corrupt + counts.failed != 0) {
    stage.bench.result.failures.push_back(fmt::format(
        "{}: {} reads found no session that was there, {} reads corrupt, {} requests failed, {} "
        "stale, the stalest by {} ms",
        spec.name, counts.not_found, counts.corrupt, counts.failed, counts.stale,
        std::chrono::duration_cast<std::chrono::milliseconds>(counts.stalest).count()));
  }
  return counts;
}

void add_counts(Stage& stage, const std::string& id, const std::string& what,
                const AppCounts& counts, int processes) {
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
  stage.bench.result.measure(std::move(measure));
}

Result<std::vector<ServerStats>> all_stats(const Stage& stage) {
  std::vector<ServerStats> all;
  for (const auto& instance : stage.fleet.instances) {
    auto stats = read_stats(instance.http());
    if (!stats) return stats.error();
    all.push_back(std::move(*stats));
  }
  return all;
}

/// The server's count of L1 hits and the client's (X-Cache) are of the same requests and must agree. What L1 answered once
/// its lane's lease was confirmed is a hit to the client, and a confirmation to the server.
void compare_counters(Stage& stage, const std::string& workload, const AppCounts& client,
                      const std::vector<ServerStats>& before,
                      const std::vector<ServerStats>& after) {
  std::uint64_t hits = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t pushes = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    hits += after[i].l1_hits - before[i].l1_hits;
    confirmed += after[i].confirmations - before[i].confirmations;
    pushes += after[i].invalidations - before[i].invalidations;
  }
  auto measure = count_measure(fmt::format("server_counts/{}", workload),
                               "the instances' own counters over the same run", 4);
  measure.boundary = "server";
  auto& values = measure.repetitions.emplace_back().values;
  values["l1_hits_count"] = static_cast<double>(hits);
  values["confirmations_count"] = static_cast<double>(confirmed);
  values["invalidations_count"] = static_cast<double>(pushes);
  stage.bench.result.measure(std::move(measure));
  const auto nearest = std::clamp(client.l1, hits, hits + confirmed);
  const auto difference = nearest > client.l1 ? nearest - client.l1 : client.l1 - nearest;
  // 0.1 % of the reads, as the harness promises.
  if (difference * 1000 > client.reads) {
    stage.bench.result.failures.push_back(fmt::format(
        "{}: the servers count {} L1 hits and {} confirmations, their client {} of {} reads",
        workload, hits, confirmed, client.l1, client.reads));
  }
}

}  // namespace

Result<void> scaling(Stage& stage) {
  for (auto spec : stage.plan.workloads) {
    spec.operations =
        spec.source == "generated" ? stage.bench.scaled(spec.operations) : spec.operations;
    const auto id = [&](std::string_view approach) {
      return fmt::format("scaling/{}/{}", spec.name, approach);
    };
    stage.bench.meter.phase(fmt::format("{}: sticky local maps", spec.name));
    Input input;
    for (const auto balance : {Balance::affinity, Balance::random}) {
      LocalMaps maps(kInstances);
      const auto counts = replay(stage, spec, maps, balance, &input);
      if (!counts) return counts.error();
      const bool sticky = balance == Balance::affinity;
      add_counts(stage, id(sticky ? "sticky" : "sticky_random"),
                 fmt::format("local maps, {} balancing", sticky ? "sticky" : "random"), *counts, 1);
    }
    stage.bench.result.inputs.push_back(input);
    stage.bench.meter.advance();

    stage.bench.meter.phase(fmt::format("{}: raw Redis", spec.name));
    Remote redis(Protocol::resp, {stage.fleet.raw.endpoint(), stage.fleet.raw.endpoint()});
    const auto raw = replay(stage, spec, redis, Balance::random, nullptr);
    if (!raw) return raw.error();
    add_counts(stage, id("redis"), "raw Redis, random balancing", *raw, 2);
    stage.bench.meter.advance();

    stage.bench.meter.phase(fmt::format("{}: two Nearlane instances", spec.name));
    Remote nearlane(Protocol::http, stage.fleet.doors(Protocol::http));
    const auto before = all_stats(stage);
    if (!before) return before.error();
    const auto tiered = replay(stage, spec, nearlane, Balance::random, nullptr);
    if (!tiered) return tiered.error();
    add_counts(stage, id("nearlane"), "two Nearlane instances, random balancing, HTTP", *tiered, 4);
    const auto after = all_stats(stage);
    if (!after) return after.error();
    compare_counters(stage, spec.name, *tiered, *before, *after);
    stage.bench.meter.advance();
  }
  return {};
}

}  // namespace nearlane::harness::three_approaches
