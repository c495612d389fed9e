// Scenario kind `coherence_costs`: what lanes, leases and epochs cost beside what they replace.
#include <algorithm>
#include <array>
#include <thread>

#include <fmt/format.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "harness/bench/caller.h"
#include "harness/bench/lane_caller.h"
#include "harness/bench/scenario.h"
#include "harness/check/fleet.h"

namespace nearlane::harness {
namespace {

/// A form of write is timed for so many in a row, then the other: what the machine does meanwhile meets both.
constexpr std::uint64_t kBlock = 100;
constexpr std::uint64_t kWrittenKeys = 100;

constexpr Duration kPatience = std::chrono::seconds(5);

constexpr std::size_t kLanes = 32;   // as --pool has it
constexpr std::size_t kLosses = 10;  // of each lane
constexpr std::size_t kLostValueBytes = 64;
/// Beside name and value, more than an entry takes.
constexpr std::uint64_t kLostEntryBytes = 256;
constexpr std::size_t kLooked = 1000;  // entries that are asked for after a loss

constexpr std::size_t kWarmKeys = 1000;  // enough that every lane has some
constexpr auto kWarmEvery = std::chrono::milliseconds(100);

struct Plan {
  std::string coherence;
  Duration window{};
  Duration cool_down{};
  std::uint64_t writes = 0;
  std::vector<std::uint64_t> value_bytes;
  std::uint64_t entries = 0;
  std::uint64_t barriers = 0;
};

class Costs {
 public:
  Costs(const Plan& plan, Bench& bench, Fleet& fleet) : plan_(plan), bench_(bench), fleet_(fleet) {}

  Result<void> run() {
    for (const auto bytes : plan_.value_bytes) {
      bench_.meter.phase(fmt::format("writes of {} B", bytes));
      for (const Waiting waiting : kWaitings) {
        if (const auto done = writes(bytes, waiting); !done) return done.error();
      }
    }
    bench_.meter.phase("commands while L1 answers");
    if (const auto done = heartbeats_warm(); !done) return done.error();
    const TimePoint cold = Clock::now() + plan_.cool_down;
    bench_.meter.phase("losing a lane");
    if (const auto done = losses(cold); !done) return done.error();
    bench_.meter.phase("commands while nobody asks");
    if (const auto done = heartbeats_idle(); !done) return done.error();
    bench_.meter.phase("commands without keys");
    if (const auto done = barriers(); !done) return done.error();
    add_tables();
    return {};
  }

 private:
  using Waiting = LaneCaller::Waiting;
  static constexpr std::array kWaitings = {Waiting::polls, Waiting::sleeps};

  static std::string write_id(const char* form, Waiting waiting, std::uint64_t bytes) {
    return fmt::format("write/{}{}/{}", form, waiting == Waiting::sleeps ? "_blocking" : "", bytes);
  }

  Result<void> writes(std::uint64_t bytes, Waiting waiting) {
    const auto measure = [&](const char* form, const char* what) {
      return Measure{.id = write_id(form, waiting, bytes),
                     .what = fmt::format("{}, {} B", what, bytes),
                     .boundary = "client",
                     .clock_starts = "the value at hand, nothing encoded",
                     .clock_stops = "whole reply parsed",
                     .processes = 2};
    };
    auto bare = measure("bare", "SET on a plain connection");
    auto lane = measure("lane", "SET as a lane writes it");
    Caller caller(Protocol::resp, fleet_.redis.endpoint(), kPatience,
                  waiting == Waiting::sleeps ? Duration::zero() : kPatience);
    LaneCaller lane_caller(waiting);
    if (const auto up = lane_caller.connect(fleet_.redis.endpoint()); !up) return up.error();
    Request request{.kind = Op::set, .value = std::string(bytes, 'v')};
    const std::uint64_t writes = bench_.scaled(plan_.writes);
    for (int i = 0; i < bench_.repetitions; ++i) {
      Histogram bare_took;
      Histogram lane_took;
      for (std::uint64_t block = 0; block * kBlock < writes; ++block) {
        for (std::uint64_t write = 0; write < kBlock; ++write) {
          request.key = fmt::format("bare:{}", write % kWrittenKeys);
          const TimePoint begin = Clock::now();
          const Answer answer = caller.call(request);
          bare_took.record(Clock::now() - begin);
          if (answer.outcome != Outcome::ok) {
            return Error{Errc::protocol, "SET: " + std::string(answer.value)};
          }
        }
        for (std::uint64_t write = 0; write < kBlock; ++write) {
          // Names of its own: a bare SET of a key that the lane watches would be announced to it.
          request.key = fmt::format("lane:{}", write % kWrittenKeys);
          const TimePoint begin = Clock::now();
          if (const auto done = lane_caller.set(request.key, request.value); !done)
            return done.error();
          lane_took.record(Clock::now() - begin);
        }
      }
      bare.repetitions.emplace_back().add("", bare_took);
      auto& repetition = lane.repetitions.emplace_back();
      repetition.add("", lane_took);
      repetition.values["of_bare_share"] = static_cast<double>(lane_took.quantile(0.5).count()) /
                                           static_cast<double>(bare_took.quantile(0.5).count());
      bench_.meter.advance();
    }
    bench_.result.measure(std::move(bare));
    bench_.result.measure(std::move(lane));
    return {};
  }

