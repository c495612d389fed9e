// Scenario kind `invalidation`: how soon after a write no instance serves the old value any more, and the
// history checker over every answer of a loaded fleet (claim A13).
#include <algorithm>
#include <array>
#include <deque>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/checked_traffic.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_reads.h"
#include "harness/bench/server_stats.h"
#include "harness/check/fleet.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr Duration kAllowance = std::chrono::microseconds(50);  // beyond a round trip, typically

struct Plan {
  std::size_t instances = 0;
  std::string coherence;
  Duration lease{};
  std::uint64_t writes = 0;  // timed, of each kind
  std::uint64_t keys = 0;
  std::size_t value_bytes = 0;
  std::uint64_t operations = 0;  // of the loaded fleet
  std::uint64_t loaded_keys = 0;
};

/// Whom a timed write goes to; everybody else reads.
struct Writer {
  const char* id;
  const char* what;
  Node node;
  Protocol protocol;
};
constexpr std::array kWriters = {
    Writer{"resp", "SET through instance 0 over RESP", 0, Protocol::resp},
    Writer{"http", "PUT through instance 0 over HTTP", 0, Protocol::http},
    Writer{"direct", "SET straight to Redis", kStore, Protocol::resp},
};

class Invalidation {
 public:
  Invalidation(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan),
        bench_(bench),
        fleet_(fleet),
        processes_(plan.instances + 2),
        // A longer run is for the checker; quantiles need no more than this.
        writes_(static_cast<std::uint64_t>(static_cast<double>(plan.writes) *
                                           std::min(bench.scale, 1.0))),
        history_({.bound = plan.lease}) {
    for (const Instance& instance : fleet.instances) {
      readers_.emplace_back(Protocol::resp, instance.resp());
    }
  }

  Result<void> run() {
    bench_.meter.phase("round trip to Redis");
    if (const auto done = round_trips(); !done) return done.error();
    for (const Writer& writer : kWriters) {
      if (const auto done = time_writes(writer); !done) return done.error();
    }
    fail_on_violations("timed writes", history_.take_report(), bench_.result);
    if (const auto done = load(); !done) return done.error();
    add_tables();
    return {};
  }

 private:
  /// What one request and its reply take, without an instance.
  Result<void> round_trips() {
    Measure measure{.id = "round_trip",
                    .what = "GET of an absent key, straight to Redis",
                    .boundary = "client",
                    .clock_starts = "request bytes given to the kernel",
                    .clock_stops = "whole reply parsed",
                    .processes = 2};
    Caller redis(Protocol::resp, fleet_.redis.endpoint());
    Histogram took;
    for (std::uint64_t i = 0; i < writes_; ++i) {
      const auto answer = redis.call({.kind = Op::get, .key = "absent"});
      if (answer.outcome != Outcome::miss) return failed("round trip", answer);
      took.record(answer.took);
    }
    measure.repetitions.emplace_back().add("", took);
    round_trip_ = took.quantile(0.5);
    bench_.result.measure(std::move(measure));
    return {};
  }

  static Error failed(std::string_view what, const Answer& answer) {
    return {Errc::protocol, fmt::format("{}: {} {} {}", what, to_string(answer.outcome),
                                        to_string(answer.failure), answer.value.substr(0, 200))};
  }

  /// One read that the checker judges; the version that it brought, 0 for none.
  Result<std::uint64_t> read(std::size_t reader, const std::string& key, TimePoint& begin) {
    request_.kind = Op::get;
    request_.key = key;
    begin = Clock::now();
    const auto answer = readers_[reader].call(request_);
    if (answer.outcome == Outcome::error) return failed("read", answer);
    const auto node = static_cast<Node>(reader);
    if (!found(answer.outcome)) {
      history_.read(key, node, begin, Clock::now(), std::nullopt);
      return 0U;
    }
    const auto version = verify_document(key, answer.value);
    if (!version) return version.error();
    history_.read(key, node, begin, Clock::now(), *version);
    return *version;
  }

  struct Times {
    Histogram
        stale;  // from the acknowledgement to the sending of the first new read; 0: none was old
    Histogram visible;  // from the write's first byte until the last reader has the new value
    std::uint64_t within = 0;
    std::uint64_t samples = 0;
  };

