// What can be drawn of a document, by what its measures hold:
//   percentiles          each histogram `latency`
//   staleness            each histogram `late`, and `latency` of measures whose name begins with stale/: a distribution
//   who answered         measures with shares by tier, laid end to end
//   throughput, latency  measures whose names differ by one number, with rate_per_s and p99_ns
//   over time            each time series: latency and failures by second, and where something was broken
//   generations          of engine/generations: a figure of each profile
// and each table that says what it is to be drawn over.
//
// Errors:   protocol for what is no result document; detail names it.
// Threads:  any.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace nearlane::harness {

/// SVG elements, in the order above.
[[nodiscard]] Result<std::vector<std::string>> draw_all(const std::string& document,
                                                        const std::string& name);

}  // namespace nearlane::harness
