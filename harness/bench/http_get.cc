// Scenario kind `http_get`: a hit over HTTP beside other servers, and by the server's own clock (claims A2, A3).
//
// Every server has the same documents, each in three codings, one core and one thread of work; the load has another core.
// They are loaded in turn and each round begins with another, so that what the machine does meanwhile meets all of
// them. Compared is CPU time a request: a load generator of one core cannot keep the fastest busy.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/http_load.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_hits.h"
#include "harness/peers/http_peer.h"
#include "harness/topology/instance.h"
#include "harness/topology/pinned.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr unsigned kLanes = 4;
constexpr std::uint32_t kPipelined = 16;
constexpr const char* kOurs = "nearlane";
/// Of our reads by L1; one whose lane was between two leases is confirmed by L2 first.
constexpr double kLeastHits = 0.95;

struct Case {
  std::uint64_t value_bytes = 0;
  Coding coding = Coding::identity;
  bool pipelined = false;  // too
};

struct Plan {
  std::uint64_t keys = 0;
  std::uint32_t connections = 0;
  Duration load_for{};
  std::vector<std::string> peers;
  bool l1 = true;
  std::vector<Case> cases;
  std::optional<ServerHits> server;

  [[nodiscard]] bool has(const HttpPeerKind& peer) const {
    return std::ranges::find(peers, peer.id) != peers.end();
  }
};

/// What Nearlane's CPU time a request may be, in shares of another server's, one at a time and pipelined.
struct Limit {
  std::string_view peer;
  double alone;
  double pipelined;
};
constexpr std::array<Limit, 5> kLimits = {{{"nginx", 0.85, 0.14},
                                           {"h2o", 1.0, 0.26},
                                           {"varnish", 0.38, 0.09},
                                           {"beast", 0.75, 0.12},
                                           {"canned", 1.25, 1.5}}};
/// The case that they are for.
constexpr bool limited(const Case& which) {
  return which.value_bytes == 1024 && which.coding == Coding::identity;
}

/// Reads of pages that are drawn uniformly; a request's tag is its page's number.
class Draws final : public RequestSource {
 public:
  Draws(const Site& site, std::uint64_t seed) : pages_(site.pages()), random_(seed) {}
  bool next(Request& into) override {
    into.kind = Op::get;
    into.tag = random_.below(pages_.size());
    into.key = pages_[into.tag].key;
    return true;
  }

 private:
  const std::vector<Page>& pages_;
  Random random_;
};

/// Nearlane as it is by default, over a real Redis; the site's pages are in Redis.
class Nearlane final : public HttpPeer {
 public:
  static HttpPeerResult start(const Site& site, bool l1) {
    auto redis = RedisServer::start();
    if (!redis) return redis.error();
    Caller writer(Protocol::resp, redis->endpoint());
    Request request{.kind = Op::set};
    for (const Page& page : site.pages()) {
      request.key = page.key;
      request.value = page.value;
      if (const Answer answer = writer.call(request); answer.outcome != Outcome::ok)
        return Error{Errc::protocol, "SET: " + std::string(answer.value)};
    }
    const Pinned there(kServersCore);
    auto instance =
        Instance::start({.l2 = redis->url(),
                         .flags = {"--threads", "1", "--l1-bytes", "256MiB", "--l1-map",
                                   l1 ? "native" : "none", "--pool", std::to_string(kLanes)}});
    if (!instance) return instance.error();
    if (const auto up = instance->lanes_up_within(kLanes, kPatience); !up) return up.error();
    return std::make_unique<Nearlane>(std::move(*redis), std::move(*instance));
  }
  Nearlane(RedisServer redis, Instance instance)
      : redis_(std::move(redis)), instance_(std::move(instance)) {}
  [[nodiscard]] const Endpoint& http() const noexcept override { return instance_.http(); }
  [[nodiscard]] pid_t pid() const noexcept override { return instance_.child().pid(); }

 private:
  RedisServer redis_;
  Instance instance_;
};

/// Started by ourselves, since it is what may be asked for without its L1.
constexpr HttpPeerKind kNearlane{kOurs, "Nearlane", nullptr};

/// One server of a case, and what was measured of it.
struct Contender {
  const HttpPeerKind* kind;
  std::unique_ptr<HttpPeer> peer;
  std::vector<Measure> measures = {};  // one a depth
};

class Contest {
 public:
  Contest(const Plan& plan, const Case& which, const Site& site, Bench& bench)
      : plan_(plan), case_(which), site_(site), bench_(bench) {
    depths_.push_back(1);
    if (which.pipelined) depths_.push_back(kPipelined);
  }

