#include "harness/report/result.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/report/files.h"
#include "harness/report/provenance.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

Json number(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  return *value;
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Json provenance_json(const ScenarioResult& result, const Provenance& found) {
  return {{"revision", found.revision},
          {"dirty", found.dirty},
          {"build_type", found.build_type},
          {"library_build_type", found.library_build_type},
          {"compiler", found.compiler},
          {"flags", found.flags},
          {"machine",
           {{"cpu", found.cpu},
            {"cores", found.cores},
            {"memory_bytes", found.memory_bytes},
            {"kernel", found.kernel},
            {"transparent_huge_pages", found.transparent_huge_pages}}},
          {"scenario_file", result.file},
          {"scenario_hash", result.hash},
          {"seed", result.seed},
          {"label", result.label},
          {"suite", result.suite},
          {"quick", result.quick},
          {"date", found.date},
          {"elapsed_s", result.elapsed_s}};
}

Json summary_json(const Measure& measure) {
  Json all = Json::object();
  std::map<std::string, std::vector<std::optional<double>>> by_metric;
  std::vector<bool> voided;
  for (const auto& repetition : measure.repetitions) {
    for (const auto& [metric, value] : repetition.values) by_metric[metric];
  }
  for (const auto& repetition : measure.repetitions) {
    voided.push_back(!repetition.void_reasons.empty());
    for (auto& [metric, values] : by_metric) {
      const auto found = repetition.values.find(metric);
      values.push_back(found == repetition.values.end() ? std::nullopt : found->second);
    }
  }
  for (const auto& [metric, values] : by_metric) {
    const auto summary = summarise(values, voided);
    all[metric] = {{"median", number(summary.median)},
                   {"mad", summary.mad},
                   {"min", summary.least},
                   {"max", summary.most},
                   {"repetitions", summary.count},
                   {"voided", summary.voided}};
    if (!summary.median) all[metric]["mad"] = all[metric]["min"] = all[metric]["max"] = nullptr;
  }
  return all;
}

Json series_json(const TimeSeries& series) {
  Json made = {{"answered_count", Json::array()}, {"failed_count", Json::array()},
               {"p50_ns", Json::array()},         {"p99_ns", Json::array()},
               {"max_ns", Json::array()},         {"faults", Json::array()}};
  for (const Second& second : series.seconds) {
    made["answered_count"].push_back(second.answered);
    made["failed_count"].push_back(second.failed);
    made["p50_ns"].push_back(number(second.p50_ns));
    made["p99_ns"].push_back(number(second.p99_ns));
    made["max_ns"].push_back(number(second.max_ns));
  }
  for (const FaultSpan& fault : series.faults) {
    made["faults"].push_back(
        {{"what", fault.what}, {"from_s", fault.from_s}, {"to_s", fault.to_s}});
  }
  return made;
}

Json measure_json(const Measure& measure, unsigned cores) {
  Json repetitions = Json::array();
  for (const auto& repetition : measure.repetitions) {
    Json values = Json::object();
    for (const auto& [metric, value] : repetition.values) values[metric] = number(value);
    repetitions.push_back({{"values", values},
                           {"void", !repetition.void_reasons.empty()},
                           {"void_reasons", repetition.void_reasons},
                           {"histograms", repetition.histograms}});
    if (repetition.series) repetitions.back()["series"] = series_json(*repetition.series);
  }
  const bool functional = measure.processes > static_cast<int>(cores);
  return {{"id", measure.id},
          {"what", measure.what},
          {"kind", functional ? "functional" : "measured"},
          {"processes", measure.processes},
          {"boundary", measure.boundary},
          {"clock", {{"starts", measure.clock_starts}, {"stops", measure.clock_stops}}},
          {"loop", measure.loop},
          {"offered_per_s", number(measure.offered_per_s)},
          {"parameters", measure.parameters},
          {"summary", summary_json(measure)},
          {"repetitions", repetitions}};
}

Json table_json(const Table& table) {
  Json rows = Json::array();
  for (const auto& row : table.rows) {
    Json cells = Json::array();
    for (const auto& parts : row) {
      Json cell = Json::array();
      for (const auto& part : parts) {
        if (part.measure.empty()) {
          cell.push_back({{"text", part.text}});
        } else {
          cell.push_back({{"measure", part.measure}, {"metric", part.metric}});
        }
      }
      cells.push_back(cell);
    }
    rows.push_back(cells);
  }
  Json made = {{"title", table.title}, {"columns", table.columns}, {"rows", rows}};
  if (!table.plot_x.empty()) made["plot_x"] = table.plot_x;
  return made;
}

}  // namespace

Measure counting(std::string id, std::string what, int processes) {
  Measure measure{.id = std::move(id),
                  .what = std::move(what),
                  .boundary = "client",
                  .clock_starts = "none",
                  .clock_stops = "none",
                  .loop = "none",
                  .processes = processes};
  measure.repetitions.emplace_back();
  return measure;
}

Measure closed_loop_over_time(std::string what, int processes, const TimeSeriesRecorder& recorded) {
  Measure measure{.id = "over_time",
                  .what = std::move(what),
                  .boundary = "client",
                  .clock_starts = "a batch of requests is given to the kernel",
                  .clock_stops = "the request's reply parsed",
                  .loop = "closed",
                  .processes = processes};
  measure.repetitions.emplace_back().series = recorded.series();
  return measure;
}