  /// Writes a key that every other instance has in L1, and asks them in turn until all bring the new value.
  Result<void> time_one(const Writer& writer, Caller& caller, const std::string& key,
                        Times& times) {
    TimePoint begin;
    for (std::size_t reader = 0; reader < readers_.size(); ++reader) {
      // The first read may be the one that fetches; the second is answered from L1.
      for (int i = 0; i < 2; ++i) {
        if (const auto warm = read(reader, key, begin); !warm) return warm.error();
      }
    }
    request_.kind = Op::set;
    request_.key = key;
    const TimePoint written = Clock::now();
    const auto version = history_.begin_set(key, 1, writer.node, written);
    write_document(key, version, plan_.value_bytes, request_.value);
    const TimePoint sent = Clock::now();
    const auto answer = caller.call(request_);
    const TimePoint acknowledged = Clock::now();
    if (answer.outcome != Outcome::ok) return failed("write", answer);
    history_.end_write(key, version, Effect::happened, acknowledged);

    std::vector<bool> seen(readers_.size());
    std::vector<bool> was_old(readers_.size());
    if (writer.node != kStore) seen[writer.node] = true;
    for (std::size_t left = static_cast<std::size_t>(std::count(seen.begin(), seen.end(), false));
         left > 0;) {
      for (std::size_t reader = 0; reader < readers_.size(); ++reader) {
        if (seen[reader]) continue;
        const auto brought = read(reader, key, begin);
        if (!brought) return brought.error();
        if (*brought != version) {
          was_old[reader] = true;
          if (begin - acknowledged > 4 * plan_.lease)
            return Error{Errc::timeout, "still old: " + key};
          continue;
        }
        seen[reader] = true;
        --left;
        const Duration stale = was_old[reader] ? begin - acknowledged : Duration::zero();
        times.stale.record(stale);
        ++times.samples;
        if (stale <= round_trip_ + kAllowance) ++times.within;
      }
    }
    times.visible.record(Clock::now() - sent);
    return {};
  }

  Result<std::uint64_t> invalidations() const {
    std::uint64_t all = 0;
    for (const Instance& instance : fleet_.instances) {
      const auto stats = read_stats(instance.http());
      if (!stats) return stats.error();
      all += stats->invalidations;
    }
    return all;
  }

  Result<void> time_writes(const Writer& writer) {
    const auto measure = [&](const char* id, const char* starts, const char* stops) {
      return Measure{.id = fmt::format("{}/{}", id, writer.id),
                     .what = writer.what,
                     .boundary = "client",
                     .clock_starts = starts,
                     .clock_stops = stops,
                     .processes = static_cast<int>(processes_)};
    };
    auto stale = measure("stale", "the write's acknowledgement parsed",
                         "the first read that brings the new value about to be sent; 0 where no "
                         "earlier one brought the old");
    auto visible = measure("visible", "the write's bytes given to the kernel",
                           "the new value read from every other instance, one after the other");
    Caller caller(writer.protocol, writer.node == kStore ? fleet_.redis.endpoint()
                                   : writer.protocol == Protocol::resp
                                       ? fleet_.instances[0].resp()
                                       : fleet_.instances[0].http());
    for (int i = 0; i < bench_.repetitions; ++i) {
      bench_.meter.phase(fmt::format("timed writes, {}", writer.id));
      Times times;
      const auto before = invalidations();
      if (!before) return before.error();
      for (std::uint64_t write = 0; write < writes_; ++write) {
        const auto key = fmt::format("timed:{}:{}", writer.id, write % plan_.keys);
        if (const auto done = time_one(writer, caller, key, times); !done) return done.error();
      }
      const auto after = invalidations();
      if (!after) return after.error();
      auto& repetition = stale.repetitions.emplace_back();
      repetition.add("", times.stale);
      repetition.values["within_share"] =
          static_cast<double>(times.within) / static_cast<double>(times.samples);
      repetition.values["not_once_old_share"] =
          static_cast<double>(times.stale.count_at_most(Duration::zero())) /
          static_cast<double>(times.samples);
      repetition.values["invalidations_per_write_count"] =
          static_cast<double>(*after - *before) / static_cast<double>(writes_);
      visible.repetitions.emplace_back().add("", times.visible);
      bench_.meter.advance();
    }
    bench_.result.measure(std::move(stale));
    bench_.result.measure(std::move(visible));
    return {};
  }

  /// Everybody at once, every answer judged.
  Result<void> load() {
    bench_.meter.phase("checked traffic");
    History history({.bound = plan_.lease});
    TrafficOptions options{.doors = fleet_.doors(), .keys = plan_.loaded_keys};
    options.operations = bench_.scaled(plan_.operations);
    options.seed = bench_.seed;
    options.batch = 32;
    Traffic traffic(options, history);
    const TimePoint begin = Clock::now();
    traffic.start();
    traffic.join();
    const Duration lasted = Clock::now() - begin;
    const auto settled = traffic.settle();
    if (!settled) return settled.error();
    const auto counts = traffic.counts();
    const auto report = history.take_report();
    bench_.result.measure(checked_measure("checked", "all doors at once, and a direct writer",
                                          processes_, counts, report, lasted));
    bench_.result.measure(settled_measure("settled", processes_, *settled));
    fail_on_violations("checked traffic", report, bench_.result);
    fail_on_differences("checked traffic", *settled, bench_.result);
    if (counts.failed != 0) {
      bench_.result.failures.push_back(
          fmt::format("{} requests failed without a fault", counts.failed));
    }
    bench_.meter.advance();
    return {};
  }

