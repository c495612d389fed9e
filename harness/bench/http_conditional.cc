// Scenario kind `http_conditional`: are conditional requests answered as they must be, what do they save, and what do a 304
// and a HEAD cost (claim A14)?
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "harness/bench/caller.h"
#include "harness/bench/conditional_checks.h"
#include "harness/bench/http_load.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_stats.h"
#include "harness/check/http_client.h"
#include "harness/peers/site.h"
#include "harness/topology/instance.h"
#include "harness/topology/pinned.h"
#include "harness/workload/document.h"
#include "harness/workload/random.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;
constexpr std::uint64_t kSmallBytes = 64;
constexpr std::array kDepths = {1U, 16U};
constexpr std::array kCodings = {Coding::identity, Coding::gzip, Coding::br};
constexpr std::string_view kSmall = "small-";
constexpr std::string_view kLarge = "large-";
constexpr std::string_view kSmallHit = "small";

struct Plan {
  std::uint64_t value_bytes = 0;
  std::uint64_t keys = 0;
  std::uint32_t connections = 0;
  Duration load_for{};
  std::optional<Endpoint> other;  // a server that is asked instead of ours, and not loaded
};

/// Keys that are drawn uniformly.
class Draws final : public RequestSource {
 public:
  Draws(std::string_view prefix, std::uint64_t keys, std::uint64_t seed)
      : prefix_(prefix), keys_(keys), random_(seed) {}
  bool next(Request& into) override {
    into.kind = Op::get;
    write_key_name(prefix_, random_.below(keys_), into.key);
    return true;
  }

 private:
  std::string_view prefix_;
  std::uint64_t keys_;
  Random random_;
};

/// A way to ask, and what each answer must bring.
struct Way {
  std::string id;
  std::string what;
  std::string_view prefix;
  std::string headers;
  HttpReads reads = HttpReads::get;
  std::size_t body_bytes = 0;
  /// The way whose answers it saves, if it does.
  std::string saves_on = {};
};

class Conditional {
 public:
  Conditional(const Plan& plan, Bench& bench) : plan_(plan), bench_(bench) {}

  Result<void> run() {
    bench_.meter.begin(bench_.result.scenario, 2 + static_cast<std::uint64_t>(bench_.repetitions));
    if (plan_.other) return check("other", *plan_.other);
    for (const bool fast : {true, false}) {
      bench_.meter.phase(fmt::format("asking, {} the fast lane", fast ? "with" : "without"));
      if (const auto done = check(fast); !done) return done.error();
      bench_.meter.advance();
    }
    add_checks_table();
    const auto instance = start({});
    if (!instance) return instance.error();
    if (const auto filled = fill(*instance); !filled) return filled.error();
    for (std::size_t way = 0; way < ways_.size(); ++way) {
      for (const auto depth : kDepths) {
        measures_[way].push_back(http_load_measure(id_of(ways_[way].id, depth), ways_[way].what,
                                                   load_of(*instance, ways_[way], depth)));
      }
    }
    const Pinned here(kClientsCore);
    for (int round = 0; round < bench_.repetitions; ++round) {
      bench_.meter.phase(fmt::format("loads, round {}", round + 1));
      for (std::size_t depth = 0; depth < kDepths.size(); ++depth) {
        if (const auto done = play(*instance, static_cast<std::size_t>(round), depth); !done)
          return done.error();
      }
      bench_.meter.advance();
    }
    for (auto& [way, measures] : measures_) {
      for (Measure& measure : measures) bench_.result.measure(std::move(measure));
    }
    add_cost_tables();
    return {};
  }

 private:
  static std::string id_of(std::string_view way, std::uint32_t depth) {
    return fmt::format("{}/{}", way, depth);
  }

  static Result<Instance> start(const std::vector<std::string>& more) {
    std::vector<std::string> flags{"--threads", "1", "--l1-bytes", "256MiB"};
    flags.insert(flags.end(), more.begin(), more.end());
    const Pinned there(kServersCore);
    return Instance::start({.flags = flags});
  }

  Result<void> check(bool fast) {
    const auto instance = start({"--http-fast-lane", fast ? "true" : "false"});
    if (!instance) return instance.error();
    return check(fast ? "fast_lane" : "beast_lane", instance->http());
  }

