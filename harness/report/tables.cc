#include "harness/report/tables.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/base/histogram.h"
#include "harness/report/document.h"
#include "harness/report/files.h"
#include "harness/report/plot.h"
#include "harness/report/result.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Fewer repetitions than this show their number in the cell.
constexpr std::size_t kEnoughRepetitions = 5;

/// What a page is written in: Markdown with a link at each figure, Markdown without, or neither.
enum class Form : std::uint8_t { linked, markdown, plain };

bool is_quantile(std::string_view metric) {
  const auto at = metric.rfind('p');
  return metric.ends_with("_ns") && at != std::string_view::npos && at + 1 < metric.size() &&
         metric[at + 1] >= '0' && metric[at + 1] <= '9';
}

/// One document with its measures at hand by their id.
class Page {
 public:
  Page(Json document, std::size_t number, Form form)
      : document_(std::move(document)), number_(number), form_(form) {
    for (const auto& measure : document_.at("measures")) {
      measures_.emplace(measure.at("id").get<std::string>(), &measure);
    }
  }

  [[nodiscard]] std::string render() const {
    std::string out = fmt::format("\n## {}\n\n{}\n", linked(text("scenario")), text("title"));
    if (const auto& claims = document_.at("claims"); !claims.empty()) {
      out += fmt::format("Claims: {}.\n", fmt::join(claims.get<std::vector<std::string>>(), ", "));
    }
    if (!document_.at("passed").get<bool>()) {
      out += "\n**This scenario failed:**\n\n";
      for (const auto& failure : document_.at("failures")) {
        out += fmt::format("- {}\n", failure.get<std::string>());
      }
    }
    for (const auto& input : document_.at("inputs")) {
      out += fmt::format("\nInput `{}`: {}.", input.at("workload").get<std::string>(),
                         input.at("origin").get<std::string>());
      if (!input.at("absent").is_null()) {
        out += fmt::format(" **Not available: trace {}.**", input.at("absent").get<std::string>());
      }
      out += "\n";
    }
    for (const auto& sheet : sheets()) {
      out += fmt::format("\n### {}\n\n{}", sheet.title, aligned(sheet.grid));
    }
    if (const auto& notes = document_.at("notes"); !notes.empty()) {
      out += "\n";
      for (const auto& note : notes) out += fmt::format("- {}\n", note.get<std::string>());
    }
    if (const auto named = clocks(); !named.empty()) {
      out += "\nClocks:\n\n";
      for (const auto& [how, measures] : named) {
        out += fmt::format("- {}:", how);
        for (const auto& measure : measures) out += fmt::format(" `{}`", measure);
        out += "\n";
      }
    }
    return out;
  }

  [[nodiscard]] std::vector<Sheet> sheets() const {
    std::vector<Sheet> all;
    for (const auto& table : document_.at("tables")) all.push_back(sheet(table));
    return all;
  }

  /// Where each clock starts and stops, once for all measures that share it.
  [[nodiscard]] std::vector<Clocked> clocks() const {
    std::vector<Clocked> all;
    for (const auto& measure : document_.at("measures")) {
      const auto& clock = measure.at("clock");
      auto how =
          fmt::format("{}, {} loop: from {} to {}", measure.at("boundary").get<std::string>(),
                      measure.at("loop").get<std::string>(), clock.at("starts").get<std::string>(),
                      clock.at("stops").get<std::string>());
      const auto same =
          std::ranges::find_if(all, [&](const Clocked& other) { return other.how == how; });
      auto& one = same == all.end() ? all.emplace_back(Clocked{std::move(how), {}}) : *same;
      one.measures.push_back(measure.at("id").get<std::string>());
    }
    return all;
  }

 private:
  [[nodiscard]] std::string text(const char* key) const {
    return document_.at(key).get<std::string>();
  }
  [[nodiscard]] std::string linked(const std::string& shown) const {
    return form_ == Form::linked ? fmt::format("[{}][{}]", shown, number_) : shown;
  }

  [[nodiscard]] std::string show(const Json& measure, const std::string& metric) const {
    const auto& all = measure.at("summary");
    if (!all.contains(metric)) return "failed";
    const auto& summary = all.at(metric);
    const auto voided = summary.at("voided").get<std::size_t>();
    if (summary.at("median").is_null()) {
      if (voided != 0) return "void";
      return is_quantile(metric) ? "too few samples" : "failed";
    }
    const double median = summary.at("median").get<double>();
    const auto least = show_metric(metric, summary.at("min").get<double>());
    const auto most = show_metric(metric, summary.at("max").get<double>());
    auto shown = linked(show_metric(metric, median));
    const auto count = summary.at("repetitions").get<std::size_t>();
    std::string aside;
    if (least != most) aside = fmt::format("{} to {}", least, most);
    // A count of what happened has no repetitions to speak of.
    if (metric.ends_with("_ns") && count < kEnoughRepetitions) {
      aside += fmt::format("{}n={}", aside.empty() ? "" : ", ", count);
    }
    if (voided != 0) aside += fmt::format("{}{} void", aside.empty() ? "" : ", ", voided);
    return aside.empty() ? shown : fmt::format("{} ({})", shown, aside);
  }

