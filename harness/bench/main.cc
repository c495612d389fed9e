// nearlane-bench: runs scenarios, makes tables of what they found, compares documents and programs, loads a server,
// replays traces against the L1 policies, and breaks connections on demand.
//
// Exit code: 0 when all is well, 1 when a scenario failed, requests of a load failed or it did not
// count, or the gate found a regression, 2 for a wrong command line, file or folder, 3 when the
// gate cannot tell.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/allocator.h"
#include "harness/bench/gate_command.h"
#include "harness/bench/load_command.h"
#include "harness/bench/progress.h"
#include "harness/bench/proxy_command.h"
#include "harness/bench/replay_command.h"
#include "harness/bench/scenario.h"
#include "harness/report/claims.h"
#include "harness/report/compare.h"
#include "harness/report/files.h"
#include "harness/report/page.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

constexpr int kFine = 0;
constexpr int kFailed = 1;
constexpr int kMisused = 2;

int misused(const Error& error) {
  fmt::print(stderr, "nearlane-bench: {}\n", error.detail);
  return kMisused;
}

struct RunFlags {
  std::vector<std::string> names;
  std::string scenarios;
  std::string out = "results";
  std::string label = "local";
  std::string traces;
  RunSize size;
};

int list(const std::string& given) {
  const auto directory = find_scenarios(given);
  if (!directory) return misused(directory.error());
  const auto scenarios = load_scenarios(*directory);
  if (!scenarios) return misused(scenarios.error());
  for (const auto& scenario : *scenarios) {
    fmt::print("{:28} {} [{}] suites: {}\n", scenario.name, scenario.title,
               fmt::join(scenario.claims, " "), fmt::join(scenario.suites, " "));
  }
  return kFine;
}

/// The scenarios that were asked for: by name, or those of the suite.
Result<std::vector<Scenario>> chosen(const RunFlags& flags) {
  const auto directory = find_scenarios(flags.scenarios);
  if (!directory) return directory.error();
  auto all = load_scenarios(*directory);
  if (!all) return all.error();
  std::vector<Scenario> picked;
  if (flags.names.empty()) {
    for (auto& scenario : *all) {
      const auto& in = scenario.suites;
      if (std::find(in.begin(), in.end(), flags.size.suite) != in.end()) {
        picked.push_back(std::move(scenario));
      }
    }
    return picked;
  }
  std::set<std::string> known;
  for (const auto& scenario : *all) known.insert(scenario.name);
  for (const auto& name : flags.names) {
    const auto found =
        std::find_if(all->begin(), all->end(), [&](const Scenario& s) { return s.name == name; });
    if (found == all->end()) {
      const auto guess = nearest(name, known);
      return Error{Errc::invalid_argument,
                   fmt::format("no scenario '{}'{}; `nearlane-bench list` shows them", name,
                               guess.empty() ? "" : fmt::format("; did you mean '{}'?", guess))};
    }
    picked.push_back(*found);
  }
  return picked;
}

/// What is made of a folder's documents; the tables are printed too.
int write_pages(const std::string& directory) {
  if (const auto written = write_tables(directory); !written) return misused(written.error());
  if (const auto written = write_claims(directory); !written) return misused(written.error());
  if (const auto written = write_page(directory); !written) return misused(written.error());
  const auto page = render_tables(directory, false);
  if (!page) return misused(page.error());
  fmt::print("{}", *page);
  return kFine;
}

