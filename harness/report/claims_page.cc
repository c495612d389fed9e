// The page of claims: figures looked up in the documents, verdicts made from them.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "harness/report/claims.h"
#include "harness/report/document.h"
#include "harness/report/files.h"
#include "harness/report/result.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

/// Nearer than this is the same. Unit: share of the published figure.
constexpr double kSame = 0.05;

// From the best to the worst.
enum class Verdict : std::uint8_t { beaten, met, needs_hardware, missed };

struct Judged {
  Verdict verdict = Verdict::missed;
  std::string why = {};    // behind the verdict: "not measured", "3 processes on 2 cores"
  std::string shown = {};  // the figure
  std::string how = {};    // where its clock starts and stops
};

bool is_time(std::string_view metric) {
  return metric.ends_with("_ns") || metric.ends_with("_per_s") || metric.ends_with("_per_op");
}

/// All documents of a folder, by scenario.
class Library {
 public:
  void add(Json document) {
    auto scenario = document.at("scenario").get<std::string>();
    documents_.insert_or_assign(std::move(scenario), std::move(document));
  }

  [[nodiscard]] Judged judge(const ClaimFigure& figure) const {
    const auto [of_at, of_over] = judged_by(figure);
    const auto at = value(figure.at, of_at);
    const auto over =
        figure.over.scenario.empty() ? std::optional<double>(1) : value(figure.over, of_over);
    if (!at || !over) return missing(figure);
    Judged judged{.how = clock(figure.at)};
    const bool ratio = !figure.over.scenario.empty();
    if (*over == 0)
      return {.why = fmt::format("{} of {} is 0", figure.over.metric, figure.over.measure)};
    const double ours = *at / *over;
    judged.shown = ratio ? fmt::format("{:.2f}×", ours) : show_metric(figure.at.metric, ours);
    judged.verdict = compare(ours, figure);
    for (const Place* place : {&figure.at, &figure.over}) {
      if (place->scenario.empty() || !is_time(place->metric)) continue;
      const auto crowd = crowded(*place);
      if (!crowd) continue;
      judged.verdict = Verdict::needs_hardware;
      judged.why = *crowd;
    }
    for (const Place* place : {&figure.at, &figure.over}) {
      if (place->scenario.empty() || passed(*place)) continue;
      judged.verdict = Verdict::missed;
      judged.why = fmt::format("{} failed", place->scenario);
    }
    if (ratio && figure.over.scenario != figure.at.scenario) {
      judged.how += fmt::format("; over {}, of another run", figure.over.scenario);
    }
    return judged;
  }

 private:
  /// Which of a summary's figures: the medians, or the worst that its repetitions can make together.
  static std::pair<const char*, const char*> judged_by(const ClaimFigure& figure) {
    if (!figure.exact()) return {"median", "median"};
    return figure.better == Better::less ? std::pair{"max", "min"} : std::pair{"min", "max"};
  }
  [[nodiscard]] bool passed(const Place& place) const {
    return documents_.find(std::string(place.scenario))->second.at("passed").get<bool>();
  }
  [[nodiscard]] const Json* measure(const Place& place) const {
    const auto document = documents_.find(std::string(place.scenario));
    if (document == documents_.end()) return nullptr;
    for (const auto& one : document->second.at("measures")) {
      if (one.at("id").get<std::string>() == place.measure) return &one;
    }
    return nullptr;
  }
  [[nodiscard]] std::optional<double> value(const Place& place, const char* which) const {
    const Json* found = measure(place);
    if (found == nullptr) return std::nullopt;
    const auto& summary = found->at("summary");
    const auto metric = summary.find(std::string(place.metric));
    if (metric == summary.end() || metric->at(which).is_null()) return std::nullopt;
    return metric->at(which).get<double>();
  }
  /// Why there is no figure.
  [[nodiscard]] Judged missing(const ClaimFigure& figure) const {
    const Place& place = value(figure.at, "median") ? figure.over : figure.at;
    const Json* found = measure(place);
    if (!documents_.contains(std::string(place.scenario)))
      return {.why = fmt::format("{} was not run", place.scenario)};
    if (found == nullptr)
      return {.why = fmt::format("{} has no {}", place.scenario, place.measure)};
    if (!found->at("summary").contains(std::string(place.metric)))
      return {.why = fmt::format("{} of {} was not measured", place.metric, place.measure)};
    return {.why = fmt::format("{} has too few samples that count", place.measure)};
  }
  /// More processes than cores: then a time is none.
  [[nodiscard]] std::optional<std::string> crowded(const Place& place) const {
    const Json& found = *measure(place);
    if (found.at("kind").get<std::string>() != "functional") return std::nullopt;
    const auto& provenance = documents_.find(std::string(place.scenario))->second.at("provenance");
    return fmt::format("{} processes on {} cores", found.at("processes").get<int>(),
                       provenance.at("machine").at("cores").get<int>());
  }
  [[nodiscard]] std::string clock(const Place& place) const {
    const Json& found = *measure(place);
    const auto& clock = found.at("clock");
    if (!is_time(place.metric)) return fmt::format("counted, {}", place.scenario);
    if (place.metric.ends_with("_per_op"))
      return fmt::format("the server's CPU time, {}", place.scenario);
    return fmt::format("{}, from {} to {}, {}", found.at("boundary").get<std::string>(),
                       clock.at("starts").get<std::string>(), clock.at("stops").get<std::string>(),
                       place.scenario);
  }
  static Verdict compare(double ours, const ClaimFigure& figure) {
    if (figure.exact()) return ours == figure.published ? Verdict::met : Verdict::missed;
    const double better =
        figure.better == Better::less ? figure.published - ours : ours - figure.published;
    if (better > kSame * figure.published) return Verdict::beaten;
    return better >= -kSame * figure.published ? Verdict::met : Verdict::missed;
  }

