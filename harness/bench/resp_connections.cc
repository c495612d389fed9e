// Scenario kind `resp_connections`: what a connection that does nothing keeps of a server's memory, and whether many that ask make a
// request dearer.
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/resp_contest.h"
#include "harness/bench/resp_keys.h"
#include "harness/bench/resp_nearlane.h"
#include "harness/bench/scenario.h"
#include "harness/driver/bursts.h"
#include "harness/topology/pinned.h"
#include "harness/topology/redis_client.h"

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);
constexpr Duration kLookEvery = std::chrono::milliseconds(10);
/// Before its memory is looked at, a server has seen some clients come and go.
constexpr std::uint32_t kEarlier = 50;
/// Connections that ask at the same time: they are idle most of the time.
constexpr std::uint32_t kAskAtOnce = 8;
struct Plan {
  std::uint64_t keys = 0;
  std::uint64_t value_bytes = 0;
  std::uint32_t idle = 0;
  std::uint32_t burst = 0;  // that each of them has sent once
  std::uint32_t few = 0;
  std::uint32_t many = 0;
  Duration load_for{};
  std::string lease;
  std::string max_connections;
  std::uint64_t most_bytes = 0;  // that an idle one of ours may keep of the server's memory
};

enum class Who : std::uint8_t { nearlane, redis };
constexpr std::array kAll = {Who::nearlane, Who::redis};
constexpr const char* id_of(Who who) { return who == Who::nearlane ? "nearlane" : "redis"; }
constexpr const char* name_of(Who who) {
  return who == Who::nearlane ? "Nearlane" : "redis-server";
}

/// Beside the active ones: what the kernel alone takes more where connections are many.
constexpr const char* kCannedId = "canned";
constexpr const char* kCannedName = "canned answer, bare epoll";

/// A server that has all keys, in L1 where there is one.
struct Server {
  std::unique_ptr<RespNearlane> nearlane = {};
  std::unique_ptr<RespPeer> redis = {};

  static Result<Server> start(Who who, const Plan& plan, const RespKeys& keys,
                              const Sequence& reads) {
    Server made;
    if (who == Who::redis) {
      auto redis = start_redis();
      if (!redis) return redis.error();
      made.redis = std::move(*redis);
      if (const auto filled = fill(made.peer().resp(), keys); !filled) return filled.error();
      return made;
    }
    auto nearlane = RespNearlane::start(
        plan.lease, {"--l1-bytes", "256MiB", "--max-connections", plan.max_connections});
    if (!nearlane) return nearlane.error();
    made.nearlane = std::move(*nearlane);
    if (const auto filled = fill(made.nearlane->store(), keys); !filled) return filled.error();
    if (const auto read = read_once(made.peer().resp(), reads); !read) return read.error();
    return made;
  }

  [[nodiscard]] const RespPeer& peer() const {
    if (nearlane) return *nearlane;
    return *redis;
  }
};

