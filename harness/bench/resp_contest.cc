#include "harness/bench/resp_contest.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "harness/bench/server_stats.h"
#include "harness/driver/bursts.h"
#include "harness/topology/pinned.h"
#include "harness/topology/process_cpu.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

/// So few replies are compared that it takes little of the load's core.
constexpr std::uint64_t kCompareEvery = 64;
/// A server that has work to do for less of the time is not what limits requests/s.
constexpr double kBusyShare = 0.9;
/// Of L1's lookups, where it is to answer all, besides the requests that are under way together: a lease that runs out, as
/// where Redis was kept from its core for long, costs as many.
constexpr double kMostMissesShare = 0.01;
constexpr double kMostScale = 10;
constexpr std::uint32_t kReadConnections = 8;
constexpr std::uint32_t kReadBurst = 16;
constexpr Duration kReadWithin = std::chrono::minutes(2);

struct Lookups {
  double hits = 0;
  double misses = 0;

  [[nodiscard]] double share() const { return hits / std::max(hits + misses, 1.0); }
};
/// Of L1 between two looks at the statistics.
Lookups lookups(const ServerStats& before, const ServerStats& after) {
  return {.hits = static_cast<double>(after.l1_hits - before.l1_hits),
          .misses = static_cast<double>(after.l1_misses - before.l1_misses)};
}

std::optional<double> median_of(const Measure& measure, const std::string& metric) {
  std::vector<std::optional<double>> values;
  std::vector<bool> voided;
  for (const Repetition& repetition : measure.repetitions) {
    const auto at = repetition.values.find(metric);
    values.push_back(at == repetition.values.end() ? std::nullopt : at->second);
    voided.push_back(!repetition.void_reasons.empty());
  }
  return summarise(values, voided).median;
}

std::optional<double> newest(const Measure& measure, const std::string& metric) {
  const auto& values = measure.repetitions.back().values;
  const auto at = values.find(metric);
  return at == values.end() ? std::nullopt : at->second;
}

Cell limit_cell(const char* comparison, double times) {
  return Cell::of(times > 0 ? fmt::format("{} {:.0f} %", comparison, times * 100) : "—");
}

}  // namespace

RespContest::RespContest(Duration load_for, Bench& bench)
    : load_for_(static_cast<std::int64_t>(static_cast<double>(load_for.count()) *
                                          std::min(bench.scale, kMostScale))),
      bench_(bench) {}

void RespContest::add(RespCase played) {
  Played made{.which = std::move(played), .measures = {}};
  for (const RespEntrant& entrant : made.which.entrants) {
    made.measures.push_back({.id = fmt::format("{}/{}", made.which.id, entrant.id),
                             .what = fmt::format("{}: {}", entrant.what, made.which.what),
                             .boundary = "client",
                             .clock_starts = "a burst's request bytes given to the kernel",
                             .clock_stops = "the last byte of its replies received",
                             .processes = entrant.processes,
                             .parameters = {{"connections", std::to_string(made.which.connections)},
                                            {"burst", std::to_string(made.which.burst)}}});
  }
  all_.push_back(std::move(made));
}

Measure& RespContest::measure(std::size_t which, std::size_t entrant) {
  return all_[which].measures[entrant];
}

Result<void> RespContest::load(const RespCase& which, const RespEntrant& entrant,
                               std::uint64_t seed, Repetition& repetition) const {
  const BurstLoad load{.sequence = entrant.sequence,
                       .target = entrant.peer->resp(),
                       .connections = which.connections,
                       .burst = which.burst,
                       .first = Random(seed).next()};
  BurstOptions options{.duration = load_for_ / 10,
                       .compare_every = kCompareEvery,
                       .polls = which.polls,
                       .seed = seed};
  if (const auto warm = send_bursts({&load, 1}, options); !warm) return warm.error();

  Result<ServerStats> before = ServerStats{};
  if (entrant.stats != nullptr) before = read_stats(*entrant.stats);
  if (!before) return before.error();
  const ProcessTree server(entrant.peer->child().pid());
  Duration used{};
  options.duration = load_for_;
  options.opened = [&] { used = server.cpu(); };
  options.answered = [&] { used = server.cpu() - used; };
  const auto report = send_bursts({&load, 1}, options);
  if (!report) return report.error();
  const RunReport& run = report->runs.front();
  if (used <= Duration::zero()) return Error{Errc::unavailable, "its CPU time cannot be read"};

  const auto answered = static_cast<double>(run.answered);
  repetition.add("", run.service_time);
  repetition.void_reasons = run.void_reasons;
  repetition.values["rate_per_s"] = run.achieved_rate;
  repetition.values["reply_bytes"] = static_cast<double>(run.bytes_in) / answered;
  repetition.values["cpu_ns_per_op"] = static_cast<double>(used.count()) / answered;
  repetition.values["load_ns_per_op"] = static_cast<double>(report->load_cpu.count()) / answered;
  repetition.values["busy_share"] =
      static_cast<double>(used.count()) / static_cast<double>(run.elapsed.count());
  if (entrant.stats == nullptr) return {};
  const auto after = read_stats(*entrant.stats);
  if (!after) return after.error();
  const Lookups l1 = lookups(*before, *after);
  repetition.values["l1_share"] = l1.share();
  const double together = which.connections * which.burst;
  if (l1.misses > together + kMostMissesShare * (l1.hits + l1.misses)) {
    return Error{Errc::protocol,
                 fmt::format("L1 was to answer all, and answered {:.2f} %", l1.share() * 100)};
  }
  return {};
}