  std::map<std::string, Json> documents_;
};

std::string text_of(const Judged& judged) {
  switch (judged.verdict) {
    case Verdict::beaten:
      return "beaten";
    case Verdict::met:
      return "met";
    case Verdict::needs_hardware:
      return "needs hardware: " + judged.why;
    case Verdict::missed:
      break;
  }
  return judged.why.empty() ? "missed" : "missed: " + judged.why;
}

std::vector<std::string> row_of(const Claim& claim, const Library& library,
                                std::map<Verdict, int>& tally) {
  std::vector<std::string> figures;
  std::vector<std::string> clocks;
  Judged worst{.verdict = Verdict::beaten};
  if (claim.figures.empty())
    worst = {.verdict = Verdict::missed, .why = std::string(claim.otherwise)};
  for (const ClaimFigure& figure : claim.figures) {
    const Judged judged = library.judge(figure);
    const bool alone = claim.figures.size() == 1;
    figures.push_back(fmt::format("{}: {}{}", figure.what,
                                  judged.shown.empty() ? "–" : judged.shown,
                                  alone ? "" : fmt::format(" ({})", text_of(judged))));
    if (!judged.how.empty() && std::ranges::find(clocks, judged.how) == clocks.end())
      clocks.push_back(judged.how);
    if (judged.verdict > worst.verdict) worst = judged;
  }
  ++tally[worst.verdict];
  return {std::string(claim.id),
          std::string(claim.what),
          std::string(claim.published),
          figures.empty() ? "–" : fmt::format("{}", fmt::join(figures, "; ")),
          clocks.empty() ? "–" : fmt::format("{}", fmt::join(clocks, "; ")),
          text_of(worst)};
}

}  // namespace

Result<ClaimsTable> judge_claims(const std::string& directory) {
  const auto names = find_results(directory);
  if (names.empty())
    return Error{Errc::invalid_argument, fmt::format("{}: no results below it", directory)};
  Library library;
  ClaimsTable table;
  for (const auto& name : names) {
    const auto text = read_file(std::filesystem::path(directory) / name);
    if (!text) return text.error();
    auto document = parse_document(*text, name);
    if (!document) return document.error();
    try {
      const auto& provenance = document->json.at("provenance");
      table.builds.insert(heading(provenance));
      table.quick = table.quick || provenance.at("quick").get<bool>();
      library.add(std::move(document->json));
    } catch (const Json::exception& wrong) {
      return Error{Errc::protocol, fmt::format("{}: {}", name, wrong.what())};
    }
  }
  table.grid = {{"#", "claim", "published", "ours", "measured", "verdict"}};
  std::map<Verdict, int> tally;
  try {
    for (const Claim& claim : claims()) table.grid.push_back(row_of(claim, library, tally));
  } catch (const Json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("{}: {}", directory, wrong.what())};
  }
  table.tally =
      fmt::format("{} beaten, {} met, {} missed, {} in need of hardware", tally[Verdict::beaten],
                  tally[Verdict::met], tally[Verdict::missed], tally[Verdict::needs_hardware]);
  return table;
}

Result<std::string> render_claims(const std::string& directory) {
  const auto table = judge_claims(directory);
  if (!table) return table.error();
  std::string page = "# Every published claim, and what came of it here\n\n";
  for (const auto& build : table->builds) page += fmt::format("Built from {}.\n", build);
  page += fmt::format(
      "\n{}. `beaten` is better by more than a twentieth, `met` within it; a claim of\nseveral "
      "figures has the verdict of its worst. Where all or nothing was published, nothing less will "
      "do, and the figure is that of the\nworst repetition. A scenario that failed meets nothing. "
      "What was published was measured on 64 vCPU with Redis across a network, at\nboundaries that "
      "the publications do not name; ours are named in the column `measured`. A time of more "
      "processes than there are cores\nis no measurement and says so. The tables behind it are in "
      "TABLES.md.\n",
      table->tally);
  if (table->quick) page += "\nThis was a quick run: fewer and shorter repetitions.\n";
  auto grid = table->grid;
  for (auto& row : grid) {
    for (auto& cell : row) cell = escaped(cell);
  }
  return page + "\n" + aligned(grid);
}

Result<void> write_claims(const std::string& directory) {
  const auto page = render_claims(directory);
  if (!page) return page.error();
  return write_file(std::filesystem::path(directory) / "CLAIMS.md", *page);
}

}  // namespace nearlane::harness
