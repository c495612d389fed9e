// What all of our plots share: their frame's measures, their colours, their page's head.
//
// Units:    lengths in pixels.
// Threads:  any.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace nearlane::harness {

inline constexpr double kPlotLeft = 80;
inline constexpr double kPlotTop = 40;
inline constexpr double kPlotWidth = 620;
inline constexpr double kPlotHeight = 360;

inline constexpr std::array<std::string_view, 12> kColours = {
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#003f5c", "#58508d"};

/// Text that ends neither an element nor, between double quotes, an attribute.
[[nodiscard]] std::string xml(std::string_view text);
/// 1 µs, 20 ms: an axis' label.
[[nodiscard]] std::string time_label(double ns);
/// 20k, 3M.
[[nodiscard]] std::string size_label(double size);
/// Where an SVG of this height begins: a white page with its title.
[[nodiscard]] std::string svg_head(std::string_view title, double height);

}  // namespace nearlane::harness
