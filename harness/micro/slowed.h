// Slowed: a target whose every draw costs some percent more than it is counted as, by doing that share of the draws
// again. So the slowdown is of the same kind as the work itself, in time and in instructions, on every machine.
//
// What the gate's power is measured with; no program that measures Nearlane uses it.
#pragma once

#include <memory>

#include "harness/micro/target.h"

namespace nearlane::micro {

/// Null stays null.
[[nodiscard]] std::unique_ptr<Target> slowed(std::unique_ptr<Target> target, unsigned percent);

}  // namespace nearlane::micro
