#include "harness/report/compare.h"

#include <array>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/report/document.h"
#include "harness/report/result.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

/// What must be the same, where it stands, and what it is called.
struct Same {
  const char* pointer;
  const char* what;
};
constexpr std::array kSame = {
    Same{"/scenario", "scenario"},
    Same{"/provenance/scenario_hash", "scenario's hash"},
    Same{"/provenance/seed", "seed"},
    Same{"/provenance/suite", "size (suite)"},
    Same{"/provenance/quick", "size (quick)"},
    Same{"/provenance/machine/cpu", "CPU"},
    Same{"/provenance/machine/cores", "number of cores"},
    Same{"/provenance/machine/kernel", "kernel"},
    Same{"/provenance/build_type", "build type"},
    Same{"/provenance/library_build_type", "build type of the library"},
    Same{"/provenance/compiler", "compiler"},
    Same{"/provenance/flags", "flags"},
};

struct Range {
  double median;
  double least;
  double most;
  std::size_t repetitions;
};

/// By measure and metric. Throws nlohmann's exceptions where the document is not as its schema says.
using Ranges = std::map<std::pair<std::string, std::string>, Range>;
Ranges ranges_of(const Json& document) {
  Ranges ranges;
  for (const auto& measure : document.at("measures")) {
    for (const auto& [metric, summary] : measure.at("summary").items()) {
      if (summary.at("median").is_null()) continue;
      ranges[{measure.at("id").get<std::string>(), metric}] = {
          summary.at("median").get<double>(), summary.at("min").get<double>(),
          summary.at("max").get<double>(), summary.at("repetitions").get<std::size_t>()};
    }
  }
  return ranges;
}

/// How a measure was measured; where that differs its figures are of two things.
using Measures = std::map<std::string, const Json*>;
Measures measures_of(const Json& document) {
  Measures measures;
  for (const auto& measure : document.at("measures"))
    measures[measure.at("id").get<std::string>()] = &measure;
  return measures;
}

/// Why the figures of a measure that both have say nothing of the code; empty when they do.
std::string unlike(const Json& a, const Json& b) {
  if (a.at("kind") == "functional" || b.at("kind") == "functional")
    return "functional: no measurement";
  for (const char* key : {"boundary", "clock", "loop", "offered_per_s", "parameters"}) {
    if (a.at(key) != b.at(key)) return fmt::format("not comparable: other {}", key);
  }
  return {};
}

std::string differences(const Json& a, const Json& b) {
  std::string found;
  for (const auto& same : kSame) {
    const Json::json_pointer at(same.pointer);
    // A document may be older than the field: then it is like those alone that do not say either.
    const auto of = [&](const Json& document) {
      return document.contains(at) ? document.at(at).dump() : "unknown";
    };
    if (of(a) != of(b)) found += fmt::format("- {}: {} and {}\n", same.what, of(a), of(b));
  }
  return found;
}

/// Whether every repetition of the one lies beyond every one of the other. Of two single ones one always does.
std::string apart(const Range& a, const Range& b) {
  if (a.repetitions < 2 || b.repetitions < 2) return "one repetition";
  return b.least > a.most || b.most < a.least ? "yes" : "no";
}

std::string ratio(const Range& a, const Range& b) {
  return a.median != 0 ? fmt::format("{:.3f}", b.median / a.median) : b.median == 0 ? "1.000" : "-";
}

std::string table(const Json& a, const Json& b) {
  const auto before = ranges_of(a);
  const auto after = ranges_of(b);
  const auto measures_a = measures_of(a);
  const auto measures_b = measures_of(b);
  std::vector<std::vector<std::string>> grid = {
      {"measure", "metric", "A", "B", "B / A", "all repetitions apart"}};
  std::string alone;
  for (const auto& [key, range] : before) {
    const auto& [id, metric] = key;
    const auto other = after.find(key);
    if (other == after.end()) {
      alone += fmt::format("- {} {}: only in A\n", id, metric);
      continue;
    }
    const auto& range_b = other->second;
    const auto why = unlike(*measures_a.at(id), *measures_b.at(id));
    grid.push_back({id, metric, show_metric(metric, range.median),
                    show_metric(metric, range_b.median), ratio(range, range_b),
                    why.empty() ? apart(range, range_b) : why});
  }
  for (const auto& [key, range] : after) {
    if (!before.contains(key)) alone += fmt::format("- {} {}: only in B\n", key.first, key.second);
  }
  return aligned(grid) + (alone.empty() ? "" : "\n" + alone);
}

}  // namespace

Result<std::string> compare_results(const std::string& a, const std::string& a_name,
                                    const std::string& b, const std::string& b_name) {
  const auto first = parse_document(a, a_name);
  if (!first) return first.error();
  const auto second = parse_document(b, b_name);
  if (!second) return second.error();
  const Json& before = first->json;
  const Json& after = second->json;
  try {
    const auto differing = differences(before, after);
    std::string page = fmt::format("A: {}\nB: {}\n\n", a_name, b_name);
    if (differing.empty()) {
      page +=
          "Same scenario, machine and build: the ratios are of the code, and of what else the "
          "machine did.\n\n";
    } else {
      page += fmt::format(
          "These two may not be compared; the ratios say nothing of the code:\n{}\n", differing);
    }
    return page + table(before, after);
  } catch (const nlohmann::json::exception& wrong) {
    return Error{Errc::protocol,
                 fmt::format("{} or {}: not as its schema says: {}", a_name, b_name, wrong.what())};
  }
}

}  // namespace nearlane::harness