/// Until the server has taken so many clients, who may have connected before it has looked.
Result<void> wait_for_clients(const Endpoint& server, std::uint32_t clients) {
  RedisClient asking(server);
  const TimePoint until = Clock::now() + kPatience;
  for (;;) {
    const auto connected = asking.info("clients", "connected_clients");
    if (!connected) return connected.error();
    std::uint64_t count = 0;
    std::from_chars(connected->data(), connected->data() + connected->size(), count);
    if (count > clients) return {};  // with this one
    if (Clock::now() > until) {
      return Error{Errc::timeout,
                   fmt::format("{} of {} clients are connected", *connected, clients)};
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

class Connections {
 public:
  Connections(const Plan& plan, Bench& bench) : plan_(plan), bench_(bench) {}

  Result<void> run() {
    for (const Who who : kAll) {
      idle_.push_back(
          {.id = fmt::format("idle/{}", id_of(who)),
           .what = fmt::format("{}: {} connections that wait", name_of(who), plan_.idle),
           .boundary = "server",
           .clock_starts = "none",
           .clock_stops = "none",
           .loop = "none",
           .processes = 2,
           .parameters = {{"connections", std::to_string(plan_.idle)}}});
    }
    for (int round = 0; round < bench_.repetitions; ++round) {
      for (std::size_t i = 0; i < kAll.size(); ++i) {
        bench_.meter.phase(fmt::format("{} idle connections, {}", plan_.idle, name_of(kAll[i])));
        if (const auto done = fill_up(kAll[i], idle_[i].repetitions.emplace_back()); !done) {
          bench_.result.failures.push_back(fmt::format("{}: {}", idle_[i].id, done.error().detail));
        }
        bench_.meter.advance();
      }
    }
    for (Measure& measure : idle_) bench_.result.measure(std::move(measure));
    add_idle_table();
    return play_active();
  }

 private:
  /// A fresh process each time, as what one has freed it may keep for the next.
  Result<void> fill_up(Who who, Repetition& repetition) {
    const auto server = Server::start(who, plan_, keys_, reads_);
    if (!server) return server.error();
    const RespPeer& peer = server->peer();
    const auto rss = [&] { return static_cast<double>(peer.child().usage().rss_bytes); };
    const Pinned here(kClientsCore);
    BurstLoad load{.sequence = &reads_,
                   .target = peer.resp(),
                   .connections = kEarlier,
                   .burst = plan_.burst,
                   .bursts = kEarlier};
    BurstOptions options{.duration = kPatience, .polls = false};
    if (const auto earlier = send_bursts({&load, 1}, options); !earlier) return earlier.error();

    const double before = rss();
    Result<void> connected;
    load.connections = plan_.idle;
    load.bursts = plan_.idle;
    load.under_way = kAskAtOnce;
    options.opened = [&] {
      connected = wait_for_clients(peer.resp(), plan_.idle);
      repetition.values["opened_bytes"] = (rss() - before) / plan_.idle;
    };
    options.answered = [&] { repetition.values["asked_bytes"] = (rss() - before) / plan_.idle; };
    const auto done = send_bursts({&load, 1}, options);
    repetition.values["before_bytes"] = before;
    if (!connected) return connected.error();
    if (!done) return done.error();
    const double kept = repetition.values["asked_bytes"].value_or(0);
    if (who == Who::nearlane && kept > static_cast<double>(plan_.most_bytes))
      return Error{Errc::too_large, fmt::format("each keeps {:.0f} bytes of the server's", kept)};
    return {};
  }

  void add_idle_table() {
    Table table;
    table.title =
        fmt::format("Memory of the process for each of {} connections that do nothing", plan_.idle);
    table.columns = {
        "server", "without them", "each, connected",
        fmt::format("each, after {} GETs of {} B at once", plan_.burst, plan_.value_bytes),
        "limit"};
    for (const Who who : kAll) {
      const auto id = fmt::format("idle/{}", id_of(who));
      table.rows.push_back(
          {{Cell::of(name_of(who))},
           {Cell::of(id, "before_bytes")},
           {Cell::of(id, "opened_bytes")},
           {Cell::of(id, "asked_bytes")},
           {Cell::of(who == Who::nearlane ? fmt::format("≤ {} B", plan_.most_bytes) : "—")}});
    }
    bench_.result.tables.push_back(std::move(table));
    bench_.result.notes.emplace_back(
        "Memory is what the process has resident; what the kernel keeps for a socket is not in "
        "it. Each repetition is of a fresh process.");
  }

  Result<void> play_active() {
    bench_.meter.phase("active connections: starting and filling");
    std::vector<Server> servers;
    for (const Who who : kAll) {
      auto server = Server::start(who, plan_, keys_, reads_);
      if (!server) return server.error();
      servers.push_back(std::move(*server));
    }
    const auto canned = start_canned_resp(plan_.value_bytes);
    if (!canned) return canned.error();
    RespKeys canned_keys = keys_;
    canned_keys.canned = true;
    const Sequence canned_reads = gets(canned_keys, 1, bench_.seed);
    RespContest contest(plan_.load_for, bench_);
    for (const auto connections : {plan_.few, plan_.many}) {
      RespCase active{.id = fmt::format("active/{}", connections),
                      .what = fmt::format("{} connections", connections),
                      .connections = connections};
      for (std::size_t i = 0; i < kAll.size(); ++i) {
        active.entrants.push_back(
            {.id = id_of(kAll[i]),
             .what = name_of(kAll[i]),
             .peer = &servers[i].peer(),
             .sequence = &reads_,
             .stats = servers[i].nearlane ? &servers[i].nearlane->http() : nullptr});
      }
      active.entrants.push_back(
          {.id = kCannedId, .what = kCannedName, .peer = canned->get(), .sequence = &canned_reads});
      contest.add(std::move(active));
    }
    contest.play("active connections");
    for (std::size_t i = 0; i < kAll.size() + 1; ++i)
      compare(contest.measure(0, i), contest.measure(1, i));
    contest.keep(fmt::format("GET of {} B that L1 has, one at a time on each connection",
                             plan_.value_bytes));
    add_active_table();
    add_contest_notes(bench_.result);
    return {};
  }

  /// Round by round.
  static void compare(const Measure& few, Measure& many) {
    for (std::size_t round = 0; round < many.repetitions.size(); ++round) {
      const auto& fewer = few.repetitions[round].values;
      auto& more = many.repetitions[round].values;
      if (!fewer.contains("cpu_ns_per_op") || !more.contains("cpu_ns_per_op")) continue;
      more["of_few_share"] = *more.at("cpu_ns_per_op") / *fewer.at("cpu_ns_per_op");
    }
  }

  void add_active_table() {
    Table table;
    table.title = "Server CPU a request, by connections";
    table.columns = {"server", fmt::format("{} connections", plan_.few),
                     fmt::format("{} connections", plan_.many), "in shares of the fewer", "limit"};
    for (const auto& [who, name] :
         {std::pair(id_of(Who::nearlane), name_of(Who::nearlane)),
          std::pair(id_of(Who::redis), name_of(Who::redis)), std::pair(kCannedId, kCannedName)}) {
      const auto id = [&, entrant = who](std::uint32_t count) {
        return fmt::format("active/{}/{}", count, entrant);
      };
      table.rows.push_back(
          {{Cell::of(name)},
           {Cell::of(id(plan_.few), "cpu_ns_per_op")},
           {Cell::of(id(plan_.many), "cpu_ns_per_op")},
           {Cell::of(id(plan_.many), "of_few_share")},
           {Cell::of(name == std::string_view(name_of(Who::nearlane)) ? "≤ 100 %" : "—")}});
    }
    bench_.result.tables.push_back(std::move(table));
  }

  const Plan& plan_;
  Bench& bench_;
  const RespKeys keys_{.prefix = "idle:", .count = plan_.keys, .value_bytes = plan_.value_bytes};
  const Sequence reads_ = gets(keys_, 1, bench_.seed);
  std::vector<Measure> idle_;
};

}  // namespace

Body read_resp_connections(Section& file) {
  Plan plan;
  auto work = file.section("work");
  plan.keys = static_cast<std::uint64_t>(work.integer("keys", 10'000, 1, 1'000'000));
  plan.value_bytes = work.bytes("value_bytes", 1024, 1, 1U << 16U);
  plan.idle = static_cast<std::uint32_t>(work.integer("idle", 10'000, 1, 11'000));
  plan.burst = static_cast<std::uint32_t>(work.integer("burst", 16, 1, 1000));
  plan.few = static_cast<std::uint32_t>(work.integer("few", 50, 1, 11'000));
  plan.many = static_cast<std::uint32_t>(work.integer("many", 1000, 1, 11'000));
  plan.most_bytes = work.bytes("most_bytes", 4096, 1, 1U << 20U);
  plan.load_for = work.duration("load_for", std::chrono::milliseconds(300),
                                std::chrono::milliseconds(10), std::chrono::minutes(10));
  plan.lease = work.text("lease", "250ms");
  plan.max_connections = std::to_string(work.integer("max_connections", 12'000, 1, 1'000'000));
  return [plan](Bench& bench) {
    bench.meter.begin(bench.result.scenario,
                      (kAll.size() + 1) * static_cast<std::uint64_t>(bench.repetitions));
    return Connections(plan, bench).run();
  };
}

}  // namespace nearlane::harness