Measure open_loop_over_time(std::string what, int processes, const TimeSeriesRecorder& recorded,
                            double offered_per_s, std::vector<std::string> void_reasons) {
  Measure measure = closed_loop_over_time(std::move(what), processes, recorded);
  measure.clock_starts = "the request was due";
  measure.loop = "open";
  measure.offered_per_s = offered_per_s;
  measure.repetitions.back().void_reasons = std::move(void_reasons);
  return measure;
}

Table row_of(std::string title, const std::vector<Column>& columns) {
  Table table{.title = std::move(title), .columns = {}};
  auto& row = table.rows.emplace_back();
  for (const Column& column : columns) {
    table.columns.push_back(column.name);
    row.push_back({Cell::of(column.measure, column.metric)});
  }
  return table;
}

void Repetition::add(const std::string& name, const Histogram& histogram) {
  const std::string before = name.empty() ? "" : name + "_";
  const auto total = static_cast<double>(histogram.count());
  for (const auto& [label, q] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}}) {
    auto& value = values[before + label + "_ns"];
    if (enough_beyond(total, q)) {
      value = static_cast<double>(histogram.quantile(q).count());
    }
  }
  values[before + "count"] = total;
  if (!histogram.empty()) {
    values[before + "max_ns"] = static_cast<double>(histogram.max().count());
    values[before + "mean_ns"] = histogram.mean_ns();
  } else {
    values[before + "max_ns"] = std::nullopt;
    values[before + "mean_ns"] = std::nullopt;
  }
  histograms[name.empty() ? "latency" : name] = histogram.to_text();
}

Summary summarise(const std::vector<std::optional<double>>& values,
                  const std::vector<bool>& voided) {
  Summary summary;
  std::vector<double> good;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i < voided.size() && voided[i]) {
      ++summary.voided;
    } else if (values[i]) {
      good.push_back(*values[i]);
    }
  }
  summary.count = good.size();
  if (good.empty()) return summary;
  summary.median = median_of(good);
  summary.least = *std::min_element(good.begin(), good.end());
  summary.most = *std::max_element(good.begin(), good.end());
  for (auto& value : good) value = std::abs(value - *summary.median);
  summary.mad = median_of(good);
  return summary;
}

std::string to_json(const ScenarioResult& result) {
  const auto found = provenance();
  Json inputs = Json::array();
  for (const auto& input : result.inputs) {
    inputs.push_back({{"workload", input.workload},
                      {"origin", input.origin},
                      {"absent", input.absent.empty() ? Json(nullptr) : Json(input.absent)}});
  }
  Json measures = Json::array();
  for (const auto& measure : result.measures) {
    measures.push_back(measure_json(measure, found.cores));
  }
  Json tables = Json::array();
  for (const auto& table : result.tables) tables.push_back(table_json(table));
  const Json document = {{"schema", kResultSchema},
                         {"scenario", result.scenario},
                         {"title", result.title},
                         {"claims", result.claims},
                         {"passed", result.failures.empty()},
                         {"failures", result.failures},
                         {"provenance", provenance_json(result, found)},
                         {"inputs", inputs},
                         {"notes", result.notes},
                         {"tables", tables},
                         {"measures", measures}};
  // An error's text may quote a peer's bytes, which need not be UTF-8.
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> check_tables(const ScenarioResult& result) {
  for (const Table& table : result.tables) {
    for (const auto& row : table.rows) {
      if (row.size() == table.columns.size()) continue;
      return Error{Errc::invalid_argument,
                   fmt::format("{}: a row of {} cells under {} headings in the table '{}'",
                               result.scenario, row.size(), table.columns.size(), table.title)};
    }
  }
  return {};
}

Result<std::string> write_result(const ScenarioResult& result, const std::string& directory) {
  if (const auto right = check_tables(result); !right) return right.error();
  const auto path = std::filesystem::path(directory) / (result.scenario + ".json");
  if (const auto done = write_file(path, to_json(result)); !done) return done.error();
  return path.string();
}

std::string show_metric(std::string_view metric, double value) {
  const auto digits = [](double x) { return x < 10 ? 2 : x < 100 ? 1 : 0; };
  if (metric.ends_with("_ns") || metric.ends_with("_ns_per_op")) {
    const std::string_view per = metric.ends_with("_per_op") ? " a request" : "";
    if (value < 1e3) return fmt::format("{:.{}f} ns{}", value, value < 10 ? 1 : 0, per);
    if (value < 1e6) return fmt::format("{:.{}f} µs{}", value / 1e3, digits(value / 1e3), per);
    if (value < 1e9) return fmt::format("{:.{}f} ms{}", value / 1e6, digits(value / 1e6), per);
    return fmt::format("{:.2f} s{}", value / 1e9, per);
  }
  if (metric.ends_with("_per_s")) {
    if (value < 1e3) return fmt::format("{:.0f}/s", value);
    if (value < 1e6) return fmt::format("{:.{}f}k/s", value / 1e3, digits(value / 1e3));
    return fmt::format("{:.2f}M/s", value / 1e6);
  }
  if (metric.ends_with("_share")) return fmt::format("{:.2f} %", value * 100);
  if (metric.ends_with("_bytes")) {
    if (value < 1024) return fmt::format("{:.0f} B", value);
    if (value < 1048576) return fmt::format("{:.1f} KiB", value / 1024);
    return fmt::format("{:.1f} MiB", value / 1048576);
  }
  if (metric.ends_with("count")) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

}  // namespace nearlane::harness
