// Scenario kind `resp_large_values`: sealed blobs of up to some MB over RESP, alone and beside small reads (claim B10).
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/resp_contest.h"
#include "harness/bench/resp_keys.h"
#include "harness/bench/resp_nearlane.h"
#include "harness/bench/scenario.h"
#include "harness/driver/bursts.h"
#include "harness/topology/pinned.h"

namespace nearlane::harness {
namespace {

/// Of small replies few are compared, as of blobs: comparing one takes as long as hundreds of small reads.
constexpr std::uint64_t kCompareEvery = 512;
constexpr Duration kPatience = std::chrono::minutes(1);

struct Plan {
  std::vector<std::uint64_t> blob_bytes;
  std::uint64_t blobs = 0;  // of each size
  std::uint32_t blob_connections = 0;
  double blob_rate = 0;  // reads/s beside small ones
  std::uint64_t small_keys = 0;
  std::uint64_t small_bytes = 0;
  std::uint32_t small_connections = 0;
  double small_rate = 0;
  Duration alone_for{};
  Duration beside_for{};
  std::string lease;
  std::string l1_bytes;
};

constexpr std::array<const char*, 2> kIds{"nearlane", "redis"};
constexpr std::array<const char*, 2> kNames{"Nearlane", "redis-server"};

std::string size_text(std::uint64_t bytes) {
  return bytes < 1'000'000 ? fmt::format("{} KB", bytes / 1000)
                           : fmt::format("{:.3g} MB", static_cast<double>(bytes) / 1e6);
}

class LargeValues {
 public:
  LargeValues(const Plan& plan, Bench& bench)
      : plan_(plan), bench_(bench), small_reads_(gets(small_, 1, bench.seed)) {
    for (const auto bytes : plan.blob_bytes) {
      blobs_.push_back(
          {.prefix = fmt::format("blob:{}:", bytes), .count = plan.blobs, .value_bytes = bytes});
      blob_reads_.push_back(gets(blobs_.back(), 1, bench.seed));
    }
  }

  Result<void> run() {
    bench_.meter.phase("starting and filling");
    if (const auto started = start(); !started) return started.error();
    if (const auto whole = read_whole(); !whole) return whole.error();
    play_alone();
    if (const auto done = play_beside(); !done) return done.error();
    bench_.result.notes.push_back(fmt::format(
        "A blob is bytes that look random, as what was sealed does; it is written through the "
        "server's own door. Every blob was read once and compared whole, later one in {}; the "
        "rest is discarded in the client's kernel, so that a client that is busy copying does not "
        "look like a slow server.",
        kCompareEvery));
    return {};
  }

 private:
  Result<void> start() {
    auto nearlane = RespNearlane::start(plan_.lease, {"--l1-bytes", plan_.l1_bytes});
    if (!nearlane) return nearlane.error();
    auto redis = start_redis();
    if (!redis) return redis.error();
    http_ = (*nearlane)->http();
    peers_.push_back(std::move(*nearlane));
    peers_.push_back(std::move(*redis));
    for (const auto& peer : peers_) {
      if (const auto done = fill(peer->resp(), small_); !done) return done.error();
      for (const RespKeys& blobs : blobs_) {
        if (const auto done = fill(peer->resp(), blobs); !done) return done.error();
      }
      if (const auto done = read_once(peer->resp(), small_reads_); !done) return done.error();
    }
    return {};
  }

  /// Every blob once, compared byte by byte.
  Result<void> read_whole() {
    bench_.meter.phase("reading every blob whole");
    for (std::size_t at = 0; at < peers_.size(); ++at) {
      Measure measure{.id = fmt::format("whole/{}", kIds[at]),
                      .what = fmt::format("{}: every blob, read once", kNames[at]),
                      .boundary = "client",
                      .clock_starts = "none",
                      .clock_stops = "none",
                      .loop = "none",
                      .processes = 2};
      auto& values = measure.repetitions.emplace_back().values;
      for (std::size_t size = 0; size < blobs_.size(); ++size) {
        values["asked_count"] =
            values["asked_count"].value_or(0) + static_cast<double>(plan_.blobs);
        const auto done = read_once(peers_[at]->resp(), blob_reads_[size]);
        if (!done) {
          bench_.result.failures.push_back(fmt::format(
              "{}: {}: {}", measure.id, size_text(blobs_[size].value_bytes), done.error().detail));
        }
        values["whole_count"] =
            values["whole_count"].value_or(0) + (done ? static_cast<double>(plan_.blobs) : 0);
      }
      bench_.result.measure(std::move(measure));
    }
    return {};
  }

