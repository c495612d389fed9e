#include "harness/report/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

constexpr double kLeft = 80;
constexpr double kTop = 40;
constexpr double kWidth = 620;
constexpr double kHeight = 360;
constexpr double kNines = 5;  // the axis ends at 99.999 %
constexpr double kBeyond = 10;
constexpr int kPointsPerNine = 20;

constexpr std::array<std::string_view, 12> kColours = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                                       "#ff7f0e", "#17becf", "#8c564b", "#e377c2",
                                                       "#7f7f7f", "#bcbd22", "#003f5c", "#58508d"};

std::string xml(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<') {
      safe += "&lt;";
    } else if (c == '&') {
      safe += "&amp;";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string time_label(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.0f} µs", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.0f} ms", ns / 1e6);
  return fmt::format("{:.0f} s", ns / 1e9);
}

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
  const auto x_at = [](double nines) { return kLeft + kWidth * nines / kNines; };
  const auto y_at = [&](double ns) {
    return kTop + kHeight * (top - std::log10(ns)) / (top - bottom);
  };

  const double total = kTop + kHeight + 60 + 18 * static_cast<double>(drawn);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{0:.0f}\" viewBox=\"0 0 "
      "760 "
      "{0:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" "
      "height=\"100%\" "
      "fill=\"white\"/>\n<text x=\"{1}\" y=\"22\" font-size=\"14\">{2}</text>\n",
      total, kLeft, xml(title));
  auto out = std::back_inserter(svg);
  for (double decade = bottom; decade <= top; ++decade) {
    const double ns = std::pow(10, decade);
    fmt::format_to(out,
                   "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
                   "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
                   kLeft, kLeft + kWidth, y_at(ns), kLeft - 6, y_at(ns) + 4, time_label(ns));
  }
  constexpr std::array<std::string_view, 6> kTicks = {"0 %",    "90 %",    "99 %",
                                                      "99.9 %", "99.99 %", "99.999 %"};
  for (std::size_t nine = 0; nine < kTicks.size(); ++nine) {
    fmt::format_to(out,
                   "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>"
                   "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
                   x_at(static_cast<double>(nine)), kTop, kTop + kHeight, kTop + kHeight + 18,
                   kTicks[nine]);
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
    const double y = kTop + kHeight + 44 + 18 * static_cast<double>(i);
    fmt::format_to(out,
                   "\"/>\n<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" "
                   "stroke-width=\"3\"/><text x=\"{4}\" y=\"{5}\">{6} (n = {7})</text>\n",
                   kLeft, kLeft + 24, y, kColours[i], kLeft + 32, y + 4, xml(series[i].name),
                   latency.count());
  }
  return svg + "</svg>\n";
}

}  // namespace nearlane::harness
