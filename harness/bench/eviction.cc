// Scenario kind `eviction`: a Redis that is full and evicts what was not used for the longest time, in front of it an instance
// that answers for some keys all the while, and somebody who goes on writing others. Are the hot ones still there?
#include <string>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_client.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

constexpr unsigned kLanes = 4;
constexpr Duration kPatience = std::chrono::seconds(20);
/// Hot keys that are read between two turns of the writer.
constexpr std::uint64_t kReadsATurn = 50;
constexpr Duration kTurn = std::chrono::milliseconds(20);
/// Of the hot keys, with touches.
constexpr double kKept = 0.9;

struct Plan {
  std::uint64_t hot_keys = 0;
  std::uint64_t value_bytes = 0;
  std::uint64_t redis_bytes = 0;
  double turnovers = 0;
  Duration lasts{};
  std::uint64_t touch_rate = 0;
};

std::string hot_key(std::uint64_t number) { return fmt::format("session:{}", number); }

class Eviction {
 public:
  Eviction(const Plan& plan, Bench& bench) : plan_(plan), bench_(bench) {}

  Result<void> run() {
    bench_.meter.begin(bench_.result.scenario, 2);
    const auto without = kept("without", "Redis is told nothing of L1's hits", 0);
    if (!without) return without.error();
    const auto with = kept("with", "Redis is told of hot keys", plan_.touch_rate);
    if (!with) return with.error();
    add_table();
    if (*without >= kKept) {
      bench_.result.failures.push_back(
          fmt::format("{:.0f} % of the hot keys were kept without touches, so this shows nothing",
                      *without * 100));
    }
    if (*with < kKept) {
      bench_.result.failures.push_back(
          fmt::format("Redis kept only {:.0f} % of the hot keys", *with * 100));
    }
    return {};
  }

 private:
  /// The share of the hot keys that Redis has in the end.
  Result<double> kept(const char* id, const char* what, std::uint64_t touch_rate) {
    bench_.meter.phase(what);
    auto redis = RedisServer::start({.config = {"--maxmemory", std::to_string(plan_.redis_bytes),
                                                "--maxmemory-policy", "allkeys-lru"}});
    if (!redis) return redis.error();
    auto instance = Instance::start(
        {.l2 = redis->url(),
         .flags = {"--threads", "1", "--pool", std::to_string(kLanes), "--audit-rate", "0",
                   "--l2-touch-rate", std::to_string(touch_rate)}});
    if (!instance) return instance.error();
    if (const auto up = instance->lanes_up_within(kLanes, kPatience); !up) return up.error();

    RedisClient direct = redis->client();
    RedisClient client(instance->resp());
    const std::string value(plan_.value_bytes, 'v');
    for (std::uint64_t key = 0; key < plan_.hot_keys; ++key) {
      if (const auto put = direct.command({"SET", hot_key(key), value}); !put) return put.error();
    }
    const auto cold = plan_.turnovers * static_cast<double>(plan_.redis_bytes) /
                      static_cast<double>(plan_.value_bytes);
    const auto turns = static_cast<std::uint64_t>(plan_.lasts / kTurn);
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    std::uint64_t lost = 0;
    TimePoint next = Clock::now();
    for (std::uint64_t turn = 0; turn < turns; ++turn) {
      for (std::uint64_t i = 0; i < kReadsATurn; ++i, ++read) {
        const auto got = client.command({"GET", hot_key(read % plan_.hot_keys)});
        if (!got) return got.error();
        lost += got->is_nil() ? 1 : 0;
      }
      const auto due = static_cast<std::uint64_t>(cold * static_cast<double>(turn + 1) /
                                                  static_cast<double>(turns));
      for (; written < due; ++written) {
        const auto put = direct.command({"SET", fmt::format("other:{}", written), value});
        if (!put) return put.error();
      }
      std::this_thread::sleep_until(next += kTurn);
    }

    std::uint64_t there = 0;
    for (std::uint64_t key = 0; key < plan_.hot_keys; ++key) {
      const auto exists = direct.command({"EXISTS", hot_key(key)});
      if (!exists) return exists.error();
      there += exists->integer == 1 ? 1 : 0;
    }
    const auto touched = direct.calls("touch");
    if (!touched) return touched.error();
    const auto stats = read_stats(instance->http());
    if (!stats) return stats.error();
    const double share = static_cast<double>(there) / static_cast<double>(plan_.hot_keys);
    Measure measure{.id = id,
                    .what = what,
                    .boundary = "client",
                    .clock_starts = "none",
                    .clock_stops = "none",
                    .loop = "none",
                    .processes = 3,
                    .parameters = {{"touch_rate", std::to_string(touch_rate)}}};
    auto& values = measure.repetitions.emplace_back().values;
    values["kept_share"] = share;
    values["reads_count"] = static_cast<double>(read);
    values["lost_count"] = static_cast<double>(lost);
    values["l1_hits_count"] = static_cast<double>(stats->l1_hits);
    values["written_count"] = static_cast<double>(written);
    values["touch_commands_count"] = static_cast<double>(*touched);
    bench_.result.measure(std::move(measure));
    bench_.meter.advance();
    return share;
  }

  void add_table() {
    Table table;
    table.title =
        fmt::format("{} hot keys that only L1 is asked for, while Redis is filled {} times over",
                    plan_.hot_keys, plan_.turnovers);
    table.columns = {"Redis",
                     "hot keys that it has in the end",
                     "reads of them",
                     "of those, from L1",
                     "answered that there is no such key",
                     "TOUCH commands"};
    for (const char* id : {"without", "with"}) {
      table.rows.push_back(
          {{Cell::of(std::string_view(id) == "with"
                         ? fmt::format("is told of {} keys a second", plan_.touch_rate)
                         : "is told nothing")},
           {Cell::of(id, "kept_share")},
           {Cell::of(id, "reads_count")},
           {Cell::of(id, "l1_hits_count")},
           {Cell::of(id, "lost_count")},
           {Cell::of(id, "touch_commands_count")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.emplace_back(
        "Redis samples five keys for each that it evicts, and counts idle times in seconds: no "
        "rate keeps every "
        "hot key for certain.");
  }

  const Plan& plan_;
  Bench& bench_;
};

}  // namespace

Body read_eviction(Section& file) {
  Plan plan;
  auto section = file.section("eviction");
  plan.hot_keys = static_cast<std::uint64_t>(section.integer("hot_keys", 300, 1, 100'000));
  plan.value_bytes = section.bytes("value_bytes", 1000, 1, 1U << 20U);
  plan.redis_bytes = section.bytes("redis_bytes", std::uint64_t{12} << 20U, std::uint64_t{4} << 20U,
                                   std::uint64_t{1} << 30U);
  plan.turnovers = section.number("turnovers", 2, 0.1, 100);
  plan.lasts = section.duration("lasts", std::chrono::seconds(10), std::chrono::seconds(1),
                                std::chrono::hours(1));
  plan.touch_rate = static_cast<std::uint64_t>(section.integer("touch_rate", 600, 0, 100'000));
  return [plan](Bench& bench) { return Eviction(plan, bench).run(); };
}

}  // namespace nearlane::harness