  [[nodiscard]] Sheet sheet(const Json& table) const {
    std::vector<std::vector<std::string>> grid;
    grid.push_back(table.at("columns").get<std::vector<std::string>>());
    bool any_functional = false;
    std::vector<std::string> kinds{"kind"};
    for (const auto& row : table.at("rows")) {
      std::vector<std::string> cells;
      // A row of words alone, such as a published one, was not measured here.
      std::string kind = "not measured";
      for (const auto& cell : row) {
        std::string shown;
        for (const auto& part : cell) {
          if (part.contains("text")) {
            const auto text = part.at("text").get<std::string>();
            shown += form_ == Form::plain ? text : escaped(text);
            continue;
          }
          const auto found = measures_.find(part.at("measure").get<std::string>());
          if (found == measures_.end()) {
            shown += "failed";
            continue;
          }
          if (kind != "functional") kind = found->second->at("kind").get<std::string>();
          shown += show(*found->second, part.at("metric").get<std::string>());
        }
        cells.push_back(shown.empty() ? "failed" : shown);
      }
      any_functional = any_functional || kind == "functional";
      kinds.push_back(std::move(kind));
      grid.push_back(std::move(cells));
    }
    if (any_functional) {
      for (std::size_t i = 0; i < grid.size(); ++i) grid[i].push_back(kinds[i]);
    }
    return {table.at("title").get<std::string>(), std::move(grid)};
  }

  Json document_;
  std::size_t number_;
  Form form_;
  std::map<std::string, const Json*> measures_;
};

std::string limits(const std::string& label, const std::set<std::string>& builds, bool quick) {
  std::string out = fmt::format("# Results: {}\n\n", label);
  for (const auto& build : builds) out += fmt::format("Built from {}.\n", build);
  out +=
      "\nLimits first. All processes share one machine and reach each other over loopback, so a "
      "network is "
      "not part of any figure\nunless its row says so. Absolute rates drift on a shared machine: "
      "compare "
      "only figures of one run. A figure is the median\nof its repetitions, with the smallest and "
      "largest "
      "behind it; n is shown where there were fewer than five. A row with more\nprocesses at work "
      "than "
      "there are cores is `functional`: it shows that something works, and its times are not a\n"
      "measurement. A quantile is given only where at least 100 samples lie beyond it.\n";
  if (quick) out += "\nThis was a quick run: fewer and shorter repetitions.\n";
  return out;
}

}  // namespace

std::string escaped(const std::string& cell) {
  std::string safe;
  for (const char c : cell) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

std::string aligned(const std::vector<std::vector<std::string>>& grid) {
  const auto width_of = [](const std::string& cell) {
    return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
  };
  std::vector<std::size_t> widths;
  for (const auto& row : grid) {
    widths.resize(std::max(widths.size(), row.size()), 3);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (std::size_t line = 0; line < grid.size(); ++line) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = i < grid[line].size() ? grid[line][i] : "";
      out += fmt::format("| {}{:{}} ", cell, "", widths[i] - width_of(cell));
    }
    out += "|\n";
    if (line != 0) continue;
    for (const auto width : widths) out += fmt::format("|{:-<{}}", "", width + 2);
    out += "|\n";
  }
  return out;
}

std::vector<std::string> find_results(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".json") {
      found.push_back(at->path().lexically_relative(directory).generic_string());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::string> render_tables(const std::string& directory, bool links) {
  const auto names = find_results(directory);
  if (names.empty()) {
    return Error{Errc::invalid_argument, fmt::format("{}: no results below it", directory)};
  }
  std::string body;
  std::string references;
  std::set<std::string> builds;
  std::string label;
  bool quick = false;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto text = read_file(fs::path(directory) / names[i]);
    if (!text) return text.error();
    auto document = parse_document(*text, names[i]);
    if (!document) return document.error();
    // Everything below reads fields that the schema promises; a document without them is refused whole.
    try {
      const auto& provenance = document->json.at("provenance");
      builds.insert(heading(provenance));
      label = provenance.at("label").get<std::string>();
      quick = quick || provenance.at("quick").get<bool>();
      body +=
          Page(std::move(document->json), i + 1, links ? Form::linked : Form::markdown).render();
    } catch (const Json::exception& wrong) {
      return Error{Errc::protocol, fmt::format("{}: {}", names[i], wrong.what())};
    }
    if (links) references += fmt::format("[{}]: {}\n", i + 1, names[i]);
  }
  return limits(label, builds, quick) + body + (links ? "\n" + references : "");
}

