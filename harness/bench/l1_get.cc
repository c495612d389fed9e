// Scenario kind `l1_get`: what a read that L1 answers costs, in process and in the server (claims A1, A3).
#include <fmt/format.h>

#include "harness/bench/in_process.h"
#include "harness/bench/scenario.h"
#include "harness/bench/server_reads.h"
#include "harness/bench/timing.h"

namespace nearlane::harness {
namespace {

struct Case {
  InProcessCase reads;
  bool scaled = false;  // its keys grow with the suite
};

void add_rows(const InProcessCase& which, Table& table) {
  auto maps = which.maps;
  maps.emplace_back(kLocalMap);
  for (const auto& map : maps) {
    const auto id = in_process_id(which, map);
    table.rows.push_back(
        {{Cell::of(fmt::format("{}: {} keys, {} B", which.workload.name, which.workload.keys,
                               which.workload.sizes.front().first))},
         {Cell::of(map)},
         {Cell::of(id, "batch_mean_ns")},
         {Cell::of(id, "p50_ns")},
         {Cell::of(id, "p99_ns")},
         {Cell::of(id, "p999_ns")}});
  }
}

Result<void> run_in_process(const std::vector<Case>& cases, Bench& bench) {
  auto& cost = bench.result.measure({.id = "clock",
                                     .what = "two readings of the clock with nothing between",
                                     .boundary = "in process",
                                     .clock_starts = "a reading of the clock",
                                     .clock_stops = "the next reading"});
  for (int i = 0; i < bench.repetitions; ++i) {
    cost.repetitions.emplace_back().add("", clock_cost());
  }
  Table table;
  table.title = "GET in process: key bytes to value bytes (published: 1.5 µs; v3.0 4.65 µs)";
  table.columns = {"keys", "map", "mean, batches of 64", "p50", "p99", "p99.9"};
  for (const auto& which : cases) {
    if (const auto done = time_in_process(which.reads, bench); !done) return done.error();
    add_rows(which.reads, table);
  }
  table.rows.push_back({{Cell::of("the clock alone")},
                        {Cell::of("none")},
                        {Cell::of("clock", "mean_ns")},
                        {Cell::of("clock", "p50_ns")},
                        {Cell::of("clock", "p99_ns")},
                        {Cell::of("clock", "p999_ns")}});
  bench.result.tables.push_back(std::move(table));
  bench.result.notes.emplace_back(
      "In process, the percentiles are of single reads and include one reading of the clock, whose "
      "own row "
      "stands last; the mean is of whole passes with one guard and one clock reading for 64 "
      "reads.");
  return {};
}

}  // namespace

Body read_l1_get(Section& file) {
  std::vector<Case> cases;
  auto in_process = file.section("in_process");
  const auto maps = in_process.texts("maps", {"native"});
  const auto l1_bytes =
      in_process.bytes("l1_bytes", std::uint64_t{4} << 30U, 1U << 20U, std::uint64_t{1} << 40U);
  for (auto& section : in_process.sections("case")) {
    Case which;
    which.scaled = section.flag("scaled", false);
    which.reads = {.workload = read_workload(section), .maps = maps, .l1_bytes = l1_bytes};
    if (which.reads.workload.source != "generated") section.problem("source", "must be generated");
    if (which.reads.workload.keys > 50'000'000)
      section.problem("keys", "must be at most 50,000,000");
    cases.push_back(std::move(which));
  }
  const auto server = read_server_reads(file);
  return [cases, server](Bench& bench) -> Result<void> {
    auto sized = cases;
    std::uint64_t steps = 2 * static_cast<std::uint64_t>(bench.repetitions);  // of the two doors
    for (auto& which : sized) {
      if (which.scaled) which.reads.workload.keys = bench.scaled(which.reads.workload.keys);
      steps += in_process_steps(which.reads, bench);
    }
    bench.meter.begin(bench.result.scenario, steps);
    if (const auto done = run_in_process(sized, bench); !done) return done.error();
    return run_server_reads(server, bench);
  };
}

}  // namespace nearlane::harness