  Result<void> run() {
    const auto ours = [this] { return Nearlane::start(site_, plan_.l1); };
    if (const auto started = start(kNearlane, ours); !started) return started.error();
    for (const HttpPeerKind& kind : http_peers()) {
      if (!plan_.has(kind)) continue;
      const auto theirs = [&] { return kind.start(site_, case_.coding); };
      // Without one of them the others can still be compared.
      if (const auto started = start(kind, theirs); !started)
        bench_.result.failures.push_back(fmt::format("{}: {}", kind.id, started.error().detail));
    }
    const Pinned here(kClientsCore);
    for (int round = 0; round < bench_.repetitions; ++round) {
      for (std::size_t depth = 0; depth < depths_.size(); ++depth) {
        bench_.meter.phase(
            fmt::format("{}, {} in flight, round {}", title(), depths_[depth], round + 1));
        play(static_cast<std::size_t>(round), depth);
        bench_.meter.advance();
      }
    }
    for (Contender& one : contenders_) {
      for (Measure& measure : one.measures) bench_.result.measure(std::move(measure));
    }
    for (const auto depth : depths_) add_table(depth);
    return {};
  }

 private:
  [[nodiscard]] std::string title() const {
    return fmt::format("{} B, {}", case_.value_bytes, name_of(case_.coding));
  }
  [[nodiscard]] std::string id_of(std::string_view who, std::uint32_t depth) const {
    return fmt::format("{}/{}/{}/{}", who, case_.value_bytes, name_of(case_.coding), depth);
  }

  Result<void> start(const HttpPeerKind& kind, const std::function<HttpPeerResult()>& begin) {
    bench_.meter.phase(fmt::format("{}: starting {}", title(), kind.what));
    auto peer = begin();
    if (!peer) return peer.error();
    const Pinned here(kClientsCore);
    Contender one{.kind = &kind, .peer = std::move(*peer)};
    if (const auto warm = warm_up(one); !warm) return warm.error();
    for (const auto depth : depths_) {
      one.measures.push_back(http_load_measure(
          id_of(kind.id, depth), fmt::format("{}: {}, {} in flight", kind.what, title(), depth),
          load_of(one, depth)));
    }
    contenders_.push_back(std::move(one));
    return {};
  }

  [[nodiscard]] HttpLoad load_of(const Contender& one, std::uint32_t depth) const {
    return {.target = one.peer->http(),
            .server = one.peer->pid(),
            .connections = plan_.connections,
            .in_flight = depth,
            .headers = fmt::format("Accept-Encoding: {}\r\n", name_of(case_.coding)),
            .load_for = load_time(plan_.load_for, bench_),
            .check = [this, kind = one.kind](const Completion& done) {
              const Page& page = site_.pages()[kind->one_answer ? 0 : done.tag];
              return found(done.outcome) && done.value == page.form(case_.coding);
            }};
  }

  /// Until every page is answered as it must be: Nearlane makes its forms beside the first reads.
  Result<void> warm_up(const Contender& one) {
    const TimePoint until = Clock::now() + kPatience;
    HttpLoad load = load_of(one, 1);
    load.load_for = kPatience;
    for (;;) {
      AllPages pages(site_);
      Repetition ignored;
      auto loaded = load_http(pages, load, ignored);
      if (loaded || Clock::now() > until) return loaded;
    }
  }

  void play(std::size_t round, std::size_t depth) {
    for (std::size_t turn = 0; turn < contenders_.size(); ++turn) {
      Contender& one = contenders_[(turn + round) % contenders_.size()];
      Draws draws(site_, bench_.seed + round);
      auto& repetition = one.measures[depth].repetitions.emplace_back();
      HttpLoad load = load_of(one, depths_[depth]);
      std::uint64_t answers = 0;
      std::uint64_t from_l1 = 0;
      load.check = [&, right = load.check](const Completion& done) {
        ++answers;
        if (done.outcome == Outcome::hit_l1) ++from_l1;
        return right(done);
      };
      const auto done = load_http(draws, load, repetition);
      if (!done)
        bench_.result.failures.push_back(fmt::format("{}: {}", one.kind->id, done.error().detail));
      const double share = static_cast<double>(from_l1) / static_cast<double>(answers);
      if (one.kind == &kNearlane && answers != 0 && share < kLeastHits) {
        bench_.result.failures.push_back(
            fmt::format("L1 was to answer all, and answered {:.1f} %", 100 * share));
      }
    }
    const auto cpu = [&](const Contender& one) {
      const auto& values = one.measures[depth].repetitions.back().values;
      const auto at = values.find("cpu_ns_per_op");
      return at == values.end() ? std::nullopt : at->second;
    };
    const auto ours = cpu(contenders_.front());
    for (Contender& one : contenders_) {
      const auto theirs = cpu(one);
      if (&one != &contenders_.front() && ours && theirs)
        one.measures[depth].repetitions.back().values["nearlane_share"] = *ours / *theirs;
    }
  }