  void play_alone() {
    RespContest contest(plan_.alone_for, bench_);
    for (std::size_t size = 0; size < blobs_.size(); ++size) {
      RespCase read{.id = fmt::format("alone/{}", blobs_[size].value_bytes),
                    .what = size_text(blobs_[size].value_bytes),
                    .connections = plan_.blob_connections};
      for (std::size_t at = 0; at < peers_.size(); ++at) {
        read.entrants.push_back({.id = kIds[at],
                                 .what = kNames[at],
                                 .peer = peers_[at].get(),
                                 .sequence = &blob_reads_[size],
                                 .stats = at == 0 ? &http_ : nullptr});
      }
      contest.add(std::move(read));
    }
    contest.play("blobs alone");
    for (std::size_t size = 0; size < blobs_.size(); ++size) {
      for (std::size_t at = 0; at < peers_.size(); ++at) {
        for (Repetition& each : contest.measure(size, at).repetitions) {
          const auto rate = each.values.find("rate_per_s");
          if (rate == each.values.end()) continue;
          each.values["a_second_bytes"] =
              rate->second.value_or(0) * static_cast<double>(blobs_[size].value_bytes);
        }
      }
    }
    contest.keep(fmt::format("GET of a blob that L1 has, {} connections, one at a time on each",
                             plan_.blob_connections));
    add_contest_notes(bench_.result);
    add_alone_table();
  }

  void add_alone_table() {
    Table table;
    table.title = "Bytes of blobs a second, and every blob once";
    table.columns = {"server"};
    for (const RespKeys& blobs : blobs_) table.columns.push_back(size_text(blobs.value_bytes));
    table.columns.insert(table.columns.end(), {"blobs asked for", "answered whole"});
    for (std::size_t at = 0; at < peers_.size(); ++at) {
      auto& row = table.rows.emplace_back();
      row.push_back({Cell::of(kNames[at])});
      for (const RespKeys& blobs : blobs_) {
        row.push_back(
            {Cell::of(fmt::format("alone/{}/{}", blobs.value_bytes, kIds[at]), "a_second_bytes")});
      }
      const auto whole = fmt::format("whole/{}", kIds[at]);
      row.push_back({Cell::of(whole, "asked_count")});
      row.push_back({Cell::of(whole, "whole_count")});
    }
    bench_.result.tables.push_back(std::move(table));
  }

  [[nodiscard]] Measure small_measure(const char* where, const char* what, std::size_t at) const {
    return {.id = fmt::format("{}/{}", where, kIds[at]),
            .what = fmt::format("{}: small reads {}", kNames[at], what),
            .boundary = "client",
            .clock_starts = "the moment at which a read is due",
            .clock_stops = "the last byte of its reply received",
            .loop = "open",
            .processes = 2,
            .offered_per_s = plan_.small_rate,
            .parameters = {{"connections", std::to_string(plan_.small_connections)}}};
  }

  Result<void> play_beside() {
    std::vector<Measure> without;
    std::vector<Measure> beside;
    for (std::size_t at = 0; at < peers_.size(); ++at) {
      without.push_back(small_measure("small_alone", "alone", at));
      beside.push_back(small_measure("small_beside", "beside blobs", at));
    }
    const Pinned here(kClientsCore);
    for (int round = 0; round < bench_.repetitions; ++round) {
      bench_.meter.phase(fmt::format("small reads beside blobs, round {}", round + 1));
      for (std::size_t turn = 0; turn < peers_.size(); ++turn) {
        const std::size_t at = (turn + static_cast<std::size_t>(round)) % peers_.size();
        const auto seed = bench_.seed + static_cast<std::uint64_t>(round);
        for (auto* measure : {&without[at], &beside[at]}) {
          const auto done =
              read_small(at, measure == &beside[at], seed, measure->repetitions.emplace_back());
          if (!done) {
            bench_.result.failures.push_back(
                fmt::format("{}: {}", measure->id, done.error().detail));
          }
        }
      }
      bench_.meter.advance();
    }
    for (auto* measures : {&without, &beside}) {
      for (Measure& measure : *measures) bench_.result.measure(std::move(measure));
    }
    add_beside_table();
    return {};
  }

