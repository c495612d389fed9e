// Reads timed in process: TieredCache over each map, and a plain std::unordered_map beside them.
//
// Units:    measures have batch_mean_ns, rate_per_s and the percentiles of single reads.
// Errors:   those of the workload; unavailable when the cache does not hold what was put.
// Threads:  one. Memory: keys times value size, once a map.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/bench/scenario.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {

struct InProcessCase {
  WorkloadSpec workload;  // generated, with a prefix of four bytes
  std::vector<std::string> maps;
  std::uint64_t l1_bytes = 0;
};

inline constexpr const char* kLocalMap = "std::unordered_map";

/// Adds a measure for each map and for the local one.
[[nodiscard]] Result<void> time_in_process(const InProcessCase& which, Bench& bench);
[[nodiscard]] std::string in_process_id(const InProcessCase& which, std::string_view map);
/// How often time_in_process calls Meter::advance.
[[nodiscard]] std::uint64_t in_process_steps(const InProcessCase& which, const Bench& bench);

}  // namespace nearlane::harness