  static std::string lost_key(std::uint64_t number) {
    return fmt::format("session:{:012}", number);
  }

  /// Each lane in turn, of an L1 that is full. While it is filled the instance cools down: nothing is timed beside its
  /// heartbeats.
  Result<void> losses(TimePoint cold) {
    const std::uint64_t entries = bench_.scaled(plan_.entries);
    Measure measure{.id = "loss",
                    .what = fmt::format("one of {} lanes lost, {} entries in L1", kLanes, entries),
                    .boundary = "in process",
                    .clock_starts = "the lane is told that its connection is gone",
                    .clock_stops = "everything that it had vouched for is disowned"};
    auto map = l1::make_l1({.bytes = entries * kLostEntryBytes});
    if (!map) return map.error();
    std::vector<LaneCaller> lanes(kLanes);
    for (LaneCaller& lane : lanes) {
      if (const auto up = lane.connect(fleet_.redis.endpoint()); !up) return up.error();
    }
    const std::string value(kLostValueBytes, 'v');
    for (std::uint64_t number = 0; number < entries; ++number) {
      const std::string name = lost_key(number);
      const KeyRef key(0, name);
      (*map)->put(Entry::build(key, value, kForever,
                               lanes[cohere::lane_of(key.hash, kLanes)].view().epoch()));
    }
    if ((*map)->stats().entries != entries) {
      return Error{Errc::too_large, "L1 does not hold all entries"};
    }
    std::this_thread::sleep_until(cold);
    auto& repetition = measure.repetitions.emplace_back();
    Histogram took;
    std::uint64_t disowned = 0;
    std::uint64_t kept = 0;
    for (std::size_t loss = 0; loss < kLosses * kLanes; ++loss) {
      const std::size_t lost = loss % kLanes;
      took.record(lanes[lost].lose());
      const epoch::Guard guard;
      for (std::uint64_t number = 0; number < std::min<std::uint64_t>(kLooked, entries); ++number) {
        const std::string name = lost_key(number);
        const KeyRef key(0, name);
        const std::size_t lane = cohere::lane_of(key.hash, kLanes);
        if (lane != lost) continue;
        const Entry* entry = (*map)->find(key);
        const bool vouched =
            entry != nullptr && lanes[lane].view().vouches_but_for_lease(*entry, Clock::now());
        ++(vouched ? kept : disowned);
      }
      if (const auto up = lanes[lost].connect(fleet_.redis.endpoint()); !up) return up.error();
    }
    repetition.add("", took);
    repetition.values["entries_count"] = static_cast<double>(entries);
    bench_.result.measure(std::move(measure));
    if (kept != 0 || disowned == 0) {
      bench_.result.failures.push_back(fmt::format(
          "after the loss of each lane {} of its entries are vouched for, {} not", kept, disowned));
    }
    bench_.meter.advance();
    return {};
  }

  /// How many commands Redis has executed; asking is one more.
  Result<std::uint64_t> executed() {
    const auto text = redis_.info("stats", "total_commands_processed");
    if (!text) return text.error();
    return std::stoull(*text);
  }

  /// Reads that L1 answers, for one window or for none.
  Result<double> commands_per_s(Caller* reader) {
    const auto before = executed();
    if (!before) return before.error();
    const TimePoint begin = Clock::now();
    while (Clock::now() - begin < plan_.window) {
      if (reader != nullptr) {
        if (const auto read = read_all(*reader); !read) return read.error();
      }
      std::this_thread::sleep_for(kWarmEvery);
    }
    const auto after = executed();
    if (!after) return after.error();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return static_cast<double>(*after - *before - 1) / seconds;
  }

