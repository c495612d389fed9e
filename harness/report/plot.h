// Plots as SVG. A percentile plot: latency over how rare it is, both logarithmic, so that a tail has
// room. Curves: shares of one over a size, which is logarithmic. A knee: latency over throughput. Bars: shares of one
// laid end to end, or one figure each. Over time: latency and failures second by second.
//
// Threads:  any. Cost: one quantile a point; nothing is loaded from elsewhere.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/base/histogram.h"
#include "harness/report/time_series.h"

namespace nearlane::harness {

struct Series {
  std::string name;
  Histogram latency;
};

/// What one plot can tell apart: it has as many colours.
inline constexpr std::size_t kMostSeries = 12;

/// At most the first kMostSeries are drawn. A line ends where fewer than ten recordings lie beyond
/// it.
[[nodiscard]] std::string plot(const std::string& title, const std::vector<Series>& series);

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>>
      points;  // (size above 0, share from 0 to 1), sizes ascending
};

/// `sizes` and `shares` name the axes. At most the first twelve curves are drawn.
[[nodiscard]] std::string plot_curves(const std::string& title, const std::string& sizes,
                                      const std::string& shares, const std::vector<Curve>& curves);

struct Knee {
  std::string name;
  std::vector<std::pair<double, double>>
      points;  // (requests/s, ns), both above 0, in the order of the load
};

/// Both axes are logarithmic. At most the first twelve are drawn.
[[nodiscard]] std::string plot_knees(const std::string& title, const std::string& latency,
                                     const std::vector<Knee>& knees);

struct Bar {
  std::string name;
  std::vector<double> parts;  // from 0; one each for the names of the parts
  std::string shown = {};     // behind the bar
};

/// The longest bar takes the whole width; what the length of a part is, `parts` or each bar's `shown` says.
[[nodiscard]] std::string plot_bars(const std::string& title, const std::vector<std::string>& parts,
                                    const std::vector<Bar>& bars);

/// Times are logarithmic; a line has gaps where there is no time. Nothing of no seconds.
[[nodiscard]] std::string plot_over_time(const std::string& title, const TimeSeries& series);

}  // namespace nearlane::harness
