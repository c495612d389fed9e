// Hits over HTTP by the server's own clock: from request bytes in user space to response bytes ready, of many keys.
//
// Errors:   those of the topology; timeout where L1 does not come to have every key with its compressed forms.
// Threads:  one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "harness/bench/scenario.h"

namespace nearlane::harness {

struct ServerHits {
  std::uint64_t keys = 0;  // grows with the suite
  std::size_t value_bytes = 0;
  std::uint64_t requests = 0;  // of one client, one at a time, that accepts br
};

[[nodiscard]] ServerHits read_server_hits(Section& file);
/// Adds measures server/hit and client/hit and their table.
[[nodiscard]] Result<void> time_server_hits(const ServerHits& plan, Bench& bench);

}  // namespace nearlane::harness
