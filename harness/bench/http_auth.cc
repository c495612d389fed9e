// Scenario kind `http_auth`: what a check of an API key costs, and whether its time tells anything of the key (claim A10).
//
// The server's own code is measured, in a program of its own that does nothing else (nearlane-auth-timing), once a repetition
// and with other keys each time.
#include <array>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/bench/scenario.h"
#include "harness/topology/child.h"
#include "harness/topology/pinned.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kProgram = "nearlane-auth-timing";
constexpr Duration kWithin = std::chrono::minutes(5);
/// As the program has it: what is larger is a leak.
constexpr double kTelling = 10;
constexpr const char* kEarlyExit = "early_exit_t";

struct Plan {
  std::uint64_t keys = 0;
  std::uint64_t samples = 0;
  bool stops_early = false;  // the comparison that is judged is the one that leaks
};

/// A figure of the program's answer.
struct Figure {
  const char* id;
  const char* what;
  const char* field;
  const char* metric;
  const char* limit;
};
constexpr std::array kFigures = {
    Figure{"first", "a credential that the connection has not shown yet", "first_ns", "mean_ns",
           "1 µs"},
    Figure{"remembered", "the one that it was let in with", "remembered_ns", "mean_ns", "50 ns"},
    Figure{"position", "|t|: the first byte is wrong, or the last", "position_t", "abs_t", "10"},
    Figure{"key", "|t|: the first of the keys, or the last", "key_t", "abs_t", "10"},
    Figure{"early_exit", "|t|: as position, of a comparison that stops early", kEarlyExit, "abs_t",
           "must be above 10"},
};

/// Every figure, by its field.
using Answer = std::map<std::string, double>;

Result<Answer> run_program(const Plan& plan, std::uint64_t samples, std::uint64_t seed) {
  const auto program = find_beside(kProgram);
  if (!program) return program.error();
  const Pinned there(kServersCore);
  const auto child =
      Child::start({.name = std::string(kProgram),
                    .argv = {program->string(), "--keys", std::to_string(plan.keys), "--samples",
                             std::to_string(samples), "--seed", std::to_string(seed)}});
  if (!child) return child.error();
  const auto line = child->wait_line("{", kWithin);
  if (!line) return line.error();
  const auto said = nlohmann::json::parse(*line, nullptr, false);
  Answer answer;
  for (const Figure& figure : kFigures) {
    if (!said.is_object() || !said.contains(figure.field) || !said[figure.field].is_number())
      return Error{Errc::protocol, fmt::format("{} said: {}", kProgram, *line)};
    answer[figure.field] = said[figure.field].get<double>();
  }
  return answer;
}

Result<void> run_http_auth(const Plan& plan, Bench& bench) {
  bench.meter.begin(bench.result.scenario, static_cast<std::uint64_t>(bench.repetitions));
  std::array<Measure, kFigures.size()> measures;
  for (std::size_t i = 0; i < kFigures.size(); ++i) {
    measures[i] = {.id = kFigures[i].id,
                   .what = kFigures[i].what,
                   .boundary = "in process",
                   .clock_starts = "a request's fields are read",
                   .clock_stops = "it is let in, or not",
                   .loop = "none",
                   .parameters = {{"keys", std::to_string(plan.keys)}}};
  }
  for (int round = 0; round < bench.repetitions; ++round) {
    bench.meter.phase(fmt::format("round {}", round + 1));
    const auto answer = run_program(plan, bench.scaled(plan.samples),
                                    bench.seed + static_cast<std::uint64_t>(round));
    if (!answer) return answer.error();
    for (std::size_t i = 0; i < kFigures.size(); ++i) {
      measures[i].repetitions.emplace_back().values[kFigures[i].metric] =
          answer->at(kFigures[i].field);
    }
    for (const auto& [what, field] :
         {std::pair{"where a wrong byte is", plan.stops_early ? kEarlyExit : "position_t"},
          std::pair{"which key it is", "key_t"}}) {
      if (const double seen = answer->at(field); seen > kTelling) {
        bench.result.failures.push_back(
            fmt::format("the time of a check tells {}: |t| is {:.1f}", what, seen));
      }
    }
    if (const double seen = answer->at(kEarlyExit); seen <= kTelling) {
      bench.result.failures.push_back(fmt::format(
          "|t| of a comparison that stops early is {:.1f}: too few samples to see a leak", seen));
    }
    bench.meter.advance();
  }
  Table table;
  table.title =
      fmt::format("Inline auth, {} keys of 32 bytes (published: constant time, ~1 µs)", plan.keys);
  table.columns = {"check", "here", "limit"};
  for (std::size_t i = 0; i < kFigures.size(); ++i) {
    table.rows.push_back({{Cell::of(kFigures[i].what)},
                          {Cell::of(kFigures[i].id, kFigures[i].metric)},
                          {Cell::of(kFigures[i].limit)}});
    bench.result.measure(std::move(measures[i]));
  }
  bench.result.tables.push_back(std::move(table));
  bench.result.notes.emplace_back(
      "t is Welch's, of the times of two classes of keys in random order, without the longest "
      "tenth; of a check whose time tells nothing it is above 5 once in a million times, and above "
      "10 dudect calls it a leak. Times are the median of batches of 1,000 checks.");
  return {};
}

}  // namespace

Body read_http_auth(Section& file) {
  Plan plan;
  auto auth = file.section("auth");
  plan.keys = static_cast<std::uint64_t>(auth.integer("keys", 4, 2, 1000));
  plan.stops_early = auth.flag("stops_early", false);
  plan.samples = static_cast<std::uint64_t>(auth.integer("samples", 100'000, 1000, 100'000'000));
  return [plan](Bench& bench) { return run_http_auth(plan, bench); };
}

}  // namespace nearlane::harness