  static Result<void> read_all(Caller& reader) {
    Request request{.kind = Op::get};
    for (std::size_t i = 0; i < kWarmKeys; ++i) {
      request.key = fmt::format("warm:{}", i);
      if (const Answer answer = reader.call(request); !found(answer.outcome)) {
        return Error{Errc::protocol, fmt::format("GET {}: {}", request.key, answer.value)};
      }
    }
    return {};
  }

  [[nodiscard]] Measure heartbeats_of(const char* id, const char* what) const {
    const auto window = std::chrono::duration_cast<std::chrono::milliseconds>(plan_.window).count();
    return {.id = id,
            .what = what,
            .boundary = "server",
            .clock_starts = "Redis' count of commands",
            .clock_stops = fmt::format("its count {} ms later", window),
            .loop = "none",
            .processes = 3};
  }

  Result<void> heartbeats_warm() {
    auto warm =
        heartbeats_of("commands/warm", "one instance that only answers from L1, on every lane");
    Caller writer(Protocol::resp, fleet_.redis.endpoint());
    Request request{.kind = Op::set, .value = "v"};
    for (std::size_t i = 0; i < kWarmKeys; ++i) {
      request.key = fmt::format("warm:{}", i);
      if (const Answer answer = writer.call(request); answer.outcome != Outcome::ok) {
        return Error{Errc::protocol, fmt::format("SET {}: {}", request.key, answer.value)};
      }
    }
    Caller reader(Protocol::resp, fleet_.instances.front().resp());
    if (const auto filled = read_all(reader); !filled) return filled.error();
    for (int i = 0; i < bench_.repetitions; ++i) {
      const auto rate = commands_per_s(&reader);
      if (!rate) return rate.error();
      warm.repetitions.emplace_back().values["rate_per_s"] = *rate;
      bench_.meter.advance();
    }
    bench_.result.measure(std::move(warm));
    return {};
  }

  Result<void> heartbeats_idle() {
    auto idle = heartbeats_of("commands/idle", "one instance that nobody asks");
    for (int i = 0; i < bench_.repetitions; ++i) {
      const auto rate = commands_per_s(nullptr);
      if (!rate) return rate.error();
      idle.repetitions.emplace_back().values["rate_per_s"] = *rate;
      // What it leaves in L2 once a minute, for those that begin, is fewer than a heartbeat of every lane.
      if (*rate * std::chrono::duration<double>(plan_.window).count() >= kLanes) {
        bench_.result.failures.push_back(fmt::format(
            "an instance that nobody asks sends Redis {:.1f} commands a second", *rate));
      }
      bench_.meter.advance();
    }
    bench_.result.measure(std::move(idle));
    return {};
  }

  /// FLUSHDB may have written any key, so an instance answers it once every lane has heard of it.
  Result<void> barriers() {
    const std::uint64_t each = bench_.scaled(plan_.barriers);
    const auto time = [&](const char* id, const char* what, const Endpoint& peer,
                          int processes) -> Result<void> {
      Measure measure{.id = fmt::format("barrier/{}", id),
                      .what = what,
                      .boundary = "client",
                      .clock_starts = "the command is given to hiredis",
                      .clock_stops = "whole reply parsed",
                      .processes = processes};
      RedisClient client(peer);
      for (int i = 0; i < bench_.repetitions; ++i) {
        Histogram took;
        for (std::uint64_t n = 0; n < each; ++n) {
          const TimePoint begin = Clock::now();
          const auto reply = client.command({"FLUSHDB"});
          took.record(Clock::now() - begin);
          if (!reply) return reply.error();
          if (reply->is_error()) return Error{Errc::l2_error, reply->text};
        }
        measure.repetitions.emplace_back().add("", took);
        bench_.meter.advance();
      }
      bench_.result.measure(std::move(measure));
      return {};
    };
    if (const auto done = time("direct", "FLUSHDB of an empty database, straight to Redis",
                               fleet_.redis.endpoint(), 2);
        !done) {
      return done.error();
    }
    return time("instance", "the same through an instance, with the barrier",
                fleet_.instances.front().resp(), 3);
  }