Result<Laid> lay_out(const std::string& text, const std::string& name) {
  auto document = parse_document(text, name);
  if (!document) return document.error();
  try {
    const Page page(std::move(document->json), 0, Form::plain);
    return Laid{page.sheets(), page.clocks()};
  } catch (const Json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
  }
}

Result<std::vector<std::string>> render_percentiles(const std::string& text,
                                                    const std::string& name) {
  auto document = parse_document(text, name);
  if (!document) return document.error();
  std::vector<Series> series;
  try {
    for (const auto& measure : document->json.at("measures")) {
      Histogram merged;
      for (const auto& repetition : measure.at("repetitions")) {
        const auto& all = repetition.at("histograms");
        if (repetition.at("void").get<bool>() || !all.contains("latency")) continue;
        const auto read = Histogram::from_text(all.at("latency").get<std::string>());
        if (!read) return Error{Errc::protocol, fmt::format("{}: {}", name, read.error().detail)};
        merged.merge(*read);
      }
      if (!merged.empty()) series.push_back({measure.at("id").get<std::string>(), merged});
    }
    const auto title = document->json.at("title").get<std::string>();
    const auto plots = (series.size() + kMostSeries - 1) / kMostSeries;
    std::vector<std::string> drawn;
    for (auto rest = series.begin(); rest != series.end();) {
      const auto left = static_cast<std::size_t>(series.end() - rest);
      const auto next = rest + static_cast<std::ptrdiff_t>(std::min(left, kMostSeries));
      const auto which = plots == 1 ? "" : fmt::format(" ({} of {})", drawn.size() + 1, plots);
      drawn.push_back(plot(title + which, {rest, next}));
      rest = next;
    }
    return drawn;
  } catch (const Json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
  }
}

Result<std::vector<std::string>> render_curves(const std::string& text, const std::string& name) {
  auto document = parse_document(text, name);
  if (!document) return document.error();
  std::vector<std::string> drawn;
  try {
    std::map<std::string, const Json*> measures;
    for (const auto& measure : document->json.at("measures"))
      measures[measure.at("id").get<std::string>()] = &measure;
    for (const auto& table : document->json.at("tables")) {
      if (!table.contains("plot_x")) continue;
      const auto& columns = table.at("columns");
      std::vector<Curve> curves;
      for (const auto& row : table.at("rows")) {
        Curve& curve =
            curves.emplace_back(Curve{row.at(0).at(0).at("text").get<std::string>(), {}});
        for (std::size_t i = 1; i < row.size(); ++i) {
          const auto& cell = row.at(i).at(0);
          const auto& summary = measures.at(cell.at("measure").get<std::string>())->at("summary");
          const auto& median = summary.at(cell.at("metric").get<std::string>()).at("median");
          if (median.is_null()) continue;
          curve.points.emplace_back(std::stod(columns.at(i).get<std::string>()),
                                    median.get<double>());
        }
      }
      drawn.push_back(plot_curves(table.at("title").get<std::string>(),
                                  table.at("plot_x").get<std::string>(), "share", curves));
    }
  } catch (const std::exception& wrong) {  // a field that is missing, or is no number
    return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
  }
  return drawn;
}

Result<std::string> write_tables(const std::string& directory) {
  auto page = render_tables(directory);
  if (!page) return page;
  std::string plots;
  std::string drawings;
  for (const auto& name : find_results(directory)) {
    const auto text = read_file(fs::path(directory) / name);
    if (!text) return text.error();
    const auto curves = render_curves(*text, name);
    if (!curves) return curves.error();
    for (std::size_t i = 0; i < curves->size(); ++i) {
      const auto image =
          fs::path(name).replace_extension(fmt::format("{}.svg", i + 1)).generic_string();
      if (const auto done = write_file(fs::path(directory) / image, (*curves)[i]); !done)
        return done.error();
      drawings += fmt::format("\n![Table {} of {}]({})\n", i + 1, name, image);
    }
    const auto drawn = render_percentiles(*text, name);
    if (!drawn) return drawn.error();
    for (std::size_t i = 0; i < drawn->size(); ++i) {
      // Of one plot alone the name says no number; a table's curves have `.1.svg` and so on.
      const auto ending = i == 0 ? std::string(".svg") : fmt::format(".percentiles-{}.svg", i + 1);
      const auto image = fs::path(name).replace_extension(ending).generic_string();
      if (const auto done = write_file(fs::path(directory) / image, (*drawn)[i]); !done)
        return done.error();
      plots += fmt::format(
          "\n![Latency percentiles of {}{}]({})\n", name,
          drawn->size() == 1 ? "" : fmt::format(", {} of {}", i + 1, drawn->size()), image);
    }
  }
  if (!drawings.empty()) *page += "\n## Curves\n" + drawings;
  if (!plots.empty()) *page += "\n## Percentiles\n" + plots;
  if (const auto done = write_file(fs::path(directory) / "TABLES.md", *page); !done)
    return done.error();
  return page;
}

}  // namespace nearlane::harness
