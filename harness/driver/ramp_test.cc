#include "harness/driver/ramp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nearlane::harness {
namespace {

using testing::HasSubstr;

std::optional<double> search(double first, double limit, int& tried) {
  RateSearch search(first);
  for (tried = 0; const auto rate = search.next(); ++tried) search.tell(*rate <= limit);
  return search.answer();
}

TEST(RateSearch, FindsWhatEveryServerHolds) {
  EXPECT_TRUE(rc::check([] {
    const double first = *rc::gen::inRange(100, 1'000'000);
    const double limit = *rc::gen::inRange(1, 10'000'000);
    int tried = 0;
    const auto answer = search(first, limit, tried);
    // Halving the first rate does not always meet the least there is.
    if (!answer) RC_ASSERT(limit < 2 * RateSearch::kLeast);
    if (answer) RC_ASSERT(*answer <= limit && *answer >= limit * (1 - RateSearch::kResolution));
    RC_ASSERT(tried <= 30);
  }));
}

TEST(RateSearch, EndsWhereNothingHoldsAndWhereEverythingDoes) {
  int tried = 0;
  EXPECT_EQ(search(1000, 0, tried), std::nullopt);
  const auto most = search(1000, 1e12, tried);
  ASSERT_TRUE(most);
  EXPECT_GT(*most, RateSearch::kMost / 2);
}

TEST(RateSearch, IsToldNothingOnceItHasEnded) {
  RateSearch search(RateSearch::kLeast);
  search.tell(false);
  EXPECT_EQ(search.next(), std::nullopt);
  search.tell(true);
  EXPECT_EQ(search.answer(), std::nullopt);
}

TEST(Ramp, RefusesWhatCannotBe) {
  RampSpec spec;
  spec.load.target = "resp://127.0.0.1:1";
  const auto why = [&] { return run_ramp(spec).error().detail; };
  EXPECT_THAT(why(), HasSubstr("first rate"));
  spec.load.rate = 1000;
  spec.p99_most = Duration::zero();
  EXPECT_THAT(why(), HasSubstr("p99"));
}

TEST(Ramp, SaysWhatLimitedIt) {
  RampReport report{.spec = {.load = {}, .p99_most = std::chrono::milliseconds(2)},
                    .steps = {},
                    .answer = 12'000.0};
  EXPECT_EQ(to_text(report), "12000 requests/s hold (p99 <= 2000.0 us)");
  report.limited_by_generator = true;
  EXPECT_THAT(to_text(report), HasSubstr("VOID"));
  report.answer.reset();
  EXPECT_THAT(to_text(report), HasSubstr("no rate held"));
}

}  // namespace
}  // namespace nearlane::harness
