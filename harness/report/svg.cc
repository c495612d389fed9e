#include "harness/report/svg.h"

#include <cstddef>

#include <fmt/format.h>

namespace nearlane::harness {

std::string xml(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<') {
      safe += "&lt;";
    } else if (c == '&') {
      safe += "&amp;";
    } else if (c == '"') {
      safe += "&quot;";
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

std::string size_label(double size) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"", "k", "M", "G", "T"};
  std::size_t prefix = 0;
  for (; size >= 1000 && prefix + 1 < kPrefixes.size(); ++prefix) size /= 1000;
  return fmt::format("{:g}{}", size, kPrefixes[prefix]);
}

std::string svg_head(std::string_view title, double height) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{0:.0f}\" viewBox=\"0 0 "
      "760 {0:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" "
      "height=\"100%\" fill=\"white\"/>\n<text x=\"{1}\" y=\"22\" font-size=\"14\">{2}</text>\n",
      height, kPlotLeft, xml(title));
}

}  // namespace nearlane::harness