int run(const RunFlags& flags) {
  const auto scenarios = chosen(flags);
  if (!scenarios) return misused(scenarios.error());
  if (!flags.traces.empty() && !std::filesystem::is_directory(flags.traces)) {
    return misused(
        {Errc::invalid_argument, fmt::format("{}: no such folder of traces", flags.traces)});
  }
  const auto directory = (std::filesystem::path(flags.out) / flags.label).string();
  Meter meter;
  bool all_passed = true;
  for (const auto& scenario : *scenarios) {
    const auto result = run_scenario(scenario, flags.size, flags.label, flags.traces, meter);
    const auto written = write_result(result, directory);
    if (!written) return misused(written.error());
    meter.end(result.failures.empty() ? "done" : "FAILED");
    for (const auto& failure : result.failures) fmt::print(stderr, "  {}\n", failure);
    all_passed = all_passed && result.failures.empty();
  }
  if (const int wrong = write_pages(directory); wrong != kFine) return wrong;
  fmt::print(
      "\nWritten to {0}/TABLES.md; a verdict for each published claim is in {0}/CLAIMS.md, and "
      "both with plots in "
      "{0}/REPORT.html\n",
      directory);
  return all_passed ? kFine : kFailed;
}

int tables(const std::vector<std::string>& directories) {
  for (const auto& directory : directories) {
    if (const int wrong = write_pages(directory); wrong != kFine) return wrong;
  }
  return kFine;
}

int compare(const std::string& first, const std::string& second) {
  const auto a = read_file(first);
  if (!a) return misused(a.error());
  const auto b = read_file(second);
  if (!b) return misused(b.error());
  const auto page = compare_results(*a, first, *b, second);
  if (!page) return misused(page.error());
  fmt::print("{}", *page);
  return kFine;
}

int command_line(int argc, char** argv) {
  CLI::App app{"Runs Nearlane's scenarios and makes tables of their results"};
  app.require_subcommand(1);
  RunFlags flags;

  auto* list_command = app.add_subcommand("list", "the scenarios there are");
  list_command->add_option("--scenarios", flags.scenarios, "folder of scenarios");

  auto* run_command = app.add_subcommand("run", "run scenarios, or a whole suite of them");
  run_command->add_option("scenario", flags.names, "as `list` names them; none: the suite");
  run_command->add_option("--suite", flags.size.suite, "how much: smoke, standard or full")
      ->check(CLI::IsMember({"smoke", "standard", "full"}));
  run_command->add_option("--out", flags.out, "folder of all results");
  run_command->add_option("--label", flags.label, "folder of this run's results")
      ->check([](const std::string& label) {
        // Pages of a folder are made of everything below it, so `.` would be all runs as one.
        const bool plain =
            !label.empty() && label != "." && label != ".." && label.find('/') == std::string::npos;
        return plain ? "" : "must be the name of a folder";
      });
  run_command->add_flag("--quick", flags.size.quick, "fewer repetitions, for a look");
  run_command->add_option("--traces", flags.traces, "folder of recorded traces")
      ->envname("NEARLANE_TRACES");
  run_command->add_option("--scenarios", flags.scenarios, "folder of scenarios");

  std::vector<std::string> directories;
  auto* tables_command =
      app.add_subcommand("tables",
                         "make TABLES.md, CLAIMS.md and REPORT.html again from the JSON files")
          ->alias("report");
  tables_command->add_option("directory", directories, "results/<label>")->required();

  std::string first;
  std::string second;
  auto* compare_command = app.add_subcommand("compare", "two result documents, metric by metric");
  compare_command->add_option("a", first, "results/<label>/<family>/<scenario>.json")->required();
  compare_command->add_option("b", second, "another run of the same scenario")->required();

  const auto load = add_load_command(app);
  const auto replay = add_replay_command(app);
  const auto gate = add_gate_command(app);
  const auto proxy = add_proxy_command(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? kFine : kMisused;
  }
  if (list_command->parsed()) return list(flags.scenarios);
  if (run_command->parsed()) return run(flags);
  if (tables_command->parsed()) return tables(directories);
  if (compare_command->parsed()) return compare(first, second);
  // Of these one at most was asked for.
  return std::max({load(), replay(), gate(), proxy()});
}

}  // namespace
}  // namespace nearlane::harness

int main(int argc, char** argv) {
  nearlane::prefer_huge_pages(argv);  // for what is measured in process, as in the server
  nearlane::keep_large_values_apart();
  try {
    return nearlane::harness::command_line(argc, argv);
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "nearlane-bench: {}\n", wrong.what());
    return 2;
  }
}
