#include "harness/bench/three_approaches_tables.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using testing::HasSubstr;

TEST(ThreeApproachesTables, SayWhichScenarioMeasuresWhatTheyDoNot) {
  ThreeApproachesPlan plan;
  plan.parts = {"in_process"};
  plan.hot_in_process.workload.name = "hot";
  plan.hot_in_process.maps = {"native"};
  plan.workloads.emplace_back().name = "generated";
  ScenarioResult result;
  add_three_approaches_tables(plan, result);
  EXPECT_TRUE(check_tables(result));
  ASSERT_EQ(result.tables.size(), 1U);
  std::string words;
  for (const auto& row : result.tables[0].rows) {
    for (const auto& cell : row) {
      for (const auto& part : cell) words += part.text + "\n";
    }
  }
  EXPECT_THAT(words, testing::Not(HasSubstr("not measured")));
  for (const std::string name : {"failover/rolling_deploy", "outage/l2_down", "outage/l2_hung"}) {
    EXPECT_THAT(words, HasSubstr(name));
    const auto file = std::filesystem::path(NEARLANE_SCENARIOS) / (name + ".toml");
    EXPECT_TRUE(std::filesystem::exists(file)) << file;
  }
}

}  // namespace
}  // namespace nearlane::harness
