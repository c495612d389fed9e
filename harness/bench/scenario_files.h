// ScenarioFiles: the fixture of tests that write a scenario's file, run it, and look at its result.
//
// Threads:  one. Lifetime: the folder goes with the test. For tests alone.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "harness/bench/scenario.h"

namespace nearlane::harness {

class ScenarioFiles : public testing::Test {
 protected:
  ScenarioFiles()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   ("nearlane_scenarios_" +
                    std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_ / "family");
  }
  ~ScenarioFiles() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& text) const {
    std::ofstream(directory_ / "family/one.toml") << text;
  }

  /// The only scenario there is.
  [[nodiscard]] ScenarioResult run_quick() const {
    const auto scenarios = load_scenarios(directory_.string());
    if (!scenarios) {
      ScenarioResult none;
      none.failures.push_back(scenarios.error().detail);
      return none;
    }
    Meter meter;
    return run_scenario(scenarios->front(), {.suite = "standard", .quick = true}, "label", "",
                        meter);
  }
  /// -1 where there is no such measure or no value.
  static double last(const ScenarioResult& result, std::string_view id, const std::string& metric) {
    for (const auto& measure : result.measures) {
      if (measure.id == id) return measure.repetitions.back().values.at(metric).value_or(-1);
    }
    return -1;
  }

  /// What became of requests second by second; empty where it was not recorded.
  static TimeSeries over_time(const ScenarioResult& result) {
    for (const auto& measure : result.measures) {
      if (measure.id == "over_time")
        return measure.repetitions.back().series.value_or(TimeSeries{});
    }
    return {};
  }
  /// In all seconds that the only fault touched.
  static std::uint64_t failed_during_fault(const TimeSeries& series) {
    std::uint64_t failed = 0;
    for (std::size_t at = 0; at < series.seconds.size(); ++at) {
      const auto second = static_cast<double>(at);
      if (second + 1 > series.faults.front().from_s && second < series.faults.front().to_s)
        failed += series.seconds[at].failed;
    }
    return failed;
  }

  std::filesystem::path directory_;
};

}  // namespace nearlane::harness
