// Reads that a server's L1 answers, timed by the server itself and by its client, over both doors.
//
// Errors:   those of the topology; what the server answers wrongly.
// Threads:  one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "harness/bench/caller.h"
#include "harness/bench/scenario.h"
#include "harness/topology/instance.h"

namespace nearlane::harness {

/// Sets `count` documents of `bytes` each, named PREFIX and a number.
[[nodiscard]] Result<std::vector<std::string>> fill(Caller& caller, std::string_view prefix,
                                                    std::uint64_t count, std::size_t bytes);

/// Reads keys one at a time; each must be found whole. Adds each time to `took`.
[[nodiscard]] Result<void> read_keys(Caller& caller, const std::vector<std::string>& keys,
                                     Histogram& took);
/// `count` of the keys, drawn uniformly.
[[nodiscard]] std::vector<std::string> draw(const std::vector<std::string>& keys,
                                            std::uint64_t count, std::uint64_t seed);

[[nodiscard]] Caller caller_of(Protocol protocol, const Instance& instance);

struct ServerReads {
  std::uint64_t keys = 1000;
  std::size_t value_bytes = 1024;
  std::uint64_t requests = 12'000;
  std::uint64_t l1_bytes = std::uint64_t{1} << 30U;
};

[[nodiscard]] ServerReads read_server_reads(Section& file);
/// Adds measures server/DOOR and client/DOOR and their table.
[[nodiscard]] Result<void> run_server_reads(const ServerReads& plan, Bench& bench);

}  // namespace nearlane::harness
