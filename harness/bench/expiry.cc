// Scenario kind `expiry`: sessions end when they should, in L1 and L2, and leave nothing behind (claims B6, A17, A18); and
// until then every answer is the session that was written, whole.
#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/checked_traffic.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/bench/session_end.h"
#include "harness/check/batch_client.h"
#include "harness/check/fleet.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

constexpr std::size_t kBatch = 100;
constexpr Duration kPatience = std::chrono::seconds(10);
constexpr Duration kLease = std::chrono::milliseconds(250);
constexpr std::uint16_t kWriter = 1;
constexpr Node kWriterDoor = 0;
constexpr auto kLook = std::chrono::milliseconds(50);
/// Reads go on for so long after the last end.
constexpr Duration kAfter = std::chrono::seconds(1);

/// The published node: 317 GB, of which 80 % are to be used.
constexpr double kUsableBytes = 0.8 * 317e9;

struct Plan {
  std::uint64_t keys = 0;
  std::uint64_t value_bytes = 0;
  std::chrono::milliseconds ttl{};
  Duration swept_within{};  // Redis and L1 look for what has ended by and by
  std::string planted;      // none, or how one session's end is moved in Redis: endless, early
};

/// What Redis says of its memory. Unit: bytes.
constexpr std::array<std::pair<const char*, const char*>, 6> kMemory{
    {{"resident_bytes", "used_memory_rss"},
     {"used_bytes", "used_memory"},
     {"startup_bytes", "used_memory_startup"},
     {"dataset_bytes", "used_memory_dataset"},
     {"clients_bytes", "mem_clients_normal"},
     {"fragmentation_bytes", "mem_fragmentation_bytes"}}};

class Expiry {
 public:
  Expiry(const Plan& plan, Bench& bench, Fleet& fleet)
      : plan_(plan),
        bench_(bench),
        fleet_(fleet),
        ttl_(ttl_of(plan, bench)),
        ends_(bench.scaled(plan.keys)) {
    for (const Instance& instance : fleet_.instances)
      readers_.emplace_back(Protocol::resp, instance.resp(), kPatience);
  }

  Result<void> run() {
    Measure measure{.id = "expiry",
                    .what = fmt::format("{} sessions of {} B with a TTL of {} ms", ends_.size(),
                                        plan_.value_bytes, ttl_.count()),
                    .boundary = "client",
                    .clock_starts = "TTL after the write's acknowledgement was received",
                    .clock_stops = "a read that still finds it is sent",
                    .processes = 4,
                    .parameters = {{"keys", std::to_string(ends_.size())}}};
    auto& repetition = measure.repetitions.emplace_back();
    bench_.meter.phase("writing sessions");
    if (const auto done = memory("before", repetition); !done) return done.error();
    if (const auto done = write(); !done) return done.error();
    if (const auto done = memory("full", repetition); !done) return done.error();
    if (const auto done = weigh(repetition); !done) return done.error();
    bench_.meter.advance();
    bench_.meter.phase("reading until after their end");
    if (const auto done = plant(); !done) return done.error();
    read_on();
    bench_.meter.advance();
    const auto report = history_.take_report();
    repetition.values["violations_count"] = static_cast<double>(report.violation_count());
    fail_on_violations("until after their end", report, bench_.result);
    bench_.meter.phase("looking for what is left");
    if (const auto done = wait_until_gone(repetition); !done) return done.error();
    if (const auto done = memory("after", repetition); !done) return done.error();
    if (const auto clients = redis_.info("clients", "connected_clients"); clients)
      repetition.values["connections_count"] = std::stod(*clients);
    repetition.values["reads_count"] = static_cast<double>(reads_);
    repetition.values["hits_count"] = static_cast<double>(hits_);
    repetition.values["zombies_count"] = static_cast<double>(zombies_);
    repetition.values["latest_ns"] = static_cast<double>(latest_.count());
    repetition.values["early_count"] = static_cast<double>(early_);
    fail_on(zombies_, "reads found a session after its end");
    fail_on(early_, "reads found none before its end");
    fail_on(failed_, "requests failed");
    bench_.result.measure(std::move(measure));
    add_tables();
    bench_.meter.advance();
    return {};
  }