  void add_tables() {
    Table times;
    times.title =
        "From a write to no old answer anywhere (published: pub/sub invalidation, no figure)";
    times.columns = {"write",
                     "old after the acknowledgement, p50",
                     "p99",
                     "max",
                     "not once old",
                     "at most a round trip + 50 µs",
                     "written and read everywhere, p50",
                     "p99",
                     "invalidations a write"};
    for (const Writer& writer : kWriters) {
      const auto stale = fmt::format("stale/{}", writer.id);
      const auto visible = fmt::format("visible/{}", writer.id);
      times.rows.push_back({{Cell::of(writer.what)},
                            {Cell::of(stale, "p50_ns")},
                            {Cell::of(stale, "p99_ns")},
                            {Cell::of(stale, "max_ns")},
                            {Cell::of(stale, "not_once_old_share")},
                            {Cell::of(stale, "within_share")},
                            {Cell::of(visible, "p50_ns")},
                            {Cell::of(visible, "p99_ns")},
                            {Cell::of(stale, "invalidations_per_write_count")}});
    }
    times.rows.push_back({{Cell::of("a round trip to Redis, for comparison")},
                          {Cell::of("-")},
                          {Cell::of("-")},
                          {Cell::of("-")},
                          {Cell::of("-")},
                          {Cell::of("-")},
                          {Cell::of("round_trip", "p50_ns")},
                          {Cell::of("round_trip", "p99_ns")},
                          {Cell::of("-")}});
    bench_.result.tables.push_back(std::move(times));

    Table verdicts;
    verdicts.title = "The history checker, without a fault";
    verdicts.columns = {"what", "found"};
    const auto row = [&](const char* what, const char* measure, const char* metric) {
      verdicts.rows.push_back({{Cell::of(what)}, {Cell::of(measure, metric)}});
    };
    row("requests, all checked", "checked", "operations_count");
    row("rate", "checked", "rate_per_s");
    row("reads", "checked", "reads_count");
    row("reads answered by L1, of those over HTTP", "checked", "l1_hits_count");
    row("writes, erasures and direct writes", "checked", "writes_count");
    row("reads of a value that an acknowledged write had replaced", "checked", "late_count");
    row("by how much: p50", "checked", "late_p50_ns");
    row("by how much: p99", "checked", "late_p99_ns");
    row("by how much: max (allowed: the lease)", "checked", "latest_ns");
    row("answers that were not allowed", "checked", "violations_count");
    row("answers compared with Redis after quiescence", "settled", "compared_count");
    row("of those, from L1", "settled", "from_l1_count");
    row("stale for ever", "settled", "different_count");
    bench_.result.tables.push_back(std::move(verdicts));
    bench_.result.notes.push_back(
        fmt::format("{} instances and a direct writer over one Redis; lease {} ms. A read is late "
                    "when it was sent after "
                    "somebody had been told that a newer write had happened; the promise allows "
                    "that for one lease.",
                    plan_.instances,
                    std::chrono::duration_cast<std::chrono::milliseconds>(plan_.lease).count()));
    bench_.result.notes.emplace_back(
        "More processes than cores: under load, times are mostly time spent waiting for a core.");
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  std::size_t processes_;  // the instances, Redis and the clients
  std::uint64_t writes_;   // to be timed, of each kind and repetition
  History history_;
  std::deque<Caller> readers_;  // a Caller never moves: it owns a socket
  Request request_;
  Duration round_trip_{};
};

}  // namespace

Body read_invalidation(Section& file) {
  Plan plan;
  auto size = file.section("fleet");
  plan.instances = static_cast<std::size_t>(size.integer("instances", 3, 2, 16));
  plan.lease = size.duration("lease", std::chrono::milliseconds(250), std::chrono::milliseconds(10),
                             std::chrono::seconds(10));
  plan.coherence = size.choice("coherence", "lanes", {"lanes", "none"});
  auto timed = file.section("timed");
  plan.writes = static_cast<std::uint64_t>(timed.integer("writes", 1000, 1, 10'000'000));
  plan.keys = static_cast<std::uint64_t>(timed.integer("keys", 100, 1, 1'000'000));
  plan.value_bytes = timed.bytes("value_bytes", 1024, kMinDocumentBytes, 1U << 26U);
  auto checked = file.section("checked");
  plan.operations =
      static_cast<std::uint64_t>(checked.integer("operations", 1'000'000, 1, 1'000'000'000));
  plan.loaded_keys = static_cast<std::uint64_t>(checked.integer("keys", 1000, 1, 10'000'000));
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario,
                      kWriters.size() * static_cast<std::uint64_t>(bench.repetitions) + 1);
    bench.meter.phase("starting Redis and instances");
    auto fleet = Fleet::start({.instances = plan.instances,
                               .lease = plan.lease,
                               .proxied = false,
                               .flags = {"--coherence", plan.coherence}});
    if (!fleet) return fleet.error();
    return Invalidation(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