  Result<void> check(const char* lane, const Endpoint& http) {
    auto groups = check_conditions(http, plan_.value_bytes);
    if (!groups) return groups.error();
    for (CheckedGroup& group : *groups) {
      Measure measure{.id = fmt::format("{}/{}", lane, group.id),
                      .what = group.what,
                      .boundary = "client",
                      .clock_starts = "none",
                      .clock_stops = "none",
                      .loop = "none",
                      .processes = 2};
      auto& values = measure.repetitions.emplace_back().values;
      values["asked_count"] = static_cast<double>(group.asked);
      values["wrong_count"] = static_cast<double>(group.wrong.size());
      for (const auto& wrong : group.wrong)
        bench_.result.failures.push_back(fmt::format("{}: {}", measure.id, wrong));
      checked_.push_back(measure);
      bench_.result.measure(std::move(measure));
    }
    return {};
  }

  void add_checks_table() {
    Measure all{.id = "correct",
                .what = "conditional requests, both lanes",
                .boundary = "client",
                .clock_starts = "none",
                .clock_stops = "none",
                .loop = "none",
                .processes = 2};
    auto& sums = all.repetitions.emplace_back().values;
    Table table;
    table.title = "Conditional requests, compared with RFC 9110";
    table.columns = {"lane and requests", "asked", "answered wrongly"};
    for (const Measure& measure : checked_) {
      for (const auto& [metric, value] : measure.repetitions.front().values)
        sums[metric] = sums[metric].value_or(0) + value.value_or(0);
      table.rows.push_back(
          {{Cell::of(
               fmt::format("{}: {}", measure.id.substr(0, measure.id.find('/')), measure.what))},
           {Cell::of(measure.id, "asked_count")},
           {Cell::of(measure.id, "wrong_count")}});
    }
    table.rows.push_back({{Cell::of("all")},
                          {Cell::of("correct", "asked_count")},
                          {Cell::of("correct", "wrong_count")}});
    bench_.result.measure(std::move(all));
    bench_.result.tables.push_back(std::move(table));
  }

  /// The same value under every key, so that one tag is right for all.
  Result<void> fill(const Instance& instance) {
    const auto large = value_of(kLarge);
    for (const auto prefix : {kSmall, kLarge}) {
      Caller writer(Protocol::http, instance.http());
      Request request{.kind = Op::set,
                      .value = prefix == kLarge ? large : std::string(kSmallBytes, 'v')};
      for (std::uint64_t number = 0; number < plan_.keys; ++number) {
        write_key_name(prefix, number, request.key);
        if (const Answer answer = writer.call(request); answer.outcome != Outcome::ok)
          return Error{Errc::protocol, "PUT: " + std::string(answer.value)};
      }
    }
    ways_.push_back({.id = std::string(kSmallHit),
                     .what = fmt::format("GET of {} B", kSmallBytes),
                     .prefix = kSmall,
                     .headers = "Accept-Encoding: identity\r\n",
                     .body_bytes = kSmallBytes});
    for (const Coding coding : kCodings) {
      if (const auto added = add_ways(instance, coding); !added) return added.error();
    }
    return {};
  }

  [[nodiscard]] std::string value_of(std::string_view key) const {
    std::string value;
    write_document(key, 1, plan_.value_bytes, value);
    return value;
  }

  /// GET, the same unless it is known, and HEAD. Waits until every key has its forms.
  Result<void> add_ways(const Instance& instance, Coding coding) {
    const std::string name(name_of(coding));
    const std::string accepting = fmt::format("Accept-Encoding: {}\r\n", name);
    HttpClient client(instance.http());
    std::string key;
    HttpResponse got;
    const TimePoint until = Clock::now() + kPatience;
    for (std::uint64_t number = 0; number < plan_.keys;) {
      write_key_name(kLarge, number, key);
      client.send(fmt::format("GET /cache/{} HTTP/1.1\r\nHost: x\r\n{}\r\n", key, accepting));
      got = client.response();
      const bool coded = got.head.find("Content-Encoding: " + name) != std::string::npos;
      if (coded || coding == Coding::identity) {
        ++number;
      } else if (Clock::now() > until) {
        return Error{Errc::timeout, fmt::format("{} has no form in {}", key, name)};
      } else {
        std::this_thread::sleep_for(1ms);
      }
    }
    const auto at = got.head.find("ETag: ");
    if (at == std::string::npos) return Error{Errc::protocol, "an answer without ETag"};
    const auto tag = got.head.substr(at + 6, got.head.find("\r\n", at) - at - 6);
    const auto what = [&](const char* asked) {
      return fmt::format("{} of {} B, {}", asked, plan_.value_bytes, name);
    };
    ways_.push_back({.id = "get/" + name,
                     .what = what("GET"),
                     .prefix = kLarge,
                     .headers = accepting,
                     .body_bytes = got.body.size()});
    ways_.push_back({.id = "not_modified/" + name,
                     .what = what("304"),
                     .prefix = kLarge,
                     .headers = fmt::format("{}If-None-Match: {}\r\n", accepting, tag),
                     .saves_on = "get/" + name});
    ways_.push_back({.id = "head/" + name,
                     .what = what("HEAD"),
                     .prefix = kLarge,
                     .headers = accepting,
                     .reads = HttpReads::head,
                     .saves_on = "get/" + name});
    return {};
  }

