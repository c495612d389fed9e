// Scenario kind `large_beside_small`: small values read from Redis beside large ones, over lanes that all keys share, and where the
// large ones have lanes of their own. How many small reads wait for a large value?
#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/resp_contest.h"
#include "harness/bench/resp_keys.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/driver/bursts.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/pinned.h"
#include "harness/topology/process_cpu.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr std::string_view kLarge = "keypair:";
/// Small reads that wait for half a large value where all share: with fewer, nothing is shown.
constexpr double kLeastWaiting = 0.002;
/// Of those, with lanes of their own. What still waits so long waits for the machine.
constexpr double kMostLeft = 0.25;

struct Plan {
  std::vector<std::uint64_t> large_bytes;
  std::uint64_t large_keys = 0;  // of each size
  std::uint32_t large_connections = 0;
  double large_rate = 0;  // reads/s, of all sizes
  std::uint64_t small_keys = 0;
  std::uint64_t small_bytes = 0;
  std::uint32_t small_connections = 0;
  double small_rate = 0;
  unsigned pool = 0;
  unsigned bulk_lanes = 0;
  std::uint64_t link = 0;  // bytes/s of a connection
  Duration beside_for{};
  bool apart = true;  // false: the product is broken, lanes of their own are none
};

/// An instance, and whether large values are read beside the small ones.
struct Row {
  const char* id;
  const char* what;
  bool own_lanes;
  bool beside;
};
constexpr std::array<Row, 3> kRows{
    {{"alone", "small reads alone", false, false},
     {"shared", "beside large ones, all lanes shared", false, true},
     {"bulk", "beside large ones, with lanes of their own", true, true}}};

class LargeBesideSmall {
 public:
  LargeBesideSmall(const Plan& plan, Bench& bench)
      : plan_(plan), bench_(bench), small_reads_(gets(small_, 1, bench.seed)) {
    for (const auto bytes : plan.large_bytes) {
      large_.push_back({.prefix = fmt::format("{}{}:", kLarge, bytes),
                        .count = plan.large_keys,
                        .value_bytes = bytes});
      large_reads_.push_back(gets(large_.back(), 1, bench.seed));
    }
  }

  Result<void> run() {
    bench_.meter.begin(bench_.result.scenario,
                       kRows.size() * static_cast<std::uint64_t>(bench_.repetitions));
    bench_.meter.phase("starting and filling");
    if (const auto started = start(); !started) return started.error();
    play();
    if (const auto judged = judge_lanes(); !judged) return judged.error();
    judge_waiting();
    add_table();
    return {};
  }

 private:
  /// Small reads of one row, in all rounds.
  struct Waited {
    double waiting = 0;  // longer than half a large value takes
    double small = 0;    // of so many

    [[nodiscard]] double share() const { return small == 0 ? 0 : waiting / small; }
  };

  Result<void> start() {
    {
      // The load polls, and would keep both waiting for longer than a large value does.
      const Pinned there(kServersCore);
      auto redis = RedisServer::start();
      if (!redis) return redis.error();
      redis_ = std::make_unique<RedisServer>(std::move(*redis));
      auto link = FaultProxy::start(redis_->endpoint());
      if (!link) return link.error();
      if (const auto slow = link->add({.name = "network", .kind = Bandwidth{plan_.link}}); !slow)
        return slow.error();
      link_ = std::make_unique<FaultProxy>(std::move(*link));
    }
    if (const auto done = fill(redis_->endpoint(), small_); !done) return done.error();
    for (const RespKeys& keys : large_) {
      if (const auto done = fill(redis_->endpoint(), keys); !done) return done.error();
    }
    auto folder = TempDir::make();
    if (!folder) return folder.error();
    folder_ = std::make_unique<TempDir>(std::move(*folder));
    for (const bool own_lanes : {false, true}) {
      if (const auto done = start_instance(own_lanes); !done) return done.error();
      for (const Sequence& reads : large_reads_) {
        if (const auto done = read_once(servers_.back().resp(), reads); !done) return done.error();
      }
    }
    return {};
  }

