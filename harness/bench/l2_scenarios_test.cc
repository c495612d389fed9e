// Scenarios in which what keeps the sessions fails: each run once as it should be, and once with a product that is broken.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/bench/scenario_files.h"

namespace nearlane::harness {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;

class L2Scenarios : public ScenarioFiles {
 protected:
  /// How soon all is well is the machine's as well; that nothing was lost or stale is not.
  static void expect_nothing_lost(const ScenarioResult& result) {
    EXPECT_THAT(result.failures, Each(HasSubstr("failed later than a second after")));
    EXPECT_EQ(last(result, "counts", "lost_count"), 0);
    EXPECT_EQ(last(result, "counts", "violations_count"), 0);
    EXPECT_EQ(last(result, "counts", "different_count"), 0);
    EXPECT_GT(last(result, "counts", "acknowledged_count"), 0);
    EXPECT_EQ(last(result, "counts", "compared_count"), 2 * 2 * 300) << "instances, doors, keys";
    EXPECT_GE(last(result, "times", "announced_ns"), 0.5e9) << "others have to miss it first";
    EXPECT_GT(last(result, "times", "first_write_ns"), 0);
    EXPECT_GT(last(result, "failover/counts", "failed_count"), 0);
    EXPECT_GT(last(result, "steady/counts", "l1_share"), 0.5);
    const auto series = over_time(result);
    ASSERT_EQ(series.faults.size(), 1U);
    EXPECT_GT(failed_during_fault(series), 0U);
  }
};

constexpr const char* kFailover = R"(
kind = "l2_failover"
title = "small"
[failover]
store = "{}"
steady_for = "1500ms"
watch_for = "3s"
{}
[work]
rate = 500
keys = 300
)";

TEST_F(L2Scenarios, LoseNothingThatANewMasterHad) {
  write(fmt::format(kFailover, "sentinel", ""));
  const auto result = run_quick();
  expect_nothing_lost(result);
  EXPECT_GT(last(result, "failover/counts", "stale_share"), 0);
  EXPECT_GE(last(result, "control", "lost_count"), 300) << "it would be noticed";
}

TEST_F(L2Scenarios, FailWhereInstancesStayWithTheOldMaster) {
  write(fmt::format(kFailover, "sentinel", "follows = false"));
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("failed later than a second after")));
}

TEST_F(L2Scenarios, LoseNothingThatANewPrimaryOfAClusterHad) {
  write(fmt::format(kFailover, "cluster", ""));
  const auto result = run_quick();
  expect_nothing_lost(result);
  EXPECT_GT(last(result, "failover/counts", "failed_of_killed_count"), 0);
  EXPECT_GE(last(result, "control", "lost_count"), 300) << "it would be noticed";
}

TEST_F(L2Scenarios, FailWhereInstancesDoNotHearOfWrites) {
  write(fmt::format(kFailover, "cluster", "coherence = \"none\""));
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("under load: ")));
}

constexpr const char* kKills = R"(
kind = "durability"
title = "small"
[kills]
store = "{}"
count = 3
writes = 6000
[cold]
keys = 2000
)";

TEST_F(L2Scenarios, LoseNothingToKillsOfTheServer) {
  write(fmt::format(kKills, "rocksdb"));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const char* mode : {"always", "everysec", "no"}) {
    const auto killed = fmt::format("killed/{}", mode);
    EXPECT_EQ(last(result, killed, "kills_count"), 3) << mode;
    EXPECT_GE(last(result, killed, "acknowledged_count"), 6000) << mode;
    EXPECT_EQ(last(result, killed, "lost_count"), 0) << mode;
    EXPECT_GT(last(result, killed, "restart_median_ns"), 0) << mode;
    EXPECT_GT(last(result, killed, "control_lost_count"), 1000) << "it would be noticed";
  }
  for (const char* id : {"cold/system", "cold/disk", "again/system"})
    EXPECT_EQ(last(result, id, "count"), 2000) << id;
}

TEST_F(L2Scenarios, FailWhereTheServerForgets) {
  write(fmt::format(kKills, "memory"));
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("acknowledged writes")));
}

}  // namespace
}  // namespace nearlane::harness
