// Scenario kind `stampede`: many clients miss one key at the same time; how often is L2 asked (claim A15)?
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/scenario.h"
#include "harness/check/fleet.h"
#include "harness/driver/generator.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kValue = "v";
/// Longer than any road that a scenario may ask for. Unit: time for one exchange.
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr Duration kLease = std::chrono::milliseconds(250);

struct Plan {
  std::uint32_t clients = 0;
  std::uint64_t value_bytes = 0;
  Duration road{};
  Duration lease{};
};

struct FrontDoor {
  const char* name;
  Protocol protocol;
};
constexpr std::array<FrontDoor, 2> kFrontDoors{
    {{"http", Protocol::http}, {"resp", Protocol::resp}}};

/// One read of the same key on every connection.
class OneEach final : public RequestSource {
 public:
  OneEach(std::string key, std::uint32_t clients) : key_(std::move(key)), clients_(clients) {}
  bool next(Request& into) override {
    if (sent_ == clients_) return false;
    into.kind = Op::get;
    into.key = key_;
    into.connection = sent_++;
    return true;
  }

 private:
  std::string key_;
  std::uint32_t clients_;
  std::uint32_t sent_ = 0;
};

class Stampede {
 public:
  Stampede(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan), bench_(bench), fleet_(fleet) {}

  Result<void> run() {
    for (const FrontDoor& door : kFrontDoors) {
      Measure measure{
          .id = fmt::format("stampede/{}", door.name),
          .what = fmt::format("{} clients read one key that is in L2 only", plan_.clients),
          .boundary = "client",
          .clock_starts = "a client's request is given to the kernel",
          .clock_stops = "its whole reply has been received",
          .processes = 3,
          .parameters = {{"clients", std::to_string(plan_.clients)}}};
      for (int round = 0; round < bench_.repetitions; ++round) {
        bench_.meter.phase(fmt::format("over {}", door.name));
        const auto key = fmt::format("stampede:{}:{}", door.name, round);
        if (const auto done = once(door, key, measure.repetitions.emplace_back()); !done)
          return done.error();
        bench_.meter.advance();
      }
      bench_.result.measure(std::move(measure));
    }
    add_table();
    return {};
  }

 private:
  Result<void> once(const FrontDoor& door, const std::string& key, Repetition& repetition) {
    const std::string value(plan_.value_bytes, kValue.front());
    const auto put = redis_.command({"SET", key, value});
    if (!put) return put.error();
    const auto before = redis_.calls("get");
    if (!before) return before.error();
    OneEach source(key, plan_.clients);
    GeneratorOptions generator;
    generator.protocol = door.protocol;
    const Instance& instance = fleet_.instances.front();
    generator.targets = {door.protocol == Protocol::http ? instance.http() : instance.resp()};
    generator.connections = plan_.clients;
    generator.timeout = kPatience;
    RunOptions options;
    options.open_loop = false;
    options.duration = kPatience;
    std::uint64_t wrong = 0;
    options.check = [&](const Completion& completion) {
      const bool right = found(completion.outcome) && completion.value == value;
      wrong += right ? 0 : 1;
      return right;
    };
    const auto report = generate(source, generator, options);
    if (!report) return report.error();
    const auto after = redis_.calls("get");
    if (!after) return after.error();
    repetition.add("", report->service_time);
    repetition.values["clients_count"] = static_cast<double>(report->answered);
    const std::uint64_t reads = *after - *before;
    repetition.values["l2_reads_count"] = static_cast<double>(reads);
    // A fetch that is older than a lease is not joined, on a machine where this lasts so long.
    const auto most = 1 + static_cast<std::uint64_t>(report->elapsed / kLease);
    if (reads > most) {
      bench_.result.failures.push_back(fmt::format(
          "over {}: {} reads of L2 for one key, of {} allowed", door.name, reads, most));
    }
    // Who came when the fetch was over found the value in L1. Only HTTP says so.
    if (door.protocol == Protocol::http) {
      repetition.values["late_count"] =
          static_cast<double>(report->count(Op::get, Outcome::hit_l1));
    }
    if (wrong != 0 || report->answered != plan_.clients) {
      bench_.result.failures.push_back(
          fmt::format("over {}: of {} clients {} were answered, {} of them wrong", door.name,
                      plan_.clients, report->answered, wrong));
    }
    return {};
  }

  void add_table() {
    Table table;
    table.title = "One key, missed by many at once";
    table.columns = {"door", "clients answered", "came too late to wait", "reads of L2",
                     "p50",  "longest"};
    for (const FrontDoor& door : kFrontDoors) {
      const auto id = fmt::format("stampede/{}", door.name);
      table.rows.push_back({{Cell::of(door.name)},
                            {Cell::of(id, "clients_count")},
                            {door.protocol == Protocol::http ? Cell::of(id, "late_count")
                                                             : Cell::of("not said over RESP")},
                            {Cell::of(id, "l2_reads_count")},
                            {Cell::of(id, "p50_ns")},
                            {Cell::of(id, "max_ns")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.push_back(
        fmt::format("The road to Redis takes {} ms there and back, and the times contain it: they "
                    "say that everybody waited for "
                    "the same fetch, not how fast it was.",
                    std::chrono::duration_cast<std::chrono::milliseconds>(plan_.road).count()));
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  RedisClient redis_ = fleet_.redis.client();
};

}  // namespace

Body read_stampede(Section& file) {
  Plan plan;
  auto section = file.section("stampede");
  plan.clients = static_cast<std::uint32_t>(section.integer("clients", 1000, 1, 4000));
  plan.value_bytes = section.bytes("value_bytes", 3500, 1, 1U << 24U);
  plan.lease = section.duration("lease", kLease, std::chrono::milliseconds(1), kLease);
  plan.road = section.duration("road", std::chrono::milliseconds(200), Duration::zero(),
                               std::chrono::seconds(1));
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario,
                      kFrontDoors.size() * static_cast<std::uint64_t>(bench.repetitions));
    bench.meter.phase("starting Redis and an instance");
    // The auditor reads what it compares, which would be counted.
    auto fleet = Fleet::start({.instances = 1,
                               .lease = plan.lease,
                               .flags = {"--audit-rate", "0", "--l2-timeout", "5s"}});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(kPatience); !up) return up.error();
    fleet->proxies.front().delay(Way::to_server, plan.road / 2);
    fleet->proxies.front().delay(Way::to_client, plan.road / 2);
    return Stampede(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
