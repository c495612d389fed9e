#include "harness/gate/statistics.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nearlane::gate {
namespace {

using testing::ElementsAre;

TEST(Statistics, OneBlockInFiveThatIsFarOffMovesTheMeanByNothing) {
  EXPECT_DOUBLE_EQ(trimmed_mean({1, 2, 3, 4, 1e9}), 3);
  EXPECT_DOUBLE_EQ(trimmed_mean({-1e9, 2, 3, 4, 5}), 3);
  EXPECT_DOUBLE_EQ(trimmed_mean({7}), 7);
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
}

TEST(Statistics, HolmRejectsStepByStep) {
  const auto rejected = [](std::vector<double> p) { return holm(p, 0.03); };
  EXPECT_THAT(rejected({0.011, 0.009, 0.5}), ElementsAre(true, true, false));
  // None is at most 0.03 / 3, though one is below 0.03.
  EXPECT_THAT(rejected({0.011, 0.02, 0.5}), ElementsAre(false, false, false));
  EXPECT_THAT(rejected({}), ElementsAre());
}

TEST(Statistics, ASharesSmallestIsNotZero) {
  const std::vector<double> sorted = {1, 2, 3};
  EXPECT_DOUBLE_EQ(share_up_to(sorted, 0), 0.25);
  EXPECT_DOUBLE_EQ(share_up_to(sorted, 2), 0.75);
  EXPECT_DOUBLE_EQ(share_up_to(sorted, 9), 1);
}

RC_GTEST_PROP(Statistics, ResampledMeansLieWithinTheValuesAndMoveWithThem, ()) {
  const auto raw =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(-1000, 1000)));
  const std::vector<double> values(raw.begin(), raw.end());
  std::vector<double> moved = values;
  for (double& value : moved) value += 4096;
  harness::Random random(1);
  harness::Random same(1);
  const auto means = resampled(values, values.size(), 50, random);
  const auto others = resampled(moved, moved.size(), 50, same);
  RC_ASSERT(std::ranges::is_sorted(means));
  RC_ASSERT(means.front() >= *std::ranges::min_element(values) - 1e-9);
  RC_ASSERT(means.back() <= *std::ranges::max_element(values) + 1e-9);
  for (std::size_t i = 0; i < means.size(); ++i)
    RC_ASSERT(std::abs(means[i] + 4096 - others[i]) < 1e-6);
}

}  // namespace
}  // namespace nearlane::gate