  /// L1 holds neither kind, so that every read is one from Redis.
  Result<void> start_instance(bool own_lanes) {
    const auto file = folder_->path() / (own_lanes ? "bulk.toml" : "shared.toml");
    std::ofstream(file) << fmt::format(
        "[[prefix]]\nmatch = \"{}\"\nl1 = false\nlanes = \"{}\"\n[[prefix]]\nmatch = \"{}\"\nl1 = "
        "false\n",
        kLarge, own_lanes && plan_.apart ? "bulk" : "shared", small_.prefix);
    const Pinned there(kServersCore);
    auto instance = Instance::start(
        {.l2 = "redis://" + link_->endpoint().to_string(),
         .flags = {"--config", file.string(), "--threads", "1", "--pool",
                   std::to_string(plan_.pool), "--bulk-lanes", std::to_string(plan_.bulk_lanes),
                   "--l2-timeout", "10s", "--audit-rate", "0"}});
    if (!instance) return instance.error();
    if (const auto up = instance->lanes_up_within(plan_.pool, kPatience); !up) return up.error();
    servers_.push_back(std::move(*instance));
    return {};
  }

  void play() {
    std::vector<Measure> measures;
    measures.reserve(kRows.size());
    for (const Row& row : kRows) {
      measures.push_back({.id = row.id,
                          .what = row.what,
                          .boundary = "client",
                          .clock_starts = "the moment at which a small read is due",
                          .clock_stops = "the last byte of its reply received",
                          .loop = "open",
                          .processes = 3,
                          .offered_per_s = plan_.small_rate,
                          .parameters = {{"connections", std::to_string(plan_.small_connections)},
                                         {"pool", std::to_string(plan_.pool)},
                                         {"bulk_lanes", std::to_string(plan_.bulk_lanes)}}});
    }
    const Pinned here(kClientsCore);
    for (int round = 0; round < bench_.repetitions; ++round) {
      bench_.meter.phase(fmt::format("round {}", round + 1));
      for (std::size_t turn = 0; turn < kRows.size(); ++turn) {
        const std::size_t at = (turn + static_cast<std::size_t>(round)) % kRows.size();
        const auto done = read_small(kRows[at], static_cast<std::uint64_t>(round),
                                     measures[at].repetitions.emplace_back());
        if (!done) {
          bench_.result.failures.push_back(
              fmt::format("{}: {}", kRows[at].id, done.error().detail));
        }
        bench_.meter.advance();
      }
    }
    for (Measure& measure : measures) bench_.result.measure(std::move(measure));
  }

  Result<void> read_small(const Row& row, std::uint64_t round, Repetition& repetition) {
    const Instance& server = servers_[row.own_lanes ? 1 : 0];
    std::vector<BurstLoad> loads{{.sequence = &small_reads_,
                                  .target = server.resp(),
                                  .connections = plan_.small_connections,
                                  .rate = plan_.small_rate}};
    for (std::size_t size = 0; row.beside && size < large_reads_.size(); ++size) {
      loads.push_back({.sequence = &large_reads_[size],
                       .target = server.resp(),
                       .connections = plan_.large_connections,
                       .rate = plan_.large_rate / static_cast<double>(large_reads_.size())});
    }
    const auto scaled =
        static_cast<double>(plan_.beside_for.count()) * std::min(bench_.scale, 10.0);
    const ProcessTree process(server.child().pid());
    Duration before{};
    Duration after{};
    BurstOptions options{.duration = Duration(static_cast<std::int64_t>(scaled)),
                         .seed = bench_.seed + round,
                         .opened = [&] { before = process.cpu(); },
                         .answered = [&] { after = process.cpu(); }};
    const auto report = send_bursts(loads, options);
    if (!report) return report.error();
    const RunReport& small = report->runs.front();
    repetition.add("", small.response_time);
    repetition.add("send_lag", small.send_lag);
    repetition.void_reasons = small.void_reasons;
    auto& values = repetition.values;
    values["rate_per_s"] = small.achieved_rate;
    const auto count = static_cast<double>(small.response_time.count());
    const double waiting =
        count - static_cast<double>(small.response_time.count_at_most(half_a_value()));
    values["waiting_share"] = count == 0 ? 0 : waiting / count;
    double large = 0;
    double bytes = 0;
    for (std::size_t i = 1; i < report->runs.size(); ++i) {
      large += static_cast<double>(report->runs[i].answered);
      bytes += static_cast<double>(report->runs[i].bytes_in);
    }
    const auto seconds = std::chrono::duration<double>(small.elapsed).count();
    values["large_per_s"] = large / seconds;
    values["a_second_bytes"] = bytes / seconds;
    values["cpu_share"] = std::chrono::duration<double>(after - before).count() / seconds;
    Waited& waited = waited_[static_cast<std::size_t>(&row - kRows.data())];
    waited.waiting += waiting;
    waited.small += count;
    return {};
  }

