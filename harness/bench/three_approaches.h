// The parts of the scenario `three_approaches`, each in a file of its own, and what they share.
//
// Errors:   a part's error leaves the cells of its measures saying so; the other parts still run.
// Threads:  one part at a time.
// Lifetime: a Stage's parts outlive it.
#pragma once

#include <string>
#include <vector>

#include "harness/bench/scenario.h"
#include "harness/bench/three_approaches_tables.h"
#include "harness/driver/codec.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness::three_approaches {

inline constexpr std::size_t kInstances = 2;

/// The processes of a run. Each Redis serves one approach, so that neither warms the other.
struct Fleet {
  RedisServer raw;
  RedisServer shared;
  std::vector<Instance> instances;

  [[nodiscard]] std::vector<Endpoint> doors(Protocol protocol) const;
};

/// What a part works with.
struct Stage {
  const ThreeApproachesPlan& plan;
  Bench& bench;
  Fleet& fleet;
};

[[nodiscard]] Measure client_measure(std::string id, std::string what, int processes);
/// A measure that is a count of what happened, not a time.
[[nodiscard]] Measure count_measure(std::string id, std::string what, int processes);

// three_approaches_reads.cc
[[nodiscard]] Result<void> hot_reads(Stage& stage);
[[nodiscard]] Result<void> cold_reads(Stage& stage);
[[nodiscard]] Result<void> cold_reads_by_size(Stage& stage);
// three_approaches_scaling.cc
[[nodiscard]] Result<void> scaling(Stage& stage);
// three_approaches_losses.cc
/// Half-way through a run of reads and writes one of two instances is killed with SIGKILL; afterwards every
/// acknowledged session is read through the other.
[[nodiscard]] Result<void> failure(Stage& stage);
/// Each instance in turn is drained with SIGTERM and started again while requests go on.
[[nodiscard]] Result<void> rolling_restart(Stage& stage);

}  // namespace nearlane::harness::three_approaches
