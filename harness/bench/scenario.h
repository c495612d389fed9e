// A scenario: a file that says what is measured, and the code of its kind that measures it.
//
// Errors:   a file that cannot be read or has an unknown key is invalid_argument before anything runs.
//           What goes wrong while it runs is one of the result's failures, never the end of the program.
// Threads:  one scenario at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "harness/bench/progress.h"
#include "harness/report/result.h"
#include "harness/workload/settings.h"
#include "harness/workload/workload.h"

namespace nearlane::harness {

/// How large a run is, from the command line.
struct RunSize {
  std::string suite = "standard";  // smoke, standard or full
  bool quick = false;              // few repetitions, for a look
};

/// What a running scenario works with.
struct Bench {
  ScenarioResult& result;
  Meter& meter;
  std::string traces;  // directory, or empty
  double scale = 1;    // multiplies counts of operations, never sizes of values
  int repetitions = 5;
  std::uint64_t seed = 42;

  [[nodiscard]] std::uint64_t scaled(std::uint64_t count) const {
    return std::max<std::uint64_t>(1,
                                   static_cast<std::uint64_t>(static_cast<double>(count) * scale));
  }
};

using Body = std::function<Result<void>(Bench&)>;
/// Reads what its kind needs from the file; called once, before finish().
using Kind = Body (*)(Section&);

[[nodiscard]] Body read_l1_get(Section& file);
[[nodiscard]] Body read_three_approaches(Section& file);
[[nodiscard]] Body read_generations(Section& file);
[[nodiscard]] Body read_invalidation(Section& file);
[[nodiscard]] Body read_coherence_faults(Section& file);
[[nodiscard]] Body read_coherence_costs(Section& file);
[[nodiscard]] Body read_routing(Section& file);
[[nodiscard]] Body read_eviction(Section& file);
[[nodiscard]] Body read_stampede(Section& file);
[[nodiscard]] Body read_expiry(Section& file);
[[nodiscard]] Body read_timeline(Section& file);
[[nodiscard]] Body read_http_ablation(Section& file);
[[nodiscard]] Body read_http_auth(Section& file);
[[nodiscard]] Body read_http_conditional(Section& file);
[[nodiscard]] Body read_http_get(Section& file);
[[nodiscard]] Body read_outage(Section& file);
[[nodiscard]] Body read_resp_get_depth(Section& file);
[[nodiscard]] Body read_resp_connections(Section& file);
[[nodiscard]] Body read_resp_large_values(Section& file);
[[nodiscard]] Body read_large_beside_small(Section& file);
[[nodiscard]] Body read_failover(Section& file);
[[nodiscard]] Body read_l2_failover(Section& file);
[[nodiscard]] Body read_durability(Section& file);

struct Scenario {
  std::string name;  // family/name, from its path
  std::string path;
  std::string title;
  std::vector<std::string> claims;
  std::vector<std::string> suites;
  std::string hash;
  std::uint64_t seed = 42;
  int repetitions = 5;
  int quick_repetitions = 2;
  std::vector<std::pair<std::string, double>> scales;  // by suite, and "quick"
  Body body;

  [[nodiscard]] double scale(const RunSize& size) const;
};

/// The folder of scenarios: `given`, else ./scenarios, else what lies beside the program's build.
[[nodiscard]] Result<std::string> find_scenarios(const std::string& given);
/// Every scenario below the folder, sorted by name. Errors name file and line.
[[nodiscard]] Result<std::vector<Scenario>> load_scenarios(const std::string& directory);
[[nodiscard]] Result<Scenario> load_scenario(const std::string& path, std::string name);

/// Runs it; whatever goes wrong is in the result.
[[nodiscard]] ScenarioResult run_scenario(const Scenario& scenario, const RunSize& size,
                                          const std::string& label, const std::string& traces,
                                          Meter& meter);

}  // namespace nearlane::harness
