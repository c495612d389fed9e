// What a scenario found, as numbers with their provenance, and how that becomes a result document.
//
// A Measure is one thing measured one way: where its clock starts and stops, and every repetition raw.
// A Table says only which measure and metric stands in which cell; figures are typed nowhere, so a table
// can be made again from the document alone.
//
// Units:    a metric's name ends in its unit: _ns, _per_s, _share (0 to 1), _bytes, _count, _ns_per_op.
// Errors:   invalid_argument when a file cannot be written.
// Threads:  plain values.
// Source:   results/SCHEMA.md describes the document.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/histogram.h"
#include "core/base/result.h"
#include "harness/report/time_series.h"

namespace nearlane::harness {

inline constexpr std::string_view kResultSchema = "nearlane-result/1";

/// A quantile is reported only when this many recordings lie beyond it.
inline constexpr double kBeyondQuantile = 100;
[[nodiscard]] constexpr bool enough_beyond(double recordings, double q) noexcept {
  // A hair of slack: 10,000 * (1 - 0.99) is a little below 100 in binary.
  return recordings * (1 - q) >= kBeyondQuantile - 1e-6;
}

struct Repetition {
  /// A metric without a value is one that failed or that too few recordings support.
  std::map<std::string, std::optional<double>> values = {};
  std::map<std::string, std::string> histograms = {};  // Histogram::to_text, by name
  std::vector<std::string> void_reasons = {};          // empty: it counts
  std::optional<TimeSeries> series = {};

  /// Keeps the whole histogram and adds NAME_p50_ns, _p90_, _p99_, _p999_, _max_, _mean_ and
  /// NAME_count; without a name p50_ns and so on.
  void add(const std::string& name, const Histogram& histogram);
};

struct Measure {
  std::string id;        // unique in its document: "hot_read/resp/nearlane"
  std::string what;      // for people
  std::string boundary;  // in process, server, or client
  std::string clock_starts;
  std::string clock_stops;
  std::string loop = "closed";  // closed, open, or none
  int processes = 1;            // that work at the same time, the generator among them
  std::optional<double> offered_per_s = {};
  std::map<std::string, std::string> parameters = {};
  std::vector<Repetition> repetitions = {};
};

/// What clients counted, with no clock; one repetition, whose values are yet to be set.
[[nodiscard]] Measure counting(std::string id, std::string what, int processes);

/// A measure `over_time`: what became of all clients' requests second by second, through whatever was broken.
[[nodiscard]] Measure closed_loop_over_time(std::string what, int processes,
                                            const TimeSeriesRecorder& recorded);
/// `void_reasons`: of the load, or of all of its stretches.
[[nodiscard]] Measure open_loop_over_time(std::string what, int processes,
                                          const TimeSeriesRecorder& recorded, double offered_per_s,
                                          std::vector<std::string> void_reasons);

/// Either text, or a metric of a measure.
struct Cell {
  std::string text = {};
  std::string measure = {};
  std::string metric = {};

  static Cell of(std::string text) { return {std::move(text), {}, {}}; }
  static Cell of(std::string measure, std::string metric) {
    return {{}, std::move(measure), std::move(metric)};
  }
};

struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::vector<Cell>>> rows = {};  // a cell may hold several, joined by "; "
  /// What the columns behind the first are numbers of: then each row, a share, is also drawn as a curve.
  std::string plot_x = {};
};

/// Of a table of one row: a column's name, and the metric that stands below it.
struct Column {
  std::string name;
  std::string measure;
  std::string metric;
};
[[nodiscard]] Table row_of(std::string title, const std::vector<Column>& columns);

struct Input {
  std::string workload;
  std::string origin;
  std::string absent = {};  // a trace that was not available
};

struct ScenarioResult {
  std::string scenario;  // "sessions/three_approaches"
  std::string title;
  std::vector<std::string> claims = {};
  std::string file;  // of the scenario, and its hash
  std::string hash;
  std::uint64_t seed = 0;
  std::string label;
  std::string suite = "standard";  // how much was asked for
  bool quick = false;
  std::vector<Input> inputs = {};
  std::vector<Measure> measures = {};
  std::vector<Table> tables = {};
  std::vector<std::string> notes = {};
  std::vector<std::string> failures = {};  // empty: the scenario passed
  double elapsed_s = 0;

  Measure& measure(Measure made) {
    measures.push_back(std::move(made));
    return measures.back();
  }
};

/// Median and spread of a metric over the repetitions that count.
struct Summary {
  std::optional<double> median = {};
  double mad = 0;  // median absolute deviation
  double least = 0;
  double most = 0;
  std::size_t count = 0;   // repetitions with a value
  std::size_t voided = 0;  // repetitions that do not count
};
[[nodiscard]] Summary summarise(const std::vector<std::optional<double>>& values,
                                const std::vector<bool>& voided);

/// The document, as text. `cores` decides which measures are functional.
[[nodiscard]] std::string to_json(const ScenarioResult& result);
/// invalid_argument for a table with a row that is not as long as its headings: a programmer's
/// error, as what stands in it would be read under a wrong heading.
[[nodiscard]] Result<void> check_tables(const ScenarioResult& result);
/// Writes DIRECTORY/<scenario>.json, making folders, and answers its path; nothing where a table is
/// wrong.
[[nodiscard]] Result<std::string> write_result(const ScenarioResult& result,
                                               const std::string& directory);

/// "1.24 µs", "18.3k/s", "99.05 %": a metric's value as people read it, by the metric's name.
[[nodiscard]] std::string show_metric(std::string_view metric, double value);

}  // namespace nearlane::harness
