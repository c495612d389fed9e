#include "harness/bench/three_approaches_tables.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nearlane::harness {
namespace {

using Parts = std::vector<Cell>;

Cell text(std::string words) { return Cell::of(std::move(words)); }

Table eight_rows(const ThreeApproachesPlan& plan) {
  Table table;
  table.title = "Three approaches to session state";
  table.columns = {"", "sticky local map", "raw Redis", "two Nearlane instances", "published"};
  const auto local = in_process_id(plan.hot_in_process, kLocalMap);
  const auto tiered = in_process_id(plan.hot_in_process, plan.hot_in_process.maps.front());
  const auto scaling = [&](std::string_view approach) {
    return fmt::format("scaling/{}/{}", plan.workloads.front().name, approach);
  };
  table.rows = {
      {{text("Hot session read")},
       {Cell::of(local, "p50_ns"), text(" p50 in process")},
       {Cell::of("hot_read/resp/redis", "p50_ns"), text(" p50 over RESP")},
       {Cell::of(tiered, "p50_ns"), text(" p50 in process; "),
        Cell::of("hot_read/resp/nearlane", "p50_ns"), text(" p50 over RESP; "),
        Cell::of("hot_read/http/nearlane", "p50_ns"), text(" over HTTP")},
       {text("~0.1 µs; 0.5 to 1 ms; 0.085 µs")}},
      {{text("Cold session read")},
       {Cell::of(scaling("sticky_random"), "not_found_count"), text(" times 404 in "),
        Cell::of(scaling("sticky_random"), "reads_count"), text(" reads on any instance")},
       {Cell::of("cold_read/resp/redis", "p50_ns"), text(" p50, "),
        Cell::of("cold_read/resp/redis", "p99_ns"), text(" p99")},
       {Cell::of("cold_read/resp/nearlane", "p50_ns"), text(" p50, "),
        Cell::of("cold_read/resp/nearlane", "p99_ns"), text(" p99 over RESP; then "),
        Cell::of("second_read/resp/nearlane", "p50_ns"), text(" p50")},
       {text("404; 0.5 to 1 ms; < 1 ms")}},
      {{text("Horizontal scaling: sessions found on any instance")},
       {Cell::of(scaling("sticky_random"), "found_share")},
       {Cell::of(scaling("redis"), "found_share"), text(", every read over the network")},
       {Cell::of(scaling("nearlane"), "found_share"), text(", "),
        Cell::of(scaling("nearlane"), "l1_share"), text(" of them in L1")},
       {text("blocked; possible; free")}},
      {{text("Instance failure: acknowledged sessions lost")},
       {Cell::of("failure/sticky", "lost_count"), text(" of "),
        Cell::of("failure/sticky", "acknowledged_count")},
       {Cell::of("failure/redis", "lost_count"), text(" of "),
        Cell::of("failure/redis", "acknowledged_count")},
       {Cell::of("failure/nearlane", "lost_count"), text(" of "),
        Cell::of("failure/nearlane", "acknowledged_count"), text("; one pass later "),
        Cell::of("failure/nearlane", "rebuilt_l1_share"), text(" in L1 again")},
       {text("all lost; survive; survive")}},
      {{text("Rolling deploy")},
       {Cell::of("rolling/sticky", "lost_count"), text(" of "),
        Cell::of("rolling/sticky", "acknowledged_count"), text(" sessions lost")},
       {text("instances hold nothing")},
       {Cell::of("rolling/nearlane", "lost_count"), text(" sessions lost; of "),
        Cell::of("rolling/nearlane", "requests_count"), text(" requests "),
        Cell::of("rolling/nearlane", "retried_count"), text(" sent again elsewhere, "),
        Cell::of("rolling/nearlane", "failed_count"),
        text(" failed; how warm L1 of new instances is: failover/rolling_deploy")},
       {text("drain; seamless; seamless, warm")}},
      {{text("Connection pooling: connections to Redis")},
       {text("none")},
       {Cell::of("connections", "redis_count"), text(" for "),
        Cell::of("connections", "clients_count"), text(" clients")},
       {Cell::of("connections", "nearlane_count"), text(" for "),
        Cell::of("connections", "clients_count"), text(" clients of two instances")},
       {text("n/a; yours; 32 each")}},
      {{text("Circuit breaker")},
       {text("none")},
       {text("the client's")},
       {text("what is answered while Redis is away or hangs: outage/l2_down, outage/l2_hung")},
       {text("n/a; yours; falls back to L1")}},
      {{text("Code changes: same replies with only host:port changed")},
       {text("the balancer's")},
       {text("the reference")},
       {Cell::of("same_code", "same_count"), text(" of "), Cell::of("same_code", "commands_count"),
        text(" commands")},
       {text("balancer; adapter; host:port")}},
  };
  return table;
}

Table hit_rates(const ThreeApproachesPlan& plan) {
  Table table;
  table.title = "Hit rates under random balancing over two instances";
  table.columns = {
      "workload", "approach", "reads", "found, of all reads", "answered by L1, of found",
      "stale",    "p50",      "p99"};
  for (const auto& spec : plan.workloads) {
    const auto id = [&](std::string_view approach) {
      return fmt::format("scaling/{}/{}", spec.name, approach);
    };
    const auto row = [&](const std::string& of, const std::string& approach, Parts l1) {
      table.rows.push_back({{text(spec.name)},
                            {text(approach)},
                            {Cell::of(of, "reads_count")},
                            {Cell::of(of, "hit_share")},
                            std::move(l1),
                            {Cell::of(of, "stale_count")},
                            {Cell::of(of, "p50_ns")},
                            {Cell::of(of, "p99_ns")}});
    };
    row(id("sticky"), "sticky, with affinity", {text("all")});
    row(id("sticky_random"), "local maps, without affinity", {text("all")});
    row(id("redis"), "raw Redis (floor: no L1)", {text("none")});
    row(id("nearlane"), "two Nearlane instances", {Cell::of(id("nearlane"), "l1_share")});
    table.rows.push_back(
        {{text(spec.name)},
         {text("ceiling: an unlimited L1 that others' writes and touches invalidate")},
         {Cell::of(id("nearlane"), "reads_count")},
         {Cell::of(id("nearlane"), "existing_share")},
         {Cell::of(id("nearlane"), "could_be_l1_share")},
         {text("none")},
         {text("none")},
         {text("none")}});
  }
  return table;
}

/// What is generated; a recorded one says itself what it is.
Table shapes(const ThreeApproachesPlan& plan) {
  Table table;
  table.title = "What each generated workload is";
  table.columns = {"workload",   "sessions", "bytes of a value", "get, set, touch, delete",
                   "popularity", "TTL"};
  using Size = std::pair<std::uint64_t, double>;
  for (const auto& spec : plan.workloads) {
    if (spec.source != "generated") continue;
    const auto [least, most] = std::ranges::minmax(spec.sizes, {}, &Size::first);
    table.rows.push_back(
        {{text(spec.name)},
         {text(fmt::format("{}", spec.keys))},
         {text(least.first == most.first ? fmt::format("{}", least.first)
                                         : fmt::format("{} to {}", least.first, most.first))},
         {text(fmt::format("{}", fmt::join(spec.mix, ", ")))},
         {text(spec.distribution == "zipf" ? fmt::format("Zipf {}", spec.theta)
                                           : spec.distribution)},
         {text(fmt::format("{} s",
                           std::chrono::duration_cast<std::chrono::seconds>(spec.ttl).count()))}});
  }
  return table;
}

Table cold_by_size(const ThreeApproachesPlan& plan) {
  Table table;
  table.title = "Cold read by value size: written through one instance, read through the other";
  table.columns = {"bytes", "raw Redis p50", "Nearlane, first read p50",
                   "Nearlane, second read p50"};
  for (const auto bytes : plan.sizes) {
    table.rows.push_back(
        {{text(fmt::format("{}", bytes))},
         {Cell::of(fmt::format("cold_read_of/{}/resp/redis", bytes), "p50_ns")},
         {Cell::of(fmt::format("cold_read_of/{}/resp/nearlane", bytes), "p50_ns")},
         {Cell::of(fmt::format("second_read_of/{}/resp/nearlane", bytes), "p50_ns")}});
  }
  return table;
}

}  // namespace

void add_three_approaches_tables(const ThreeApproachesPlan& plan, ScenarioResult& result) {
  // The eight rows are of every part.
  if (plan.has("in_process")) result.tables.push_back(eight_rows(plan));
  if (plan.has("scaling")) {
    result.tables.push_back(shapes(plan));
    result.tables.push_back(hit_rates(plan));
  }
  if (plan.has("cold_reads_by_size")) result.tables.push_back(cold_by_size(plan));
  result.notes.emplace_back(
      "A touch (EXPIRE) on one instance makes the other drop its copy, because L2 announces it: "
      "with a touch "
      "on every request and random balancing, L1 can answer only what was served last by the same "
      "instance.");
  result.notes.emplace_back(
      "Sticky local maps live in the client's process, so their rows have no network in them. Raw "
      "Redis "
      "survives an instance's end because it is not the instance that ends.");
  result.notes.emplace_back(
      "The instances' own count of L1 hits and the client's (X-Cache) agree to 0.1 % of the reads, "
      "but for those that it confirmed a lease for, or the scenario fails.");
}

}  // namespace nearlane::harness