void RespContest::play_one(Played& played, std::size_t round) {
  const auto& entrants = played.which.entrants;
  for (std::size_t turn = 0; turn < entrants.size(); ++turn) {
    const std::size_t at = (turn + round) % entrants.size();
    auto& repetition = played.measures[at].repetitions.emplace_back();
    const auto done = load(played.which, entrants[at], bench_.seed + round, repetition);
    if (done) continue;
    bench_.result.failures.push_back(
        fmt::format("{}: {}", played.measures[at].id, done.error().detail));
  }
  for (std::size_t other = 1; other < entrants.size(); ++other) {
    auto& values = played.measures[other].repetitions.back().values;
    for (const auto& [metric, ratio] : {std::pair("cpu_ns_per_op", "nearlane_cpu_share"),
                                        std::pair("rate_per_s", "nearlane_rate_share")}) {
      const auto ours = newest(played.measures.front(), metric);
      const auto theirs = newest(played.measures[other], metric);
      if (ours && theirs && *theirs > 0) values[ratio] = *ours / *theirs;
    }
  }
}

void RespContest::play(const std::string& phase) {
  const Pinned here(kClientsCore);
  for (int round = 0; round < bench_.repetitions; ++round) {
    bench_.meter.phase(fmt::format("{}, round {}", phase, round + 1));
    for (Played& played : all_) play_one(played, static_cast<std::size_t>(round));
    bench_.meter.advance();
  }
}

std::vector<std::vector<Cell>> RespContest::row_of(const Played& played, std::size_t at) {
  const RespEntrant& entrant = played.which.entrants[at];
  const Measure& measure = played.measures[at];
  const auto cell = [&](const char* metric) { return Cell::of(measure.id, metric); };
  const auto beside = [&](const char* metric) { return at == 0 ? Cell::of("—") : cell(metric); };
  const auto& limits = played.which.limits;
  const auto limit = std::ranges::find(limits, entrant.id, &RespLimit::id);
  const RespLimit said = limit == limits.end() ? RespLimit{} : *limit;
  std::vector<Cell> requests{cell("rate_per_s")};
  if (median_of(measure, "busy_share").value_or(1) < kBusyShare)
    requests.push_back(Cell::of(" (not at its limit)"));
  return {{Cell::of(played.which.what)},
          {Cell::of(entrant.what)},
          {cell("cpu_ns_per_op")},
          {beside("nearlane_cpu_share")},
          {limit_cell("≤", said.cpu_most)},
          std::move(requests),
          {beside("nearlane_rate_share")},
          {limit_cell("≥", said.rate_least)},
          {cell("p50_ns")},
          {cell("p99_ns")},
          {cell("busy_share")},
          {cell("load_ns_per_op")}};
}

void RespContest::keep(std::string title) {
  Table table;
  table.title = std::move(title);
  table.columns = {"",
                   "server",
                   "server CPU",
                   "Nearlane's, in shares of it",
                   "limit",
                   "requests",
                   "Nearlane's, in shares of it",
                   "limit",
                   "p50",
                   "p99",
                   "server busy",
                   "the load's CPU"};
  for (Played& played : all_) {
    for (std::size_t at = 0; at < played.measures.size(); ++at)
      table.rows.push_back(row_of(played, at));
    for (Measure& measure : played.measures) bench_.result.measure(std::move(measure));
  }
  bench_.result.tables.push_back(std::move(table));
  all_.clear();
}

void add_contest_notes(ScenarioResult& result) {
  result.notes.emplace_back(
      "Every server has one thread of work and a core; the load has the other. They are loaded in "
      "turn, each round beginning with another. CPU is user and system time of a server's process; "
      "shares are of one round.");
  result.notes.emplace_back(
      "\"Not at its limit\": the server was busy for less than 90 % of the time, so that the load, "
      "who is behind the server, or whoever else uses its core limits its requests and their "
      "times; its CPU time a request is hardly concerned. Where several requests are sent at once, "
      "times are of all of them together.");
}

Result<void> read_once(const Endpoint& server, const Sequence& sequence) {
  const Pinned here(kClientsCore);
  const BurstLoad load{.sequence = &sequence,
                       .target = server,
                       .connections = kReadConnections,
                       .burst = kReadBurst,
                       .bursts = (sequence.size() + kReadBurst - 1) / kReadBurst};
  const auto done = send_bursts({&load, 1}, {.duration = kReadWithin, .polls = false});
  if (!done) return Error{done.error().code, "the first read: " + done.error().detail};
  if (done->runs.front().answered < sequence.size())
    return Error{Errc::timeout, "the keys could not be read in time"};
  return {};
}

}  // namespace nearlane::harness