  [[nodiscard]] HttpLoad load_of(const Instance& instance, const Way& way,
                                 std::uint32_t depth) const {
    return {.target = instance.http(),
            .server = instance.child().pid(),
            .connections = plan_.connections,
            .in_flight = depth,
            .headers = way.headers,
            .reads = way.reads,
            .load_for = load_time(plan_.load_for, bench_),
            .check = [bytes = way.body_bytes](const Completion& done) {
              return done.outcome == Outcome::hit_l1 && done.value.size() == bytes;
            }};
  }

  Result<void> play(const Instance& instance, std::size_t round, std::size_t depth) {
    std::map<std::string, Repetition*> by_id;
    for (std::size_t turn = 0; turn < ways_.size(); ++turn) {
      // Each round begins with another, so that none always runs first.
      const std::size_t index = (turn + round) % ways_.size();
      const Way& way = ways_[index];
      auto& repetition = measures_[index][depth].repetitions.emplace_back();
      Draws draws(way.prefix, plan_.keys, bench_.seed + round);
      const auto done = load_http(draws, load_of(instance, way, kDepths[depth]), repetition);
      if (!done) return Error{done.error().code, way.id + ": " + done.error().detail};
      by_id[way.id] = &repetition;
    }
    // Nothing where one of them is void.
    const auto share = [&](const std::string& id, const std::string& of, const char* metric) {
      const auto value = by_id.at(id)->values.find(metric);
      const auto whole = by_id.at(of)->values.find(metric);
      const bool both = value != by_id.at(id)->values.end() && whole != by_id.at(of)->values.end();
      return both ? std::optional(value->second.value() / whole->second.value()) : std::nullopt;
    };
    for (const Way& way : ways_) {
      auto& values = by_id.at(way.id)->values;
      values["of_small_share"] = share(way.id, std::string(kSmallHit), "cpu_ns_per_op");
      if (way.saves_on.empty()) continue;
      const auto left = share(way.id, way.saves_on, "response_bytes");
      values["saved_share"] = left ? std::optional(1 - *left) : std::nullopt;
    }
    return {};
  }

  void add_cost_tables() {
    for (const auto depth : kDepths) {
      Table table;
      table.title = fmt::format("What a 304 and a HEAD cost, {} connections, {} in flight on each",
                                plan_.connections, depth);
      table.columns = {"request",    "server CPU", "in shares of a GET of 64 B",
                       "limit",      "p50",        "p99",
                       "a response", "bytes saved"};
      for (const Way& way : ways_) {
        const auto id = id_of(way.id, depth);
        const bool saves = !way.saves_on.empty();
        table.rows.push_back({{Cell::of(way.what)},
                              {Cell::of(id, "cpu_ns_per_op")},
                              {Cell::of(id, "of_small_share")},
                              {Cell::of(saves ? "100 %" : "—")},
                              {Cell::of(id, "p50_ns")},
                              {Cell::of(id, "p99_ns")},
                              {Cell::of(id, "response_bytes")},
                              {saves ? Cell::of(id, "saved_share") : Cell::of("—")}});
      }
      bench_.result.tables.push_back(std::move(table));
    }
    bench_.result.notes.emplace_back(
        "Everything is in L1. All ways in one run and in turn, each round beginning with another; "
        "the shares are of one round. A response's bytes include its head, and are saved against "
        "a GET in the same coding.");
  }

  const Plan& plan_;
  Bench& bench_;
  std::vector<Measure> checked_;
  std::vector<Way> ways_;
  std::map<std::size_t, std::vector<Measure>> measures_;  // by way, one a depth
};

}  // namespace

Body read_http_conditional(Section& file) {
  Plan plan;
  auto work = file.section("work");
  plan.value_bytes = work.bytes("value_bytes", 3500, 512, 1U << 20U);
  plan.keys = static_cast<std::uint64_t>(work.integer("keys", 500, 1, 100'000));
  if (const auto port = work.integer("other_port", 0, 0, UINT16_MAX); port != 0)
    plan.other = Endpoint{.host = "127.0.0.1", .port = static_cast<std::uint16_t>(port)};
  plan.connections = static_cast<std::uint32_t>(work.integer("connections", 50, 1, 4000));
  plan.load_for = work.duration("load_for", 150ms, 10ms, 10min);
  return [plan](Bench& bench) { return Conditional(plan, bench).run(); };
}

}  // namespace nearlane::harness
