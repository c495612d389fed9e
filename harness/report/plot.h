// A percentile plot as SVG: latency over how rare it is, both logarithmic, so that a tail has room.
//
// Threads:  any. Cost: one quantile a point; nothing is loaded from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "core/base/histogram.h"

namespace nearlane::harness {

struct Series {
  std::string name;
  Histogram latency;
};

/// At most the first twelve series are drawn. A line ends where fewer than ten recordings lie beyond it.
[[nodiscard]] std::string plot(const std::string& title, const std::vector<Series>& series);

}  // namespace nearlane::harness
