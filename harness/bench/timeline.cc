// Scenario kind `timeline`: the published live test, with the server's own counts beside the client's (claim A16).
#include <string>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/check/fleet.h"

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);
/// Of reads of what was just written; one whose lane was between two leases is confirmed by L2 first.
constexpr double kLeastWarm = 0.9;

struct Plan {
  std::uint64_t keys = 0;
  std::uint64_t operations = 0;
  std::uint64_t value_bytes = 0;
  bool l1 = true;
};

/// What one client has sent and what it was told.
class Client {
 public:
  explicit Client(const Instance& instance) : caller_(Protocol::resp, instance.resp()) {}

  void set(const std::string& key, std::string value) {
    send({.kind = Op::set, .key = key, .value = std::move(value)});
  }
  void get(const std::string& key) { send({.kind = Op::get, .key = key}); }

  std::uint64_t operations = 0;
  std::uint64_t reads = 0;
  std::uint64_t hits = 0;
  std::uint64_t failed = 0;
  Histogram took;

 private:
  void send(const Request& request) {
    const Answer answer = caller_.call(request);
    ++operations;
    if (request.kind == Op::get) ++reads;
    if (found(answer.outcome)) ++hits;
    if (answer.outcome == Outcome::error) ++failed;
    took.record(answer.took);
  }

  Caller caller_;
};

class Timeline {
 public:
  Timeline(const Plan& plan, Bench& bench, const Instance& instance)
      : plan_(plan), bench_(bench), instance_(instance) {}

  Result<void> run() {
    Measure measure{
        .id = "timeline",
        .what = fmt::format("5 operations, then {} over {} keys", plan_.operations, plan_.keys),
        .boundary = "client",
        .clock_starts = "the request is given to the kernel",
        .clock_stops = "its whole reply has been read",
        .processes = 3};
    for (int round = 0; round < bench_.repetitions; ++round) {
      if (const auto done = once(round, measure.repetitions.emplace_back()); !done)
        return done.error();
      bench_.meter.advance();
    }
    bench_.result.measure(std::move(measure));
    add_table();
    return {};
  }

 private:
  Result<void> once(int round, Repetition& repetition) {
    const auto before = read_stats(instance_.http());
    if (!before) return before.error();
    Client client(instance_);
    const std::string value(plan_.value_bytes, 'v');
    const auto key = [&](std::uint64_t number) {
      return fmt::format("timeline:{}:{}", round, number);
    };
    bench_.meter.phase("5 operations");
    for (const std::uint64_t number : {0, 1}) client.set(key(number), value);
    for (const std::uint64_t number : {0, 1, 0}) client.get(key(number));
    bench_.meter.phase("the burst");
    for (std::uint64_t number = 0; number < plan_.operations; ++number) {
      if (number < plan_.keys) {
        client.set(key(number), value);
      } else {
        client.get(key((number - plan_.keys) % plan_.keys));
      }
    }
    const auto after = read_stats(instance_.http());
    if (!after) return after.error();
    const auto requests = [](const ServerStats& stats) {
      const auto at = stats.requests.find("resp");
      return at == stats.requests.end() ? 0 : at->second;
    };
    const std::uint64_t counted = requests(*after) - requests(*before);
    const std::uint64_t l1_hits = after->l1_hits - before->l1_hits;
    repetition.add("", client.took);
    repetition.values["operations_count"] = static_cast<double>(client.operations);
    repetition.values["counted_count"] = static_cast<double>(counted);
    repetition.values["failed_count"] = static_cast<double>(client.failed);
    const double warm = static_cast<double>(l1_hits) / static_cast<double>(client.reads);
    repetition.values["l1_share"] = warm;
    if (warm < kLeastWarm) {
      bench_.result.failures.push_back(
          fmt::format("L1 answered {:.1f} % of the reads of a warm set", 100 * warm));
    }
    if (counted != client.operations) {
      bench_.result.failures.push_back(fmt::format(
          "the client sent {} operations and the server counted {}", client.operations, counted));
    }
    if (client.failed != 0 || client.hits != client.reads) {
      bench_.result.failures.push_back(
          fmt::format("of {} reads {} found what had been written, {} operations failed",
                      client.reads, client.hits, client.failed));
    }
    return {};
  }

  void add_table() {
    Table table;
    table.title =
        "The live test (published: 5 and 1,007 operations, no errors, 100 % warm hits, 17 µs on "
        "average)";
    table.columns = {
        "operations", "counted by the server", "failed", "reads answered by L1", "mean", "p50"};
    table.rows = {{{Cell::of("timeline", "operations_count")},
                   {Cell::of("timeline", "counted_count")},
                   {Cell::of("timeline", "failed_count")},
                   {Cell::of("timeline", "l1_share")},
                   {Cell::of("timeline", "mean_ns")},
                   {Cell::of("timeline", "p50_ns")}}};
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.emplace_back(
        "The published dashboard and its batches of reported operations are not built; the counts "
        "are those of /stats.");
  }

  const Plan& plan_;
  Bench& bench_;
  const Instance& instance_;
};

}  // namespace

Body read_timeline(Section& file) {
  Plan plan;
  auto burst = file.section("burst");
  plan.keys = static_cast<std::uint64_t>(burst.integer("keys", 503, 2, 1'000'000));
  plan.operations = static_cast<std::uint64_t>(burst.integer("operations", 1007, 2, 10'000'000));
  plan.value_bytes = burst.bytes("value_bytes", 1000, 1, 1U << 24U);
  plan.l1 = burst.flag("l1", true);
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, static_cast<std::uint64_t>(bench.repetitions));
    bench.meter.phase("starting Redis and an instance");
    auto fleet = Fleet::start(
        {.instances = 1, .proxied = false, .flags = {"--l1-map", plan.l1 ? "native" : "none"}});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(kPatience); !up) return up.error();
    return Timeline(plan, bench, fleet->instances.front()).run();
  };
}

}  // namespace nearlane::harness