  void add_table(std::uint32_t depth) {
    Table table;
    table.title = fmt::format(
        "{}, {} connections, {}", title(), plan_.connections,
        depth == 1 ? "one request in flight on each" : fmt::format("{} in flight on each", depth));
    table.columns = {"server", "server CPU", "Nearlane's, in shares of it",
                     "limit",  "requests",   "p50",
                     "p99",    "a response", "the load's CPU"};
    const auto row = [&](std::string_view who, std::string_view what, Cell share, Cell limit) {
      const auto id = id_of(who, depth);
      table.rows.push_back({{Cell::of(std::string(what))},
                            {Cell::of(id, "cpu_ns_per_op")},
                            {std::move(share)},
                            {std::move(limit)},
                            {Cell::of(id, "rate_per_s")},
                            {Cell::of(id, "p50_ns")},
                            {Cell::of(id, "p99_ns")},
                            {Cell::of(id, "response_bytes")},
                            {Cell::of(id, "load_ns_per_op")}});
    };
    row(kOurs, kNearlane.what, Cell::of("—"), Cell::of("—"));
    for (const HttpPeerKind& kind : http_peers()) {
      if (!plan_.has(kind)) continue;
      row(kind.id, kind.what, Cell::of(id_of(kind.id, depth), "nearlane_share"),
          limit_of(kind.id, depth));
    }
    bench_.result.tables.push_back(std::move(table));
  }

  [[nodiscard]] Cell limit_of(std::string_view peer, std::uint32_t depth) const {
    const auto* const found = std::ranges::find(kLimits, peer, &Limit::peer);
    if (!limited(case_) || found == kLimits.end()) return Cell::of("—");
    return Cell::of(fmt::format("{:.0f} %", 100 * (depth == 1 ? found->alone : found->pipelined)));
  }

  const Plan& plan_;
  const Case& case_;
  const Site& site_;
  Bench& bench_;
  std::vector<std::uint32_t> depths_;
  std::vector<Contender> contenders_;  // ours first
};

Result<void> run_http_get(const Plan& plan, Bench& bench) {
  const auto rounds = static_cast<std::uint64_t>(bench.repetitions);
  // For a look the first will do.
  const auto cases = std::span(plan.cases)
                         .first(bench.result.quick && !plan.cases.empty() ? 1 : plan.cases.size());
  std::uint64_t loads = cases.size();
  loads += static_cast<std::uint64_t>(std::ranges::count_if(cases, &Case::pipelined));
  bench.meter.begin(bench.result.scenario, rounds * (loads + (plan.server ? 1 : 0)));
  if (plan.server) {
    if (const auto done = time_server_hits(*plan.server, bench); !done) return done.error();
  }
  std::map<std::uint64_t, Site>
      sites;  // by their values' size: most of the time that one takes goes into its codings
  for (const Case& which : cases) {
    auto site = sites.find(which.value_bytes);
    if (site == sites.end()) {
      bench.meter.phase(fmt::format("documents of {} B and their codings", which.value_bytes));
      auto made = Site::make(plan.keys, which.value_bytes);
      if (!made) return made.error();
      site = sites.emplace(which.value_bytes, std::move(*made)).first;
    }
    const auto done = Contest(plan, which, site->second, bench).run();
    if (!done) return done.error();
  }
  bench.result.notes.emplace_back(
      "Every server has the same documents in the same codings, one thread of work (Varnish: its "
      "own two pools) and one core; the load has the other. They are loaded in turn, each round "
      "beginning with another. CPU is user and system time of all of a server's processes; the "
      "share is of one round.");
  bench.result.notes.emplace_back(
      "Where the load's own CPU time a request exceeds the server's, requests and times are the "
      "load's. With several in flight they are sent at once and their times include the wait for "
      "each other.");
  return {};
}

}  // namespace

Body read_http_get(Section& file) {
  Plan plan;
  auto load = file.section("load");
  plan.keys = static_cast<std::uint64_t>(load.integer("keys", 1000, 1, 100'000));
  plan.connections = static_cast<std::uint32_t>(load.integer("connections", 50, 1, 4000));
  plan.load_for = load.duration("load_for", std::chrono::milliseconds(150),
                                std::chrono::milliseconds(10), std::chrono::minutes(10));
  plan.l1 = load.flag("l1", true);
  std::vector<std::string> peers;
  peers.reserve(http_peers().size());
  for (const HttpPeerKind& kind : http_peers()) peers.emplace_back(kind.id);
  plan.peers = load.some_of("peers", peers);
  for (auto& section : load.sections("case")) {
    Case which;
    which.value_bytes = section.bytes("value_bytes", 1024, 512, 1U << 20U);
    const auto coding = section.choice("coding", "identity", {"identity", "gzip", "br"});
    for (const Coding each : {Coding::gzip, Coding::br}) {
      if (coding == name_of(each)) which.coding = each;
    }
    which.pipelined = section.flag("pipelined", false);
    plan.cases.push_back(which);
  }
  if (file.has("server")) plan.server = read_server_hits(file);
  return [plan](Bench& bench) { return run_http_get(plan, bench); };
}

}  // namespace nearlane::harness
