// Latency over time: times above, what failed below, and behind both the stretches in which something was broken.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "harness/report/plot.h"
#include "harness/report/svg.h"

namespace nearlane::harness {
namespace {

constexpr double kTimesHeight = 260;
constexpr double kFailedTop = kPlotTop + kTimesHeight + 20;
constexpr double kFailedHeight = 60;
constexpr double kBottom = kFailedTop + kFailedHeight;
constexpr std::size_t kFailedColour = 1;

/// A line of the plot.
struct Line {
  std::string_view name;
  std::optional<double> Second::*time;
  std::string_view colour;
};
constexpr std::array<Line, 3> kLines = {{{"p50", &Second::p50_ns, kColours[0]},
                                         {"p99", &Second::p99_ns, kColours[2]},
                                         {"longest", &Second::max_ns, kColours[4]}}};

class OverTime {
 public:
  explicit OverTime(const TimeSeries& series) : series_(series) {
    double least = 1e12;
    double most = 1;
    for (const Second& second : series.seconds) {
      for (const Line& line : kLines) {
        const double ns = std::max(1.0, (second.*line.time).value_or(1));
        if (second.*line.time) least = std::min(least, ns);
        most = std::max(most, ns);
      }
    }
    from_ = std::floor(std::log10(std::min(least, most)));
    to_ = std::max(from_ + 1, std::ceil(std::log10(most)));
  }

  std::string draw(const std::string& title) && {
    svg_ = svg_head(title, kBottom + 60 + 18 * static_cast<double>(kLines.size() + 1));
    for (const FaultSpan& fault : series_.faults) span(fault);
    axes();
    for (std::size_t second = 0; second < series_.seconds.size(); ++second) failures(second);
    double row = kBottom + 44;
    for (const Line& line : kLines) {
      draw(line);
      legend(row, line.colour, line.name);
      row += 18;
    }
    legend(row, kColours[kFailedColour], "failed, of the second's requests");
    return svg_ + "</svg>\n";
  }

 private:
  [[nodiscard]] double x_at(double second) const {
    const auto last = static_cast<double>(series_.seconds.size());
    return kPlotLeft + kPlotWidth * std::clamp(second, 0.0, last) / last;
  }
  [[nodiscard]] double y_at(double ns) const {
    return kPlotTop + kTimesHeight * (to_ - std::log10(std::max(1.0, ns))) / (to_ - from_);
  }
  template <typename... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    fmt::format_to(std::back_inserter(svg_), text, std::forward<Args>(args)...);
  }

  void span(const FaultSpan& fault) {
    const double from = x_at(fault.from_s);
    const double width = std::max(1.0, x_at(fault.to_s) - from);
    add("<rect class=\"fault\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\" "
        "fill-opacity=\"0.2\"/>\n",
        from, kPlotTop, width, kBottom - kPlotTop, kColours[8]);
    add("<text transform=\"translate({:.1f} {}) rotate(90)\" font-size=\"10\">{}</text>\n",
        from + 3, kPlotTop + 3, xml(fault.what));
  }

  void level(double y, std::string_view label) {
    add("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kPlotLeft, kPlotLeft + kPlotWidth, y, kPlotLeft - 6, y + 4, label);
  }

  void axes() {
    for (double decade = from_; decade <= to_; ++decade) {
      const double ns = std::pow(10, decade);
      level(y_at(ns), time_label(ns));
    }
    level(kFailedTop, "100 %");
    level(kBottom, "0 %");
    // Some ten marks of a round number of seconds.
    const auto last = static_cast<double>(series_.seconds.size());
    double step = std::pow(10, std::floor(std::log10(last / 10)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
      if (step * factor * 12 < last) continue;
      step *= factor;
      break;
    }
    step = std::max(1.0, step);
    for (double second = 0; second <= last; second += step) {
      add("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g} s</text>\n", x_at(second),
          kBottom + 18, second);
    }
  }

  void failures(std::size_t at) {
    const Second& second = series_.seconds[at];
    const auto failed = static_cast<double>(second.failed);
    const double all = failed + static_cast<double>(second.answered);
    if (second.failed == 0) return;
    const double height = kFailedHeight * failed / all;
    const double x = x_at(static_cast<double>(at));
    add("<rect class=\"failed\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "fill=\"{}\"/>\n",
        x, kBottom - height, x_at(static_cast<double>(at + 1)) - x, height,
        kColours[kFailedColour]);
  }

  /// In as many pieces as there are stretches with a time.
  void draw(const Line& line) {
    std::string points;
    int count = 0;
    double x = 0;
    double y = 0;
    const auto end = [&] {
      if (count == 1) {
        add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\" fill=\"{}\"/>\n", x, y, line.colour);
      } else if (count > 1) {
        add("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"{}\"/>\n",
            line.colour, points);
      }
      points.clear();
      count = 0;
    };
    for (std::size_t second = 0; second < series_.seconds.size(); ++second) {
      const auto& time = series_.seconds[second].*line.time;
      if (!time) {
        end();
        continue;
      }
      x = x_at(static_cast<double>(second) + 0.5);
      y = y_at(*time);
      fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", x, y);
      ++count;
    }
    end();
  }

  void legend(double y, std::string_view colour, std::string_view name) {
    add("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" stroke-width=\"3\"/>"
        "<text x=\"{4}\" y=\"{5}\">{6}</text>\n",
        kPlotLeft, kPlotLeft + 24, y, colour, kPlotLeft + 32, y + 4, name);
  }

  const TimeSeries& series_;
  double from_ = 0;  // decades of ns
  double to_ = 1;
  std::string svg_;
};

}  // namespace

std::string plot_over_time(const std::string& title, const TimeSeries& series) {
  return series.seconds.empty() ? std::string() : OverTime(series).draw(title);
}

}  // namespace nearlane::harness
