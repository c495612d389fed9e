#include "harness/report/drawings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/histogram.h"
#include "harness/report/document.h"
#include "harness/report/plot.h"
#include "harness/report/result.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPointsOfDistribution = 60;
constexpr double kLeastLate = 1;  // µs; what is less is drawn there

/// Things by the group they belong to, groups in the order of their first.
template <typename Thing>
using Groups = std::vector<std::pair<std::string, std::vector<Thing>>>;

template <typename Thing>
std::vector<Thing>& group(Groups<Thing>& groups, const std::string& name) {
  const auto found =
      std::ranges::find_if(groups, [&](const auto& one) { return one.first == name; });
  return found != groups.end() ? found->second
                               : groups.emplace_back(name, std::vector<Thing>()).second;
}

std::optional<double> median(const Json& measure, const std::string& metric) {
  const auto& summary = measure.at("summary");
  const auto found = summary.find(metric);
  if (found == summary.end() || found->at("median").is_null()) return std::nullopt;
  return found->at("median").template get<double>();
}

std::string id_of(const Json& measure) { return measure.at("id").get<std::string>(); }

/// Behind the name of a measure whose times are none: what is drawn of it must not pass for one.
std::string aside(const Json& measure) {
  return measure.at("kind").get<std::string>() == "functional" ? " [functional]" : "";
}