  Result<void> read_small(std::size_t at, bool beside_blobs, std::uint64_t seed,
                          Repetition& repetition) {
    const Endpoint& target = peers_[at]->resp();
    std::vector<BurstLoad> loads{{.sequence = &small_reads_,
                                  .target = target,
                                  .connections = plan_.small_connections,
                                  .rate = plan_.small_rate}};
    for (std::size_t size = 0; beside_blobs && size < blobs_.size(); ++size) {
      loads.push_back({.sequence = &blob_reads_[size],
                       .target = target,
                       .connections = plan_.blob_connections,
                       .rate = plan_.blob_rate / static_cast<double>(blobs_.size())});
    }
    const auto scaled =
        static_cast<double>(plan_.beside_for.count()) * std::min(bench_.scale, 10.0);
    BurstOptions options{.duration = Duration(static_cast<std::int64_t>(scaled)),
                         .compare_every = kCompareEvery,
                         .seed = seed};
    const auto report = send_bursts(loads, options);
    if (!report) return report.error();
    const RunReport& small = report->runs.front();
    repetition.add("", small.response_time);
    repetition.add("send_lag", small.send_lag);
    repetition.void_reasons = small.void_reasons;
    repetition.values["rate_per_s"] = small.achieved_rate;
    if (!beside_blobs) return {};
    double blobs = 0;
    double bytes = 0;
    for (std::size_t i = 1; i < report->runs.size(); ++i) {
      blobs += report->runs[i].achieved_rate;
      bytes += static_cast<double>(report->runs[i].bytes_in) /
               std::chrono::duration<double>(report->runs[i].elapsed).count();
    }
    repetition.values["blobs_per_s"] = blobs;
    repetition.values["a_second_bytes"] = bytes;
    return {};
  }

  void add_beside_table() {
    Table table;
    table.title = fmt::format("Small reads ({} B, {:.0f}/s by Poisson), alone and beside blobs",
                              plan_.small_bytes, plan_.small_rate);
    table.columns = {"server", "",    "small reads", "blobs", "their bytes a second",
                     "p50",    "p99", "max"};
    for (std::size_t at = 0; at < peers_.size(); ++at) {
      for (const bool beside : {false, true}) {
        const auto id = fmt::format("{}/{}", beside ? "small_beside" : "small_alone", kIds[at]);
        const auto of_blobs = [&](const char* metric) {
          return beside ? Cell::of(id, metric) : Cell::of("—");
        };
        table.rows.push_back({{Cell::of(kNames[at])},
                              {Cell::of(beside ? "beside blobs" : "alone")},
                              {Cell::of(id, "rate_per_s")},
                              {of_blobs("blobs_per_s")},
                              {of_blobs("a_second_bytes")},
                              {Cell::of(id, "p50_ns")},
                              {Cell::of(id, "p99_ns")},
                              {Cell::of(id, "max_ns")}});
      }
    }
    bench_.result.tables.push_back(std::move(table));
  }

  const Plan& plan_;
  Bench& bench_;
  const RespKeys small_{
      .prefix = "small:", .count = plan_.small_keys, .value_bytes = plan_.small_bytes};
  const Sequence small_reads_;
  std::vector<RespKeys> blobs_;
  std::vector<Sequence> blob_reads_;
  std::vector<std::unique_ptr<RespPeer>> peers_;  // by kIds
  Endpoint http_;                                 // Nearlane's
};

}  // namespace

Body read_resp_large_values(Section& file) {
  Plan plan;
  auto blobs = file.section("blobs");
  for (const std::string& text : blobs.texts("bytes", {"350KB", "1MB", "2MB"})) {
    const auto bytes = parse_bytes(text);
    if (!bytes || *bytes == 0 || *bytes > (std::uint64_t{32} << 20U)) {
      blobs.problem("bytes", "must be sizes of up to 32 MiB");
      continue;
    }
    plan.blob_bytes.push_back(*bytes);
  }
  plan.blobs = static_cast<std::uint64_t>(blobs.integer("count", 16, 1, 10'000));
  plan.blob_connections = static_cast<std::uint32_t>(blobs.integer("connections", 4, 1, 1000));
  plan.blob_rate = blobs.number("rate", 100, 0.1, 100'000);
  auto small = file.section("small");
  plan.small_keys = static_cast<std::uint64_t>(small.integer("keys", 10'000, 1, 1'000'000));
  plan.small_bytes = small.bytes("bytes", 1024, 1, 1U << 16U);
  plan.small_connections = static_cast<std::uint32_t>(small.integer("connections", 16, 1, 1000));
  plan.small_rate = small.number("rate", 10'000, 1, 1'000'000);
  auto load = file.section("load");
  plan.alone_for = load.duration("alone_for", std::chrono::milliseconds(300),
                                 std::chrono::milliseconds(10), std::chrono::minutes(10));
  plan.beside_for = load.duration("beside_for", std::chrono::milliseconds(1100),
                                  std::chrono::milliseconds(10), std::chrono::minutes(10));
  plan.lease = load.text("lease", "250ms");
  plan.l1_bytes = load.text("l1_bytes", "1GiB");
  return [plan](Bench& bench) {
    bench.meter.begin(bench.result.scenario, 2 * static_cast<std::uint64_t>(bench.repetitions));
    return LargeValues(plan, bench).run();
  };
}

}  // namespace nearlane::harness
