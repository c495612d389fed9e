#include "harness/report/time_series.h"

#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

class TimeSeriesTest : public testing::Test {
 protected:
  const TimePoint start{1h};
  TimeSeriesRecorder recorder{start};
};

TEST_F(TimeSeriesTest, PutsARequestWhereItWasDue) {
  recorder.answered(start + 900ms, 5s);  // and not where it ended
  recorder.failed(start + 2s);
  recorder.answered(start - 1ns, 1ms);
  recorder.failed(start - 1ns);
  const auto series = recorder.series();
  ASSERT_EQ(series.seconds.size(), 3U);
  EXPECT_EQ(series.seconds[0].answered, 1U);
  EXPECT_EQ(series.seconds[0].max_ns, 5e9);
  EXPECT_EQ(series.seconds[1].answered + series.seconds[1].failed, 0U);
  EXPECT_FALSE(series.seconds[1].max_ns);
  EXPECT_EQ(series.seconds[2].failed, 1U);
  EXPECT_FALSE(series.seconds[2].max_ns) << "a failure has no time";
}

TEST_F(TimeSeriesTest, TellsAQuantileOnlyWithAHundredBeyondIt) {
  for (int i = 200; i > 0; --i) recorder.answered(start, i * 1us);
  for (int i = 10'000; i > 0; --i) recorder.answered(start + 1s, i * 1us);
  recorder.answered(start + 2s, 1us);
  const auto series = recorder.series();
  EXPECT_EQ(series.seconds[0].p50_ns, 100e3);
  EXPECT_FALSE(series.seconds[0].p99_ns);
  EXPECT_EQ(series.seconds[0].max_ns, 200e3);
  EXPECT_EQ(series.seconds[1].p99_ns, 9'900e3);
  EXPECT_FALSE(series.seconds[2].p50_ns);
}

TEST_F(TimeSeriesTest, CountsFaultsFromItsStart) {
  recorder.fault("killed", start + 1500ms, start + 4s);
  const auto series = recorder.series();
  ASSERT_EQ(series.faults.size(), 1U);
  EXPECT_EQ(series.faults[0].what, "killed");
  EXPECT_EQ(series.faults[0].from_s, 1.5);
  EXPECT_EQ(series.faults[0].to_s, 4);
}

TEST_F(TimeSeriesTest, IsNoLongerThanItMayBe) {
  recorder.answered(start + 48h, 1ms);
  const auto series = recorder.series();
  ASSERT_EQ(series.seconds.size(), TimeSeriesRecorder::kMostSeconds);
  EXPECT_EQ(series.seconds.back().answered, 1U);
}

}  // namespace
}  // namespace nearlane::harness