/// The name without its last part.
std::string above(const std::string& id) {
  const auto at = id.rfind('/');
  return at == std::string::npos ? std::string() : id.substr(0, at);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class Drawings {
 public:
  Drawings(const Json& document, std::string name)
      : document_(document), name_(std::move(name)), measures_(document.at("measures")) {}

  /// All recordings of a measure that count.
  [[nodiscard]] Result<Histogram> recorded(const Json& measure, const char* histogram) const {
    Histogram merged;
    for (const auto& repetition : measure.at("repetitions")) {
      const auto& all = repetition.at("histograms");
      if (repetition.at("void").get<bool>() || !all.contains(histogram)) continue;
      const auto read = Histogram::from_text(all.at(histogram).get<std::string>());
      if (!read) return Error{Errc::protocol, fmt::format("{}: {}", name_, read.error().detail)};
      merged.merge(*read);
    }
    return merged;
  }

  Result<void> percentiles(std::vector<std::string>& drawn) const {
    std::vector<Series> all;
    for (const auto& measure : measures_) {
      auto latency = recorded(measure, "latency");
      if (!latency) return latency.error();
      if (!latency->empty()) all.push_back({id_of(measure) + aside(measure), std::move(*latency)});
    }
    Groups<Series> groups;
    for (auto& series : all) {
      const auto name = all.size() > kMostSeries ? above(series.name) : std::string();
      group(groups, name).push_back(std::move(series));
    }
    for (const auto& [name, series] : groups) {
      for (std::size_t at = 0; at < series.size(); at += kMostSeries) {
        const auto end = std::min(series.size(), at + kMostSeries);
        drawn.push_back(
            plot(fmt::format("Latency by percentile{}{}", name.empty() ? "" : ": ", name),
                 {series.begin() + static_cast<std::ptrdiff_t>(at),
                  series.begin() + static_cast<std::ptrdiff_t>(end)}));
      }
    }
    return {};
  }

  Result<void> staleness(std::vector<std::string>& drawn) const {
    std::vector<Curve> curves;
    for (const auto& measure : measures_) {
      const auto id = id_of(measure);
      const auto late = recorded(measure, id.starts_with("stale/") ? "latency" : "late");
      if (!late) return late.error();
      if (!late->empty()) curves.push_back(distribution(id + aside(measure), *late));
    }
    for (std::size_t at = 0; at < curves.size(); at += kMostSeries) {
      const auto end = std::min(curves.size(), at + kMostSeries);
      drawn.push_back(plot_curves("How late old answers were", "lateness in µs",
                                  "share of late answers",
                                  {curves.begin() + static_cast<std::ptrdiff_t>(at),
                                   curves.begin() + static_cast<std::ptrdiff_t>(end)}));
    }
    return {};
  }

  void answered(std::vector<std::string>& drawn) const {
    constexpr std::array<std::pair<const char*, const char*>, 5> kTiers = {
        {{"l1_share", "L1"},
         {"l2_share", "L2"},
         {"stale_share", "served stale"},
         {"none_share", "not there"},
         {"error_share", "failed"}}};
    std::vector<std::string> parts;
    parts.reserve(kTiers.size());
    for (const auto& [metric, shown] : kTiers) parts.emplace_back(shown);
    std::vector<Bar> bars;
    for (const auto& measure : measures_) {
      // One share says nothing of the rest.
      if (!median(measure, "l1_share") || !median(measure, "l2_share")) continue;
      Bar bar{.name = id_of(measure), .parts = {}};
      for (const auto& [metric, shown] : kTiers)
        bar.parts.push_back(median(measure, metric).value_or(0));
      bar.shown = fmt::format("L1 {:.1f} %", bar.parts.front() * 100);
      bars.push_back(std::move(bar));
    }
    if (!bars.empty())
      drawn.push_back(plot_bars("Who answered, in shares of all reads", parts, bars));
  }

  void knees(std::vector<std::string>& drawn) const {
    Groups<std::pair<double, double>> lines;
    for (const auto& measure : measures_) {
      const auto line = without_load(id_of(measure));
      const auto rate = median(measure, "rate_per_s");
      const auto time = median(measure, "p99_ns");
      if (line && rate.value_or(0) > 0 && time.value_or(0) > 0)
        group(lines, *line + aside(measure)).emplace_back(*rate, *time);
    }
    Groups<Knee> plots;
    for (auto& [name, points] : lines) {
      if (points.size() > 1) group(plots, above(name)).push_back({name, std::move(points)});
    }
    for (const auto& [name, lines_of] : plots) {
      drawn.push_back(plot_knees(
          fmt::format("Latency against throughput{}{}, a point for each number in the names",
                      name.empty() ? "" : ": ", name),
          "p99", lines_of));
    }
  }

  void over_time(std::vector<std::string>& drawn) const {
    for (const auto& measure : measures_) {
      for (const auto& repetition : measure.at("repetitions")) {
        if (repetition.at("void").get<bool>() || !repetition.contains("series")) continue;
        drawn.push_back(
            plot_over_time(fmt::format("Over time: {}{}", id_of(measure), aside(measure)),
                           read_series(repetition.at("series"))));
      }
    }
  }

  void generations(std::vector<std::string>& drawn) const {
    if (document_.at("scenario").get<std::string>() != "engine/generations") return;
    Groups<Bar> plots;
    for (const auto& measure : measures_) {
      const auto id = id_of(measure);
      const auto slash = id.find('/');
      if (slash == std::string::npos) continue;
      for (const char* metric : {"p50_ns", "p99_ns", "cpu_ns_per_op", "rate_per_s"}) {
        const auto value = median(measure, metric);
        if (!value) continue;
        group(plots, fmt::format("{}, {}", id.substr(slash + 1), metric))
            .push_back(
                {id.substr(0, slash), {*value}, show_metric(metric, *value) + aside(measure)});
      }
    }
    for (const auto& [name, bars] : plots) drawn.push_back(plot_bars(name, {"median"}, bars));
  }

 private:
  static Curve distribution(const std::string& name, const Histogram& late) {
    const auto micros = [](Duration value) {
      return std::max(kLeastLate, static_cast<double>(value.count()) / 1e3);
    };
    const double from = std::log10(micros(late.min()));
    const double to = std::log10(micros(late.max()));
    Curve curve{fmt::format("{} (n = {})", name, late.count()), {}};
    for (int i = 0; i <= kPointsOfDistribution; ++i) {
      const double at = std::pow(10, from + (to - from) * i / kPointsOfDistribution);
      const auto within = i == kPointsOfDistribution
                              ? late.count()
                              : late.count_at_most(Duration(std::llround(at * 1e3)));
      curve.points.emplace_back(at,
                                static_cast<double>(within) / static_cast<double>(late.count()));
      if (from == to) break;
    }
    return curve;
  }

  static TimeSeries read_series(const Json& from) {
    TimeSeries series;
    const auto time = [&](const char* metric, std::size_t second) {
      const Json& value = from.at(metric).at(second);
      return value.is_null() ? std::nullopt : std::optional(value.get<double>());
    };
    for (std::size_t second = 0; second < from.at("answered_count").size(); ++second) {
      series.seconds.push_back(
          {.answered = from.at("answered_count").at(second).get<std::uint64_t>(),
           .failed = from.at("failed_count").at(second).get<std::uint64_t>(),
           .p50_ns = time("p50_ns", second),
           .p99_ns = time("p99_ns", second),
           .max_ns = time("max_ns", second)});
    }
    for (const Json& fault : from.at("faults")) {
      series.faults.push_back({.what = fault.at("what").get<std::string>(),
                               .from_s = fault.at("from_s").get<double>(),
                               .to_s = fault.at("to_s").get<double>()});
    }
    return series;
  }

  /// The name without its last number, which is how much was in flight; nothing where there is none.
  static std::optional<std::string> without_load(const std::string& id) {
    for (std::size_t end = id.size();;) {
      const auto slash = end == 0 ? std::string::npos : id.rfind('/', end - 1);
      const auto begin = slash == std::string::npos ? 0 : slash + 1;
      if (is_number(std::string_view(id).substr(begin, end - begin)))
        return id.substr(0, begin == 0 ? 0 : slash) + id.substr(end);
      if (slash == std::string::npos) return std::nullopt;
      end = slash;
    }
  }

  const Json& document_;
  std::string name_;
  const Json& measures_;
};

}  // namespace

Result<std::vector<std::string>> draw_all(const std::string& text, const std::string& name) {
  const auto document = parse_document(text, name);
  if (!document) return document.error();
  const auto curves = render_curves(text, name);
  if (!curves) return curves.error();
  std::vector<std::string> drawn = *curves;
  try {
    const Drawings drawings(document->json, name);
    drawings.over_time(drawn);
    drawings.generations(drawn);
    drawings.answered(drawn);
    drawings.knees(drawn);
    if (const auto done = drawings.staleness(drawn); !done) return done.error();
    if (const auto done = drawings.percentiles(drawn); !done) return done.error();
  } catch (const Json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
  }
  return drawn;
}

}  // namespace nearlane::harness
