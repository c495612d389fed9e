// Scenario kind `resp_get_depth`: reads over RESP at several depths, beside Redis, memcached and a canned answer, MGET, and a command
// that is relayed, beside twemproxy.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/resp_contest.h"
#include "harness/bench/resp_keys.h"
#include "harness/bench/resp_nearlane.h"
#include "harness/bench/scenario.h"

namespace nearlane::harness {
namespace {

constexpr std::array<std::uint32_t, 3> kDepths{1, 16, 64};
constexpr std::array<std::uint32_t, 2> kRelayDepths{1, 16};
constexpr double kMixedHits = 0.5;

/// Values of one size.
struct Values {
  std::uint64_t bytes = 0;
  bool misses = false;     // too: they have no size
  std::uint64_t mget = 0;  // keys of an MGET; 0: none is sent
  bool relayed = false;    // too
};

struct Plan {
  std::uint64_t keys = 0;
  std::uint32_t connections = 0;
  Duration load_for{};
  std::string lease;
  std::string l1_bytes;
  std::vector<Values> values;
};

/// Of hits, by size and depth.
struct HitLimit {
  std::uint64_t bytes;
  std::uint32_t depth;
  RespLimit limit;
};
const std::vector<HitLimit>& hit_limits() {
  static const std::vector<HitLimit> kAll{
      {64, 1, {.id = "canned", .cpu_most = 1.25}},
      {64, 1, {.id = "redis", .rate_least = 0.95}},
      {64, 16, {.id = "redis", .cpu_most = 0.38, .rate_least = 2}},
      {64, 64, {.id = "redis", .cpu_most = 0.25, .rate_least = 3}},
      {1024, 16, {.id = "redis", .cpu_most = 0.38, .rate_least = 2.2}},
      {1024, 64, {.id = "redis", .cpu_most = 0.30, .rate_least = 2.8}},
  };
  return kAll;
}
std::vector<RespLimit> limits_of(std::uint64_t bytes, std::uint32_t depth) {
  std::vector<RespLimit> limits;
  for (const HitLimit& each : hit_limits()) {
    if (each.bytes == bytes && each.depth == depth) limits.push_back(each.limit);
  }
  return limits;
}
/// Of 50 keys of 64 B.
const RespLimit kMgetLimit{.id = "redis", .cpu_most = 0.30, .rate_least = 2.5};
const RespLimit kRelayLimit{.id = "nutcracker", .cpu_most = 1};

std::string depth_text(std::uint32_t depth) {
  return depth == 1 ? "one at a time" : fmt::format("{} at once", depth);
}

/// The servers that have values of one size, and what is played on them.
class Reads {
 public:
  static Result<Reads> start(const Plan& plan, const Values& values, Bench& bench) {
    bench.meter.phase(fmt::format("{} B: starting and filling", values.bytes));
    auto nearlane = RespNearlane::start(plan.lease, {"--l1-bytes", plan.l1_bytes});
    if (!nearlane) return nearlane.error();
    auto redis = start_redis();
    if (!redis) return redis.error();
    auto memcached = start_memcached();
    if (!memcached) return memcached.error();
    auto canned = start_canned_resp(values.bytes);
    if (!canned) return canned.error();
    const RespKeys keys{.prefix = "depth:", .count = plan.keys, .value_bytes = values.bytes};
    for (const Endpoint& store : {(*nearlane)->store(), (*redis)->resp()}) {
      if (const auto filled = fill(store, keys); !filled) return filled.error();
    }
    if (const auto filled = fill((*memcached)->resp(), in_memcached(keys)); !filled)
      return filled.error();
    const Sequence all = gets(keys, 1, bench.seed);
    if (const auto read = read_once((*nearlane)->resp(), all); !read) return read.error();
    return Reads(plan, values, bench, keys, std::move(*nearlane), std::move(*redis),
                 std::move(*memcached), std::move(*canned));
  }

