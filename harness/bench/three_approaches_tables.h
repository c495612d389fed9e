// What `three_approaches` runs, and the tables that its measures make.
//
// The tables name measures by their ids; a measure that is absent shows as failed, so a part of the run that
// failed leaves its cells saying so.
//
// Threads:  plain values.
// Errors:   none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/bench/in_process.h"
#include "harness/report/result.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {

struct ThreeApproachesPlan {
  std::vector<std::string> parts;  // that are run
  std::string coherence;
  std::uint64_t redis_bytes =
      0;  // that the shared Redis has room for, and then evicts sessions; 0: for all
  InProcessCase hot_in_process;
  std::uint64_t hot_keys = 0;
  std::uint64_t hot_requests = 0;
  std::uint64_t cold_keys = 0;
  std::size_t value_bytes = 0;
  std::vector<std::uint64_t> sizes;
  std::uint64_t size_samples = 0;
  std::vector<WorkloadSpec> workloads;
  std::uint64_t failover_requests = 0;
  std::uint64_t rolling_requests = 0;  // before, between and after the restarts
  bool restarts_all_at_once = false;   // and leave nobody to answer: a deploy that is none
  std::uint64_t fan_in = 0;

  [[nodiscard]] bool has(std::string_view part) const {
    return std::ranges::find(parts, part) != parts.end();
  }
};

/// Adds the tables and the notes under them.
void add_three_approaches_tables(const ThreeApproachesPlan& plan, ScenarioResult& result);

}  // namespace nearlane::harness
