// RoutingFleet: N instances over one store in virtual time, and a session log sent to any of them.
//
// Each instance is the TieredCache that ships over the lane that ships; the clock, the network and Redis are the
// simulation's (core/tier/sim), calm: nothing is lost, and bytes take less than a millisecond. L1 has room for
// everything. A request reads its session and then touches it, or stores it where there is none, at an instance
// drawn by the seed. Every answer is judged by the store's history, as in the simulation.
//
// Units:     bytes of values; the log's seconds, within which requests are spread evenly.
// Threads:   one. Deterministic: same log, same plan, same counts.
// Cost:      microseconds a request and instance; no process, no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/tier/sim/model_redis.h"
#include "core/tier/sim/mutant.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::harness {

struct SessionRequest {
  std::uint64_t second = 0;
  std::uint32_t session = 0;  // its number
  bool writes = false;        // stores a new value whatever it found
  std::uint32_t bytes = 0;    // of the value that it would store
};

struct SessionLog {
  std::vector<std::string> names;  // of the sessions
  std::vector<SessionRequest> requests;
};

struct RoutingPlan {
  std::size_t instances = 1;
  std::chrono::milliseconds ttl = std::chrono::seconds(1800);
  tier::KeyRules rules = {};
  tier::RefreshLimits refresh = {};
  sim::ModelRedis::Form store = sim::ModelRedis::Form::proper;
  sim::Mutant mutant = sim::Mutant::none;
  std::uint64_t seed = 1;
};

struct RoutingCounts {
  std::uint64_t requests = 0;
  std::uint64_t l1_hits = 0;        // answered by L1, confirmed or not
  std::uint64_t confirmations = 0;  // of them with one small command, because the lease had run out
  std::uint64_t began = 0;          // there was no such session: no instance could have had it
  std::uint64_t ended_early = 0;    // of them such as the log takes for alive
  std::uint64_t l2_reads = 0;       // GETs of sessions, whoever wanted them
  std::uint64_t l2_bytes = 0;       // of values, from L2
  std::uint64_t l2_touches = 0;
  std::uint64_t refreshes = 0;   // of the reads
  std::uint64_t prefetches = 0;  // of the reads
  std::uint64_t background_uses = 0;
  std::uint64_t hints = 0;
  std::uint64_t pushes = 0;
  std::uint64_t failed = 0;       // requests without an answer
  std::uint64_t not_allowed = 0;  // answers that the store's history does not allow
};

[[nodiscard]] RoutingCounts run_routing(const SessionLog& log, const RoutingPlan& plan);

}  // namespace nearlane::harness