  Result<void> play() {
    play_gets("hit", 1,
              fmt::format("GET of {} keys of {} B that L1 has", keys_.count, keys_.value_bytes));
    play_gets("mixed", kMixedHits,
              fmt::format("GET of keys of {} B, of which half are nowhere", keys_.value_bytes));
    if (values_.misses) play_gets("miss", 0, "GET of keys that are nowhere: Redis is asked");
    if (values_.mget > 0) play_mget();
    if (values_.relayed) return play_relayed();
    return {};
  }

  /// Of rounds of contests.
  static std::uint64_t steps(const Values& values) {
    return 2 + (values.misses ? 1U : 0U) + (values.mget > 0 ? 1U : 0U) + (values.relayed ? 1U : 0U);
  }

 private:
  Reads(const Plan& plan, const Values& values, Bench& bench, RespKeys keys,
        std::unique_ptr<RespNearlane> nearlane, std::unique_ptr<RespPeer> redis,
        std::unique_ptr<RespPeer> memcached, std::unique_ptr<RespPeer> canned)
      : plan_(&plan),
        values_(values),
        bench_(&bench),
        keys_(std::move(keys)),
        nearlane_(std::move(nearlane)),
        redis_(std::move(redis)),
        memcached_(std::move(memcached)),
        canned_(std::move(canned)) {}

  static RespKeys in_memcached(RespKeys keys) {
    keys.dialect = Dialect::memcached;
    return keys;
  }
  [[nodiscard]] RespKeys canned_keys() const {
    RespKeys canned = keys_;
    canned.canned = true;
    return canned;
  }
  /// The same reads, for the peers that hold every key.
  struct Others {
    Sequence memcached;
    Sequence canned;
  };
  /// Ours and Redis, and the others where everything is there.
  [[nodiscard]] std::vector<RespEntrant> readers(const Sequence& sequence,
                                                 const Others* others) const {
    const bool all_there = others != nullptr;
    std::vector<RespEntrant> all{
        {.id = "nearlane",
         .what = "Nearlane",
         .peer = nearlane_.get(),
         .sequence = &sequence,
         .processes = all_there ? 2 : 3,
         .stats = all_there ? &nearlane_->http() : nullptr},
        {.id = "redis", .what = "redis-server", .peer = redis_.get(), .sequence = &sequence}};
    if (all_there) {
      all.push_back({.id = "memcached",
                     .what = "memcached, its text protocol",
                     .peer = memcached_.get(),
                     .sequence = &others->memcached});
      all.push_back({.id = "canned",
                     .what = "canned answer, bare epoll",
                     .peer = canned_.get(),
                     .sequence = &others->canned});
    }
    return all;
  }

  void play_gets(const char* id, double hits, std::string title) {
    const bool all_there = hits == 1;
    const Sequence sequence = gets(keys_, hits, bench_->seed);
    std::optional<Others> others;
    if (all_there) {
      others = Others{gets(in_memcached(keys_), hits, bench_->seed),
                      gets(canned_keys(), hits, bench_->seed)};
    }
    RespContest contest(plan_->load_for, *bench_);
    for (const auto depth : kDepths) {
      contest.add(
          {.id = fmt::format("{}/{}/{}", id, keys_.value_bytes, depth),
           .what = depth_text(depth),
           .connections = plan_->connections,
           .burst = depth,
           .polls = all_there,
           .entrants = readers(sequence, others ? &*others : nullptr),
           .limits = all_there ? limits_of(keys_.value_bytes, depth) : std::vector<RespLimit>{}});
    }
    contest.play(title);
    contest.keep(std::move(title));
  }

  void play_mget() {
    const Sequence sequence = mgets(keys_, values_.mget, bench_->seed);
    const Others others{mgets(in_memcached(keys_), values_.mget, bench_->seed),
                        mgets(canned_keys(), values_.mget, bench_->seed)};
    RespContest contest(plan_->load_for, *bench_);
    const auto title = fmt::format("MGET of {} keys of {} B that L1 has: one request", values_.mget,
                                   keys_.value_bytes);
    contest.add({.id = fmt::format("mget/{}/{}", keys_.value_bytes, values_.mget),
                 .what = depth_text(1),
                 .connections = plan_->connections,
                 .entrants = readers(sequence, &others),
                 .limits = {kMgetLimit}});
    contest.play(title);
    contest.keep(title);
  }