 private:
  /// The first are to be there yet when the last has been written and all are weighed.
  static std::chrono::milliseconds ttl_of(const Plan& plan, const Bench& bench) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(plan.ttl *
                                                                 std::max(bench.scale, 1.0));
  }
  static std::string key(std::size_t number) { return fmt::format("ending:{:08}", number); }

  void fail_on(std::uint64_t count, std::string_view what) {
    if (count != 0) bench_.result.failures.push_back(fmt::format("{} {}", count, what));
  }

  Result<void> memory(const char* when, Repetition& repetition) {
    for (const auto& [metric, field] : kMemory) {
      const auto text = redis_.info("memory", field);
      if (!text) return text.error();
      repetition.values[fmt::format("{}_{}", when, metric)] = std::stod(*text);
    }
    return {};
  }

  /// What a session takes in either tier, its name and what surrounds it included; nothing where one may have ended already.
  Result<void> weigh(Repetition& repetition) {
    const auto sessions = static_cast<double>(ends_.size());
    const auto grown = [&](const std::string& what) {
      return *repetition.values["full_" + what] - *repetition.values["before_" + what];
    };
    // What Redis calls its dataset leaves out the tables that lead to it.
    const double taken = grown("used_bytes") - grown("clients_bytes");
    const auto stats = read_stats(fleet_.instances.front().http());
    if (!stats) return stats.error();
    if (ends_.front().may_have_come(Clock::now())) {
      bench_.result.notes.emplace_back(
          "What a session takes is not known: the first may have ended before the last was "
          "weighed.");
      return {};
    }
    repetition.values["l2_session_bytes"] = taken / sessions;
    repetition.values["l1_session_bytes"] =
        static_cast<double>(stats->l1_bytes) /
        static_cast<double>(std::max<std::uint64_t>(1, stats->l1_entries));
    repetition.values["projected_count"] = kUsableBytes / (taken / sessions);
    return {};
  }

  Result<void> write() {
    BatchClient& writer = readers_[kWriterDoor];
    std::vector<Request> requests(kBatch);
    std::vector<std::uint64_t> versions(kBatch);
    for (std::size_t from = 0; from < ends_.size(); from += kBatch) {
      const std::size_t count = std::min(kBatch, ends_.size() - from);
      const TimePoint sent = Clock::now();
      for (std::size_t i = 0; i < count; ++i) {
        Request& request = requests[i];
        request = {.kind = Op::set, .key = key(from + i), .ttl = ttl_};
        versions[i] = history_.begin_set(request.key, kWriter, kWriterDoor, sent, ttl_);
        write_document(request.key, versions[i], plan_.value_bytes, request.value);
      }
      writer.exchange({requests.data(), count},
                      [&](std::size_t i, const Reply& reply, TimePoint at) {
                        const bool written = reply.outcome == Outcome::ok;
                        if (!written) ++failed_;
                        history_.end_write(requests[i].key, versions[i],
                                           written ? Effect::happened : Effect::unknown, at);
                        ends_[from + i] = SessionEnd::of(sent, at, ttl_);
                      });
    }
    return {};
  }

  /// What an instance that got the end wrong would do, past all of them.
  Result<void> plant() {
    if (plan_.planted == "none") return {};
    const auto done = plan_.planted == "early" ? redis_.command({"DEL", key(0)})
                                               : redis_.command({"PERSIST", key(0)});
    if (!done) return done.error();
    return {};
  }

  /// Every session through every instance, round after round, until all have ended.
  void read_on() {
    TimePoint last = Clock::now();
    for (const auto& end : ends_) last = std::max(last, end.latest);
    std::vector<Request> requests(kBatch);
    while (Clock::now() < last + kAfter) {
      for (std::size_t from = 0; from < ends_.size(); from += kBatch) {
        const std::size_t count = std::min(kBatch, ends_.size() - from);
        for (std::size_t i = 0; i < count; ++i)
          requests[i] = {.kind = Op::get, .key = key(from + i)};
        for (std::size_t door = 0; door < readers_.size(); ++door) {
          const TimePoint sent = Clock::now();
          readers_[door].exchange(
              {requests.data(), count}, [&](std::size_t i, const Reply& reply, TimePoint at) {
                judge(ends_[from + i], reply.outcome, sent, at);
                judge_value(requests[i].key, static_cast<Node>(door), reply, sent, at);
              });
        }
      }
    }
  }

  void judge(const SessionEnd& end, Outcome outcome, TimePoint sent, TimePoint answered) {
    ++reads_;
    if (outcome == Outcome::miss) {
      if (!end.may_have_come(answered)) ++early_;
      return;
    }
    if (outcome == Outcome::error) {
      ++failed_;
      return;
    }
    ++hits_;
    if (!end.has_come(sent)) return;
    ++zombies_;
    latest_ = std::max(latest_, sent - end.latest);
  }

  void judge_value(const std::string& key, Node door, const Reply& reply, TimePoint sent,
                   TimePoint answered) {
    if (reply.outcome == Outcome::error) return;
    if (reply.outcome == Outcome::miss) {
      history_.read(key, door, sent, answered, std::nullopt);
    } else if (const auto version = verify_document(key, reply.text); version) {
      history_.read(key, door, sent, answered, *version);
    } else {
      history_.read_damaged(key, door, version.error().detail);
    }
  }

  /// Until nothing is left in L1 or L2, or for as long as that may take.
  Result<void> wait_until_gone(Repetition& repetition) {
    const TimePoint until = Clock::now() + plan_.swept_within;
    double keys = -1;
    double entries = -1;
    for (;;) {
      const auto size = redis_.command({"DBSIZE"});
      if (!size) return size.error();
      keys = static_cast<double>(size->integer);
      entries = 0;
      for (const Instance& instance : fleet_.instances) {
        const auto stats = read_stats(instance.http());
        if (!stats) return stats.error();
        entries += static_cast<double>(stats->l1_entries);
      }
      if ((keys == 0 && entries == 0) || Clock::now() > until) break;
      std::this_thread::sleep_for(kLook);
    }
    repetition.values["left_in_l2_count"] = keys;
    repetition.values["left_in_l1_count"] = entries;
    fail_on(static_cast<std::uint64_t>(keys), "keys were left in Redis");
    fail_on(static_cast<std::uint64_t>(entries), "entries were left in L1");
    return {};
  }

  void add_tables() {
    const auto cell = [](std::string metric) {
      return std::vector<Cell>{Cell::of("expiry", std::move(metric))};
    };
    Table ends;
    ends.title = "Sessions past their end";
    ends.columns = {"what", "found"};
    const auto row = [&](const char* what, const char* metric) {
      ends.rows.push_back({{Cell::of(what)}, cell(metric)});
    };
    row("reads", "reads_count");
    row("of them found", "hits_count");
    row("found after the end", "zombies_count");
    row("the latest of these, after the end", "latest_ns");
    row("gone before the end", "early_count");
    row("answers that were not allowed", "violations_count");
    row("keys left in Redis", "left_in_l2_count");
    row("entries left in L1, of two instances", "left_in_l1_count");
    bench_.result.tables.push_back(std::move(ends));

    Table memory;
    memory.title =
        "Redis' memory (published after: total 76.10 MB, start-up 9.17, fragmentation 66.86, "
        "clients 0.04, data 0)";
    memory.columns = {"INFO memory", "before", "full", "after all have ended"};
    for (const auto& [metric, field] : kMemory) {
      memory.rows.push_back({{Cell::of(field)},
                             cell(fmt::format("before_{}", metric)),
                             cell(fmt::format("full_{}", metric)),
                             cell(fmt::format("after_{}", metric))});
    }
    memory.rows.push_back({{Cell::of("connected_clients (published 42)")},
                           {Cell::of("–")},
                           {Cell::of("–")},
                           cell("connections_count")});
    bench_.result.tables.push_back(std::move(memory));
    bench_.result.notes.emplace_back(
        "The published fragmentation ratio of 1.23 cannot be that of the published breakdown, in "
        "which nine tenths of the "
        "memory are fragmentation; Redis calls used_memory_rss ÷ used_memory so.");

    Table weights;
    weights.title = "What a session takes (published: 3.5 KB, ~72 million in 80 % of 317 GB)";
    weights.columns = {"where", "found"};
    weights.rows = {
        {{Cell::of("in Redis, a session")}, cell("l2_session_bytes")},
        {{Cell::of("sessions in 80 % of 317 GB of Redis, projected")}, cell("projected_count")},
        {{Cell::of("in L1, a session")}, cell("l1_session_bytes")}};
    bench_.result.tables.push_back(std::move(weights));
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  const std::chrono::milliseconds ttl_;
  std::vector<SessionEnd> ends_;
  std::deque<BatchClient> readers_;  // one an instance
  History history_{{.bound = kLease, .expiry_slack = kRedisLags}};
  RedisClient redis_ = fleet_.redis.client();
  std::uint64_t reads_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t zombies_ = 0;
  std::uint64_t early_ = 0;
  std::uint64_t failed_ = 0;
  Duration latest_{};
};

}  // namespace

Body read_expiry(Section& file) {
  Plan plan;
  auto section = file.section("sessions");
  plan.keys = static_cast<std::uint64_t>(section.integer("keys", 20'000, 1, 10'000'000));
  plan.value_bytes = section.bytes("value_bytes", 3500, kMinDocumentBytes, 1U << 24U);
  plan.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(section.duration(
      "ttl", std::chrono::seconds(4), std::chrono::milliseconds(100), std::chrono::minutes(10)));
  plan.swept_within = section.duration("swept_within", std::chrono::seconds(30),
                                       std::chrono::milliseconds(1), std::chrono::minutes(10));
  plan.planted = section.choice("planted", "none", {"none", "endless", "early"});
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(bench.result.scenario, 3);
    bench.meter.phase("starting Redis and two instances");
    auto fleet = Fleet::start({.instances = 2, .lease = kLease, .proxied = false});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(kPatience); !up) return up.error();
    return Expiry(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
