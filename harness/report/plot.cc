#include "harness/report/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "harness/report/svg.h"

namespace nearlane::harness {
namespace {

constexpr double kNines = 5;  // the axis ends at 99.999 %
constexpr double kBeyond = 10;
constexpr int kPointsPerNine = 20;

static_assert(kMostSeries == kColours.size());

double ns_of(Duration value) { return std::max(1.0, static_cast<double>(value.count())); }

}  // namespace

std::string plot(const std::string& title, const std::vector<Series>& series) {
  const auto drawn = std::min(series.size(), kColours.size());
  double low = 1e12;
  double high = 1;
  for (std::size_t i = 0; i < drawn; ++i) {
    low = std::min(low, ns_of(series[i].latency.min()));
    high = std::max(high, ns_of(series[i].latency.max()));
  }
  const double bottom = std::floor(std::log10(std::min(low, high)));
  const double top = std::max(bottom + 1, std::ceil(std::log10(high)));
  const auto x_at = [](double nines) { return kPlotLeft + kPlotWidth * nines / kNines; };
  const auto y_at = [&](double ns) {
    return kPlotTop + kPlotHeight * (top - std::log10(ns)) / (top - bottom);
  };

  const double total = kPlotTop + kPlotHeight + 60 + 18 * static_cast<double>(drawn);
  std::string svg = svg_head(title, total);
  auto out = std::back_inserter(svg);
  for (double decade = bottom; decade <= top; ++decade) {
    const double ns = std::pow(10, decade);
    fmt::format_to(out,
                   "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
                   "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
                   kPlotLeft, kPlotLeft + kPlotWidth, y_at(ns), kPlotLeft - 6, y_at(ns) + 4,
                   time_label(ns));
  }
  constexpr std::array<std::string_view, 6> kTicks = {"0 %",    "90 %",    "99 %",
                                                      "99.9 %", "99.99 %", "99.999 %"};
  for (std::size_t nine = 0; nine < kTicks.size(); ++nine) {
    fmt::format_to(out,
                   "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>"
                   "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
                   x_at(static_cast<double>(nine)), kPlotTop, kPlotTop + kPlotHeight,
                   kPlotTop + kPlotHeight + 18, kTicks[nine]);
  }
  for (std::size_t i = 0; i < drawn; ++i) {
    const auto& latency = series[i].latency;
    const double most = std::log10(std::max(1.0, static_cast<double>(latency.count()) / kBeyond));
    fmt::format_to(out, "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"",
                   kColours[i]);
    for (int point = 0; point <= kPointsPerNine * static_cast<int>(kNines); ++point) {
      const double nines = static_cast<double>(point) / kPointsPerNine;
      if (nines > most) break;
      fmt::format_to(out, "{:.1f},{:.1f} ", x_at(nines),
                     y_at(ns_of(latency.quantile(1 - std::pow(10, -nines)))));
    }
    const double y = kPlotTop + kPlotHeight + 44 + 18 * static_cast<double>(i);
    fmt::format_to(out,
                   "\"/>\n<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" "
                   "stroke-width=\"3\"/><text x=\"{4}\" y=\"{5}\">{6} (n = {7})</text>\n",
                   kPlotLeft, kPlotLeft + 24, y, kColours[i], kPlotLeft + 32, y + 4,
                   xml(series[i].name), latency.count());
  }
  return svg + "</svg>\n";
}

std::string plot_curves(const std::string& title, const std::string& sizes,
                        const std::string& shares, const std::vector<Curve>& curves) {
  const auto drawn = std::min(curves.size(), kColours.size());
  double least = 1e18;
  double most = 1;
  double highest = 0;
  for (std::size_t i = 0; i < drawn; ++i) {
    for (const auto& [size, share] : curves[i].points) {
      least = std::min(least, size);
      most = std::max(most, size);
      highest = std::max(highest, share);
    }
  }
  const double from = std::floor(std::log10(std::max(1.0, std::min(least, most))));
  const double to = std::max(from + 1, std::ceil(std::log10(most)));
  const double top = std::max(0.1, std::ceil(highest * 10) / 10);
  const auto x_at = [&](double size) {
    return kPlotLeft + kPlotWidth * (std::log10(std::max(size, 1.0)) - from) / (to - from);
  };
  const auto y_at = [&](double share) { return kPlotTop + kPlotHeight * (1 - share / top); };

  std::string svg = svg_head(title, kPlotTop + kPlotHeight + 60 + 18 * static_cast<double>(drawn));
  auto out = std::back_inserter(svg);
  for (int tenth = 0; tenth <= std::lround(top * 10); ++tenth) {
    fmt::format_to(out,
                   "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
                   "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.1f}</text>\n",
                   kPlotLeft, kPlotLeft + kPlotWidth, y_at(tenth / 10.0), kPlotLeft - 6,
                   y_at(tenth / 10.0) + 4, tenth / 10.0);
  }
  for (double decade = from; decade <= to; ++decade) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double size = factor * std::pow(10, decade);
      if (factor > 1 && (decade == to || to - from > 4)) break;
      fmt::format_to(out,
                     "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>"
                     "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
                     x_at(size), kPlotTop, kPlotTop + kPlotHeight, kPlotTop + kPlotHeight + 18,
                     size_label(size));
    }
  }
  fmt::format_to(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                 kPlotLeft + kPlotWidth, kPlotTop + kPlotHeight + 36,
                 xml(shares + " over " + sizes));
  for (std::size_t i = 0; i < drawn; ++i) {
    fmt::format_to(out, "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"",
                   kColours[i]);
    for (const auto& [size, share] : curves[i].points) {
      fmt::format_to(out, "{:.1f},{:.1f} ", x_at(size), y_at(share));
    }
    svg += "\"/>\n";
    for (const auto& [size, share] : curves[i].points) {
      fmt::format_to(out, "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n",
                     x_at(size), y_at(share), kColours[i]);
    }
    const double y = kPlotTop + kPlotHeight + 44 + 18 * static_cast<double>(i);
    fmt::format_to(out,
                   "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" "
                   "stroke-width=\"3\"/><text x=\"{4}\" y=\"{5}\">{6}</text>\n",
                   kPlotLeft, kPlotLeft + 24, y, kColours[i], kPlotLeft + 32, y + 4,
                   xml(curves[i].name));
  }
  return svg + "</svg>\n";
}

}  // namespace nearlane::harness