  /// A command that Nearlane does not know passes through it as it does through a proxy.
  Result<void> play_relayed() {
    RespKeys hashes = keys_;
    hashes.prefix = "relayed:";
    if (const auto filled = fill_hashes(nearlane_->store(), hashes); !filled) return filled.error();
    const auto nutcracker = start_nutcracker(nearlane_->store());
    if (!nutcracker) return nutcracker.error();
    const Sequence sequence = hgets(hashes, bench_->seed);
    const std::vector<RespEntrant> entrants{{.id = "nearlane",
                                             .what = "Nearlane",
                                             .peer = nearlane_.get(),
                                             .sequence = &sequence,
                                             .processes = 3},
                                            {.id = "nutcracker",
                                             .what = "twemproxy",
                                             .peer = nutcracker->get(),
                                             .sequence = &sequence,
                                             .processes = 3}};
    RespContest contest(plan_->load_for, *bench_);
    for (const auto depth : kRelayDepths) {
      contest.add({.id = fmt::format("relayed/{}/{}", keys_.value_bytes, depth),
                   .what = depth_text(depth),
                   .connections = plan_->connections,
                   .burst = depth,
                   .polls = false,
                   .entrants = entrants,
                   .limits = {kRelayLimit}});
    }
    const auto title =
        fmt::format("HGET of {} B, which is relayed to the same Redis by both", keys_.value_bytes);
    contest.play(title);
    contest.keep(title);
    return {};
  }

  const Plan* plan_;
  Values values_;
  Bench* bench_;
  RespKeys keys_;
  std::unique_ptr<RespNearlane> nearlane_;
  std::unique_ptr<RespPeer> redis_;
  std::unique_ptr<RespPeer> memcached_;
  std::unique_ptr<RespPeer> canned_;
};

Result<void> run_get_depth(const Plan& plan, Bench& bench) {
  std::uint64_t steps = 0;
  for (const Values& values : plan.values) steps += Reads::steps(values);
  bench.meter.begin(bench.result.scenario, steps * static_cast<std::uint64_t>(bench.repetitions));
  for (const Values& values : plan.values) {
    auto reads = Reads::start(plan, values, bench);
    if (!reads) return reads.error();
    if (const auto done = reads->play(); !done) return done.error();
  }
  add_contest_notes(bench.result);
  bench.result.notes.push_back(
      fmt::format("{} connections, closed loop. Where Redis has to be asked it shares the load's "
                  "core: three processes on two cores, of which only the CPU time of the one that "
                  "is alone on its core says anything.",
                  plan.connections));
  return {};
}

}  // namespace

Body read_resp_get_depth(Section& file) {
  Plan plan;
  auto load = file.section("load");
  plan.keys = static_cast<std::uint64_t>(load.integer("keys", 100'000, 64, 10'000'000));
  plan.connections = static_cast<std::uint32_t>(load.integer("connections", 50, 1, 4000));
  plan.load_for = load.duration("load_for", std::chrono::milliseconds(150),
                                std::chrono::milliseconds(10), std::chrono::minutes(10));
  plan.lease = load.text("lease", "250ms");
  plan.l1_bytes = load.text("l1_bytes", "2GiB");
  for (auto& section : load.sections("values")) {
    Values values;
    values.bytes = section.bytes("bytes", 64, 1, 1U << 20U);
    values.misses = section.flag("misses", false);
    values.mget = static_cast<std::uint64_t>(section.integer("mget", 0, 0, 64));
    values.relayed = section.flag("relayed", false);
    plan.values.push_back(values);
  }
  return [plan](Bench& bench) { return run_get_depth(plan, bench); };
}

}  // namespace nearlane::harness
