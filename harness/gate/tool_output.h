// What the tools that count print, as numbers. No I/O.
//
// Errors:   protocol, naming what was looked for; a tool's version may print otherwise.
// Threads:  any.
// Source:   Valgrind 3.19's manual (callgrind's file format, DHAT's summary), strace(1) -c, Redis's INFO commandstats,
//           Google Benchmark's JSON.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::gate {

/// Instructions of the whole run, from callgrind's output file.
[[nodiscard]] Result<std::uint64_t> callgrind_total(std::string_view file);

/// DHAT's line "Total: N bytes in M blocks": what was allocated, or in its mode `copy` what was copied.
struct DhatTotal {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
};
[[nodiscard]] Result<DhatTotal> dhat_total(std::string_view log);

/// Calls in the last line of the table of `strace -c`.
[[nodiscard]] Result<std::uint64_t> strace_total(std::string_view table);

/// Commands that INFO commandstats has counted, without those that pass by time and not by request (PING, ROLE) or that
/// are ours (INFO, CONFIG).
[[nodiscard]] std::uint64_t redis_commands(std::string_view commandstats);

/// cpu_time of every repetition of the only row, in ns.
[[nodiscard]] Result<std::vector<double>> benchmark_ns(std::string_view json);

}  // namespace nearlane::gate