  /// The time that half of a large value of mean size takes on the link.
  [[nodiscard]] Duration half_a_value() const {
    double bytes = 0;
    for (const auto each : plan_.large_bytes) bytes += static_cast<double>(each);
    bytes /= static_cast<double>(plan_.large_bytes.size());
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(bytes / 2 / static_cast<double>(plan_.link)));
  }

  /// What the instances themselves found on shared lanes.
  Result<void> judge_lanes() {
    for (std::size_t at = 0; at < servers_.size(); ++at) {
      const auto stats = read_stats(servers_[at].http());
      if (!stats) return stats.error();
      Measure measure = counting(fmt::format("found/{}", kRows[at + 1].id),
                                 "large values that came over shared lanes", 1);
      measure.repetitions.back().values["large_in_line_count"] =
          static_cast<double>(stats->large_in_line);
      bench_.result.measure(std::move(measure));
      if (at == 0 && stats->large_in_line == 0)
        bench_.result.failures.emplace_back("shared: no large value was found on a shared lane");
      if (at == 1 && stats->large_in_line != 0) {
        bench_.result.failures.push_back(
            fmt::format("bulk: {} large values came over shared lanes", stats->large_in_line));
      }
    }
    return {};
  }

  void judge_waiting() {
    const auto [alone, shared, bulk] =
        std::array{waited_[0].share(), waited_[1].share(), waited_[2].share()};
    if (alone > kMostLeft * shared) {
      bench_.result.failures.push_back(fmt::format(
          "{:.2f} % of the small reads waited where nothing was read beside them, so this "
          "shows nothing: the machine was busy",
          alone * 100));
    } else if (shared < kLeastWaiting) {
      bench_.result.failures.push_back(fmt::format(
          "only {:.2f} % of the small reads waited where all lanes are shared, so this shows "
          "nothing",
          shared * 100));
    } else if (bulk > kMostLeft * shared) {
      bench_.result.failures.push_back(fmt::format(
          "{:.2f} % of the small reads waited although large values have lanes of their "
          "own; {:.2f} % where they have none",
          bulk * 100, shared * 100));
    }
  }

  void add_table() {
    Table table;
    table.title = fmt::format(
        "Small reads ({} B, {:.0f}/s by Poisson) from Redis, beside large ones from the same Redis",
        plan_.small_bytes, plan_.small_rate);
    table.columns = {"",
                     "p50",
                     "p99",
                     "p99.9",
                     "max",
                     fmt::format("waited over {:.1f} ms",
                                 std::chrono::duration<double, std::milli>(half_a_value()).count()),
                     "large reads",
                     "their bytes a second",
                     "CPU of the server, of a core"};
    for (const Row& row : kRows) {
      const auto of_large = [&](const char* metric) {
        return row.beside ? Cell::of(row.id, metric) : Cell::of("—");
      };
      table.rows.push_back({{Cell::of(row.what)},
                            {Cell::of(row.id, "p50_ns")},
                            {Cell::of(row.id, "p99_ns")},
                            {Cell::of(row.id, "p999_ns")},
                            {Cell::of(row.id, "max_ns")},
                            {Cell::of(row.id, "waiting_share")},
                            {of_large("large_per_s")},
                            {of_large("a_second_bytes")},
                            {Cell::of(row.id, "cpu_share")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.push_back(fmt::format(
        "L1 holds none of these keys, so every read is one from Redis, over {} lanes in all, of "
        "which {} "
        "are the large values' own where they have any. Between the server and Redis each "
        "connection "
        "has {:.0f} MB/s towards the server, as a network might give it: over loopback alone a "
        "value of 2 MB is "
        "there in about a millisecond. Redis and that link have the server's core, since the load "
        "polls on "
        "the other one. Every answer, small and large, is compared byte by byte. Small reads alone "
        "have the instance whose "
        "lanes are all shared; where large ones have their own, small reads have {} of them.",
        plan_.pool, plan_.bulk_lanes, static_cast<double>(plan_.link) / 1e6,
        plan_.pool - plan_.bulk_lanes));
  }

  const Plan& plan_;
  Bench& bench_;
  const RespKeys small_{
      .prefix = "small:", .count = plan_.small_keys, .value_bytes = plan_.small_bytes};
  const Sequence small_reads_;
  std::vector<RespKeys> large_;
  std::vector<Sequence> large_reads_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<FaultProxy> link_;
  std::unique_ptr<TempDir> folder_;
  std::vector<Instance> servers_;  // without lanes of their own, and with
  std::array<Waited, kRows.size()> waited_;
};

}  // namespace

Body read_large_beside_small(Section& file) {
  Plan plan;
  auto large = file.section("large");
  for (const std::string& text : large.texts("bytes", {"350KB", "1MB", "2MB"})) {
    const auto bytes = parse_bytes(text);
    // From 256 KiB on the server finds that a value is large.
    if (!bytes || *bytes < (std::uint64_t{256} << 10U) || *bytes > (std::uint64_t{32} << 20U)) {
      large.problem("bytes", "must be sizes from 256 KiB to 32 MiB");
      continue;
    }
    plan.large_bytes.push_back(*bytes);
  }
  if (plan.large_bytes.empty()) large.problem("bytes", "must name a size");
  plan.large_keys = static_cast<std::uint64_t>(large.integer("keys", 16, 1, 10'000));
  plan.large_connections = static_cast<std::uint32_t>(large.integer("connections", 4, 1, 1000));
  plan.large_rate = large.number("rate", 10, 0.1, 100'000);
  auto small = file.section("small");
  plan.small_keys = static_cast<std::uint64_t>(small.integer("keys", 10'000, 1, 1'000'000));
  plan.small_bytes = small.bytes("bytes", 1024, 1, 1U << 16U);
  plan.small_connections = static_cast<std::uint32_t>(small.integer("connections", 256, 1, 1000));
  plan.small_rate = small.number("rate", 4000, 1, 1'000'000);
  auto lanes = file.section("lanes");
  plan.pool = static_cast<unsigned>(lanes.integer("pool", 8, 2, 4096));
  plan.bulk_lanes = static_cast<unsigned>(lanes.integer("bulk", 4, 1, 4095));
  if (plan.bulk_lanes >= plan.pool) lanes.problem("bulk", "must be fewer than pool");
  plan.link = lanes.bytes("link_bytes_per_s", 25'000'000, 1'000'000, std::uint64_t{100} << 30U);
  plan.apart = lanes.flag("apart", true);
  plan.beside_for =
      file.section("load").duration("beside_for", std::chrono::seconds(4),
                                    std::chrono::milliseconds(10), std::chrono::minutes(10));
  return [plan](Bench& bench) { return LargeBesideSmall(plan, bench).run(); };
}

}  // namespace nearlane::harness
