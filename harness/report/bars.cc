// Knees and bars.
#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "harness/report/plot.h"
#include "harness/report/svg.h"

namespace nearlane::harness {
namespace {

constexpr double kBarHeight = 20;
constexpr double kBarStep = 28;
constexpr double kBarsLeft = 200;
constexpr double kBarsWidth = 400;

/// A logarithmic axis of whole decades.
struct Decades {
  double from = 0;
  double to = 1;

  static Decades of(double least, double most) {
    const double from = std::floor(std::log10(least));
    return {from, std::max(from + 1, std::ceil(std::log10(most)))};
  }
  [[nodiscard]] double share(double value) const {
    return (std::log10(value) - from) / (to - from);
  }
};

void legend(std::string& svg, std::size_t row, double top, const std::string& name) {
  const double y = top + 18 * static_cast<double>(row);
  fmt::format_to(std::back_inserter(svg),
                 "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" "
                 "stroke-width=\"3\"/><text x=\"{4}\" y=\"{5}\">{6}</text>\n",
                 kPlotLeft, kPlotLeft + 24, y, kColours[row], kPlotLeft + 32, y + 4, xml(name));
}

}  // namespace

std::string plot_knees(const std::string& title, const std::string& latency,
                       const std::vector<Knee>& knees) {
  const auto drawn = std::min(knees.size(), kColours.size());
  std::vector<double> rates;
  std::vector<double> times;
  for (std::size_t i = 0; i < drawn; ++i) {
    for (const auto& [rate, ns] : knees[i].points) {
      rates.push_back(rate);
      times.push_back(ns);
    }
  }
  if (rates.empty()) return "";
  const auto across = Decades::of(std::ranges::min(rates), std::ranges::max(rates));
  const auto up = Decades::of(std::ranges::min(times), std::ranges::max(times));
  const auto x_at = [&](double rate) { return kPlotLeft + kPlotWidth * across.share(rate); };
  const auto y_at = [&](double ns) { return kPlotTop + kPlotHeight * (1 - up.share(ns)); };
  const double bottom = kPlotTop + kPlotHeight;

  std::string svg = svg_head(title, bottom + 60 + 18 * static_cast<double>(drawn));
  auto out = std::back_inserter(svg);
  for (double decade = up.from; decade <= up.to; ++decade) {
    const double ns = std::pow(10, decade);
    fmt::format_to(out,
                   "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
                   "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
                   kPlotLeft, kPlotLeft + kPlotWidth, y_at(ns), kPlotLeft - 6, y_at(ns) + 4,
                   time_label(ns));
  }
  for (double decade = across.from; decade <= across.to; ++decade) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && decade == across.to) break;
      const double rate = factor * std::pow(10, decade);
      fmt::format_to(out,
                     "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>"
                     "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}/s</text>\n",
                     x_at(rate), kPlotTop, bottom, bottom + 18, size_label(rate));
    }
  }
  fmt::format_to(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                 kPlotLeft + kPlotWidth, bottom + 36, xml(latency + " over requests a second"));
  for (std::size_t i = 0; i < drawn; ++i) {
    fmt::format_to(out, "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"",
                   kColours[i]);
    for (const auto& [rate, ns] : knees[i].points)
      fmt::format_to(out, "{:.1f},{:.1f} ", x_at(rate), y_at(ns));
    svg += "\"/>\n";
    for (const auto& [rate, ns] : knees[i].points) {
      fmt::format_to(out, "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x_at(rate),
                     y_at(ns), kColours[i]);
    }
    legend(svg, i, bottom + 44, knees[i].name);
  }
  return svg + "</svg>\n";
}

std::string plot_bars(const std::string& title, const std::vector<std::string>& parts,
                      const std::vector<Bar>& bars) {
  const auto drawn = std::min(parts.size(), kColours.size());
  double longest = 0;
  for (const auto& bar : bars) {
    double length = 0;
    for (const double part : bar.parts) length += part;
    longest = std::max(longest, length);
  }
  const double bottom = kPlotTop + kBarStep * static_cast<double>(bars.size());
  std::string svg = svg_head(title, bottom + 24 + 18 * static_cast<double>(drawn));
  auto out = std::back_inserter(svg);
  double y = kPlotTop;
  for (const auto& bar : bars) {
    fmt::format_to(out, "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                   kBarsLeft - 8, y + 14, xml(bar.name));
    double x = kBarsLeft;
    for (std::size_t i = 0; i < std::min(bar.parts.size(), drawn); ++i) {
      const double width = longest > 0 ? kBarsWidth * bar.parts[i] / longest : 0;
      if (width > 0) {
        fmt::format_to(out,
                       "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" "
                       "fill=\"{}\"/>\n",
                       x, y, width, kBarHeight, kColours[i]);
      }
      x += width;
    }
    fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x + 8, y + 14,
                   xml(bar.shown));
    y += kBarStep;
  }
  for (std::size_t i = 0; i < drawn; ++i) legend(svg, i, bottom + 16, parts[i]);
  return svg + "</svg>\n";
}

}  // namespace nearlane::harness
