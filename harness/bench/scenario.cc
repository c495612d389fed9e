#include "harness/bench/scenario.h"

#include <algorithm>
#include <exception>
#include <filesystem>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<const char*, Kind> kKinds[] = {
    {"l1_get", read_l1_get},
    {"three_approaches", read_three_approaches},
    {"generations", read_generations},
    {"invalidation", read_invalidation},
    {"coherence_faults", read_coherence_faults},
    {"coherence_costs", read_coherence_costs},
    {"routing", read_routing},
    {"eviction", read_eviction},
    {"stampede", read_stampede},
    {"expiry", read_expiry},
    {"timeline", read_timeline},
    {"http_ablation", read_http_ablation},
    {"http_auth", read_http_auth},
    {"http_conditional", read_http_conditional},
    {"http_get", read_http_get},
    {"outage", read_outage},
    {"resp_get_depth", read_resp_get_depth},
    {"resp_connections", read_resp_connections},
    {"resp_large_values", read_resp_large_values},
    {"large_beside_small", read_large_beside_small},
    {"failover", read_failover},
    {"l2_failover", read_l2_failover},
    {"durability", read_durability},
};

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kKinds) names.emplace_back(name);
  return names;
}

}  // namespace

double Scenario::scale(const RunSize& size) const {
  const auto of = [this](std::string_view suite) {
    const auto found = std::find_if(scales.begin(), scales.end(),
                                    [suite](const auto& entry) { return entry.first == suite; });
    return found == scales.end() ? 1.0 : found->second;
  };
  return of(size.suite) * (size.quick ? of("quick") : 1.0);
}

Result<std::string> find_scenarios(const std::string& given) {
  std::error_code error;
  if (!given.empty()) {
    if (fs::is_directory(given, error)) return given;
    return Error{Errc::invalid_argument, fmt::format("{}: no such folder of scenarios", given)};
  }
  const auto program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {fs::path("scenarios"), program / "../../../scenarios",
                                program / "../share/nearlane/scenarios"}) {
    if (fs::is_directory(candidate, error)) return candidate.lexically_normal().string();
  }
  return Error{Errc::invalid_argument,
               "no folder of scenarios here; run from the source tree or give --scenarios"};
}

Result<Scenario> load_scenario(const std::string& path, std::string name) {
  auto settings = Settings::load(path);
  if (!settings) return settings.error();
  auto root = settings->root();
  Scenario scenario;
  scenario.name = std::move(name);
  scenario.path = path;
  scenario.hash = settings->hash();
  scenario.title = root.text("title", "");
  if (scenario.title.empty()) root.problem("title", "is missing: it heads the result's tables");
  scenario.claims = root.texts("claims", {});
  scenario.suites = root.texts("suites", {"smoke", "standard", "full"});
  scenario.seed = static_cast<std::uint64_t>(root.integer("seed", 42, 0, INT64_MAX));
  scenario.repetitions = static_cast<int>(root.integer("repetitions", 5, 1, 1000));
  scenario.quick_repetitions = static_cast<int>(root.integer("quick_repetitions", 2, 1, 1000));
  for (const auto& [suite, factor] :
       root.numbers("scale", {"smoke", "standard", "full", "quick"}, 0.001, 1000)) {
    scenario.scales.emplace_back(suite, factor);
  }
  const auto kind = root.choice("kind", "", kind_names());
  if (!root.has("kind")) root.problem("kind", "is missing");
  for (const auto& [known, read] : kKinds) {
    if (kind == known) scenario.body = read(root);
  }
  if (const auto finished = settings->finish(); !finished) return finished.error();
  return scenario;
}

Result<std::vector<Scenario>> load_scenarios(const std::string& directory) {
  std::vector<Scenario> scenarios;
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() != ".toml") continue;
    auto name = at->path().lexically_relative(directory).replace_extension().generic_string();
    auto scenario = load_scenario(at->path().lexically_normal().string(), std::move(name));
    if (!scenario) return scenario.error();
    scenarios.push_back(std::move(*scenario));
  }
  std::sort(scenarios.begin(), scenarios.end(),
            [](const Scenario& a, const Scenario& b) { return a.name < b.name; });
  return scenarios;
}

ScenarioResult run_scenario(const Scenario& scenario, const RunSize& size, const std::string& label,
                            const std::string& traces, Meter& meter) {
  ScenarioResult result;
  result.scenario = scenario.name;
  result.title = scenario.title;
  result.claims = scenario.claims;
  result.file = "scenarios/" + scenario.name + ".toml";
  result.hash = scenario.hash;
  result.seed = scenario.seed;
  result.label = label;
  result.suite = size.suite;
  result.quick = size.quick;
  Bench bench{.result = result,
              .meter = meter,
              .traces = traces,
              .scale = scenario.scale(size),
              .repetitions = size.quick ? scenario.quick_repetitions : scenario.repetitions,
              .seed = scenario.seed};
  const auto started = Clock::now();
  // One scenario's failure is a row of the result; the others still run.
  try {
    if (const auto done = scenario.body(bench); !done) {
      result.failures.push_back(
          fmt::format("{}: {}", to_string(done.error().code), done.error().detail));
    }
  } catch (const std::exception& wrong) {
    result.failures.push_back(fmt::format("ended by an exception: {}", wrong.what()));
  }
  if (const auto right = check_tables(result); !right)
    result.failures.push_back(right.error().detail);
  result.elapsed_s = std::chrono::duration<double>(Clock::now() - started).count();
  return result;
}

}  // namespace nearlane::harness
