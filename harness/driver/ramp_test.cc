#include "harness/driver/ramp.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct Searched {
  std::optional<double> answer;
  int tried = 0;
};

/// `hiccup`: which try fails whatever the rate.
Searched search(double first, double limit, int hiccup = -1) {
  RateSearch search(first);
  Searched found;
  for (; const auto rate = search.next(); ++found.tried)
    search.tell(*rate <= limit && found.tried != hiccup);
  found.answer = search.answer();
  return found;
}

TEST(RateSearch, FindsWhatAServerHolds) {
  EXPECT_TRUE(rc::check([] {
    const double first = *rc::gen::inRange(1000, 1'000'000);
    const double limit = *rc::gen::inRange(1000, 10'000'000);
    const int hiccup = *rc::gen::inRange(-1, 30);
    const auto found = search(first, limit, hiccup);
    RC_ASSERT(found.answer.has_value());
    RC_ASSERT(*found.answer <= limit);
    RC_ASSERT(*found.answer >= limit * (1 - RateSearch::kResolution));
    RC_ASSERT(found.tried <= 45);
  }));
}

TEST(RateSearch, EndsAtTheLeastAndTheMost) {
  EXPECT_EQ(search(5000, 0).answer, std::nullopt);
  EXPECT_EQ(search(5000, RateSearch::kLeast).answer, RateSearch::kLeast);
  EXPECT_EQ(search(5000, 1e12).answer, RateSearch::kMost);
}

TEST(RateSearch, IsToldNothingOnceItHasEnded) {
  RateSearch search(RateSearch::kLeast);
  search.tell(false);
  search.tell(false);
  EXPECT_EQ(search.next(), std::nullopt);
  search.tell(true);
  EXPECT_EQ(search.answer(), std::nullopt);
}

/// A server that takes a tenth of a millisecond up to a rate, and ten beyond it.
class Ramp : public testing::Test {
 protected:
  Result<LoadReport> load(const LoadSpec& asked) {
    loads.push_back(asked);
    LoadReport report;
    const auto took = asked.rate <= limit ? 100us : 10ms;
    for (int i = 0; i < 100; ++i) {
      report.run.response_time.record(took);
      report.run.send_lag.record(asked.rate <= limit ? Duration::zero() : lag);
    }
    report.run.failures[static_cast<std::size_t>(Failure::wrong_value)] = wrong;
    report.run.failed = wrong;
    if (loads.size() == interrupted_at) stop = true;
    return report;
  }
  Result<RampReport> run() {
    return run_ramp(
        spec, [this](const LoadSpec& asked) { return load(asked); },
        [this](const RampStep& step) { lines.push_back(to_text(step)); }, stop);
  }

  Ramp() { spec.load.rate = 8000; }

  RampSpec spec;
  double limit = 20'000;
  Duration lag{};
  std::uint64_t wrong = 0;
  std::size_t interrupted_at = 0;
  std::atomic<bool> stop{false};
  std::vector<LoadSpec> loads;
  std::vector<std::string> lines;
};

TEST_F(Ramp, SaysWhatTheServerHolds) {
  const auto report = run();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_TRUE(report->valid());
  EXPECT_GE(*report->answer, 19'000);
  EXPECT_LE(*report->answer, 20'000);
  EXPECT_THAT(to_text(*report), HasSubstr(" requests/s hold (p99 <= 1000.0 us)"));
  EXPECT_EQ(lines.size(), loads.size());
  EXPECT_THAT(lines[0], HasSubstr("8000/s"));
  EXPECT_THAT(lines[0], HasSubstr("holds"));
  EXPECT_THAT(lines[2], HasSubstr("too late"));
  EXPECT_TRUE(loads[0].fill);
  EXPECT_FALSE(loads[1].fill);
}

TEST_F(Ramp, LoadsForLongEnoughThatAPercentileSaysSomething) {
  spec.load.duration = 1s;
  limit = 0;
  ASSERT_TRUE(run());
  EXPECT_EQ(loads.front().duration, 1250ms);
  EXPECT_EQ(loads.back().duration, 10s);
  EXPECT_EQ(loads.back().rate, RateSearch::kLeast);
}

TEST_F(Ramp, SaysWhereItMayHaveBeenTheGenerator) {
  lag = 600us;
  const auto report = run();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->valid());
  EXPECT_THAT(to_text(*report), HasSubstr("requests/s hold"));
  EXPECT_THAT(to_text(*report), HasSubstr("VOID"));
}

TEST_F(Ramp, SaysSoWhereNothingHolds) {
  limit = 0;
  lag = 600us;
  const auto report = run();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->valid());
  EXPECT_THAT(to_text(*report), HasSubstr("no rate held"));
  EXPECT_THAT(to_text(*report), HasSubstr("VOID"));
}

TEST_F(Ramp, IsNotDoneWhenItIsInterrupted) {
  interrupted_at = 2;
  const auto report = run();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->valid());
  EXPECT_EQ(to_text(*report), "interrupted; so far 8000 requests/s hold (p99 <= 1000.0 us)");
}

TEST_F(Ramp, EndsWhereAWrongValueIsRead) {
  wrong = 3;
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().detail, HasSubstr("3 values were read that nobody had written"));
}

TEST_F(Ramp, RefusesWhatCannotBe) {
  for (const double rate : {0.0, 999.0, 1e9}) {
    spec.load.rate = rate;
    ASSERT_FALSE(run()) << rate;
    EXPECT_THAT(run().error().detail, HasSubstr("first rate must be 1000 to 100000000"));
  }
  spec.load.rate = 1000;
  for (const Duration most : {Duration::zero(), Duration(-1ms), Duration(101ms)}) {
    spec.p99_most = most;
    ASSERT_FALSE(run());
    EXPECT_THAT(run().error().detail, HasSubstr("limit of p99"));
  }
  EXPECT_TRUE(loads.empty());
}

}  // namespace
}  // namespace nearlane::harness
