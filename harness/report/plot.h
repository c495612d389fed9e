// Plots as SVG. A percentile plot: latency over how rare it is, both logarithmic, so that a tail has
// room. Curves: shares of one over a size, which is logarithmic.
//
// Threads:  any. Cost: one quantile a point; nothing is loaded from elsewhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/histogram.h"

namespace nearlane::harness {

struct Series {
  std::string name;
  Histogram latency;
};

/// At most the first twelve series are drawn. A line ends where fewer than ten recordings lie beyond it.
[[nodiscard]] std::string plot(const std::string& title, const std::vector<Series>& series);

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>>
      points;  // (size above 0, share from 0 to 1), sizes ascending
};

/// `sizes` and `shares` name the axes. At most the first twelve curves are drawn.
[[nodiscard]] std::string plot_curves(const std::string& title, const std::string& sizes,
                                      const std::string& shares, const std::vector<Curve>& curves);

}  // namespace nearlane::harness
