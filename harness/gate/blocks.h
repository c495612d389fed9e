// Blocks: both programs timed in turn, so closely that what the machine does meanwhile happens to both.
//
// A block starts both servers anew (where a process's memory happens to lie is part of the noise), on one core, with the
// client on another, and gives them slices of a few milliseconds in the order base, head, head, base; each such four
// is a pair of ratios, and the block's ratio is the median over them. Timed is the server's own CPU time, so
// that a wait for a core is nobody's. The micro-benchmark takes no orders: both run at the same time on one core, so that the
// scheduler gives them slices in turn.
//
// Errors:   those of the servers. Where nearlane-micro does not run a block is without it.
// Threads:  one; it moves the calling thread from core to core and back.
// Cost:     some five seconds a block.
// Source:   Bulej et al., Duet Benchmarking, ICPE 2020; shared cloud machines are its case.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/gate/counts.h"
#include "harness/gate/verdict.h"

namespace nearlane::gate {

/// A program, and by how much more work is done for it than is counted: how a slowdown is injected. Unit: percent.
struct Side {
  Program program;
  unsigned injected =
      0;  // servers only; a slowed micro is a program of its own (harness/micro/slowed.h)
};

/// What is timed, by id, and in words.
[[nodiscard]] std::vector<Timed> timed_metrics();

/// `number` of the block: head stands first in odd ones.
[[nodiscard]] Result<Block> time_block(const Side& base, const Side& head, std::size_t number);

/// Why the micro-benchmark of one or the other cannot be timed; empty when both can.
[[nodiscard]] Absent micro_absent(const Program& base, const Program& head);

}  // namespace nearlane::gate