  void add_tables() {
    Table writes;
    writes.title = "A write whose value we know, one at a time";
    writes.columns = {
        "value", "a client that",        "bare SET, p50", "p99", "as a lane writes it, p50",
        "p99",   "of the bare SET's p50"};
    for (const auto bytes : plan_.value_bytes) {
      for (const Waiting waiting : kWaitings) {
        const auto bare = write_id("bare", waiting, bytes);
        const auto lane = write_id("lane", waiting, bytes);
        writes.rows.push_back({{Cell::of(fmt::format("{} B", bytes))},
                               {Cell::of(waiting == Waiting::sleeps ? "sleeps" : "polls")},
                               {Cell::of(bare, "p50_ns")},
                               {Cell::of(bare, "p99_ns")},
                               {Cell::of(lane, "p50_ns")},
                               {Cell::of(lane, "p99_ns")},
                               {Cell::of(lane, "of_bare_share")}});
      }
    }
    bench_.result.tables.push_back(std::move(writes));

    Table others;
    others.title = "Losing a lane, staying warm, and commands that name no keys";
    others.columns = {"what", "found"};
    const auto row = [&](const char* what, const char* measure, const char* metric) {
      others.rows.push_back({{Cell::of(what)}, {Cell::of(measure, metric)}});
    };
    row("entries in L1 when a lane is lost", "loss", "entries_count");
    row("disowning a lane's, p50 of all lanes", "loss", "p50_ns");
    row("the longest", "loss", "max_ns");
    row("commands to Redis while every lane serves hits", "commands/warm", "rate_per_s");
    row("commands to Redis while nobody asks", "commands/idle", "rate_per_s");
    row("FLUSHDB straight to Redis, p50", "barrier/direct", "p50_ns");
    row("FLUSHDB through an instance, p50", "barrier/instance", "p50_ns");
    bench_.result.tables.push_back(std::move(others));
    bench_.result.notes.emplace_back(
        "Both writes are timed by one thread, in turns of a hundred: the forms of the commands are "
        "compared, not event "
        "loops. A thread that polls sees what Redis and the protocol take; one that sleeps until "
        "the reply is there, as "
        "clients do, pays for a wake-up besides, whichever the form.");
  }

  const Plan& plan_;
  Bench& bench_;
  Fleet& fleet_;
  RedisClient redis_ = fleet_.redis.client();
};

}  // namespace

Body read_coherence_costs(Section& file) {
  Plan plan;
  auto heartbeats = file.section("heartbeats");
  plan.coherence = heartbeats.choice("coherence", "lanes", {"lanes", "pubsub"});
  plan.window = heartbeats.duration("window", std::chrono::seconds(2),
                                    std::chrono::milliseconds(100), std::chrono::minutes(1));
  // Lanes stay warm for five seconds after their last hit.
  plan.cool_down = heartbeats.duration("cool_down", std::chrono::seconds(7),
                                       std::chrono::milliseconds(100), std::chrono::minutes(1));
  auto writes = file.section("writes");
  plan.writes = static_cast<std::uint64_t>(writes.integer("each", 5000, 1, 10'000'000));
  for (const auto& text : writes.texts("value_bytes", {"1KB"})) {
    const auto bytes = parse_bytes(text);
    if (!bytes || *bytes == 0 || *bytes > (1U << 24U)) {
      writes.problem("value_bytes", "must be sizes from 1B to 16MB");
      continue;
    }
    plan.value_bytes.push_back(*bytes);
  }
  plan.entries =
      static_cast<std::uint64_t>(file.section("loss").integer("entries", 1'000'000, 1, 50'000'000));
  plan.barriers =
      static_cast<std::uint64_t>(file.section("barrier").integer("each", 500, 1, 1'000'000));
  return [plan](Bench& bench) -> Result<void> {
    bench.meter.begin(
        bench.result.scenario,
        (2 * plan.value_bytes.size() + 4) * static_cast<std::uint64_t>(bench.repetitions) + 1);
    bench.meter.phase("starting Redis and an instance");
    auto fleet =
        Fleet::start({.instances = 1, .proxied = false, .flags = {"--coherence", plan.coherence}});
    if (!fleet) return fleet.error();
    if (const auto up = fleet->ready_within(std::chrono::seconds(10)); !up) return up.error();
    return Costs(plan, bench, *fleet).run();
  };
}

}  // namespace nearlane::harness
