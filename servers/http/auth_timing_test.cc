#include "servers/http/auth_timing.h"

#include <cmath>

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

constexpr std::size_t kKeys = 4;
constexpr std::size_t kSamples = 50'000;
constexpr std::uint64_t kSeed = 1;

TEST(WelchT, IsTheDifferenceOfMeansInUnitsOfItsSpread) {
  // Worked by hand: means 2 and 4, variances 1 and 4, three and five samples.
  EXPECT_NEAR(welch_t({1, 2, 3}, {2, 2, 4, 6, 6}), -2 / std::sqrt(1.0 / 3 + 4.0 / 5), 1e-12);
  EXPECT_EQ(welch_t({1, 2, 3}, {3, 1, 2}), 0);
  EXPECT_EQ(welch_t({5, 5}, {5, 5}), 0);
  EXPECT_EQ(welch_t({6, 6}, {5, 5}), HUGE_VAL);
}

TEST(AuthTiming, TellsNothingOfTheFirstWrongByteNorOfWhichKeyItIs) {
  const AuthTiming timing(random_keys(kKeys, kSeed), kSamples, kSeed);
  EXPECT_LT(timing.t_of_position(), kTelling);
  EXPECT_LT(timing.t_of_key(), kTelling);
  EXPECT_LT(timing.t_of_reading(), kTelling);
}

TEST(AuthTiming, FindsOutAComparisonThatStopsEarly) {
  const AuthTiming timing(random_keys(kKeys, kSeed), kSamples, kSeed);
  EXPECT_GT(timing.t_of_early_exit(), kTelling);
}

TEST(AuthTiming, TimesBothChecks) {
  const AuthTiming timing(random_keys(kKeys, kSeed), 10'000, kSeed);
  EXPECT_GT(timing.remembered_ns(), 0);
  EXPECT_GT(timing.first_ns(), timing.remembered_ns());
}

}  // namespace
}  // namespace nearlane::http
