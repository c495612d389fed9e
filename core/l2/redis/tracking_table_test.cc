#include "core/l2/redis/tracking_table.h"

#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

TEST(TrackingTable, IsRaisedToWhatL1MayHoldAndNoFurtherThanIsOursToDecide) {
  EXPECT_EQ(raised_limit(1'000'000, 2'000'000), 2'000'000U);
  EXPECT_EQ(raised_limit(1'000'000, 1'000'000), std::nullopt);
  EXPECT_EQ(raised_limit(1'000'000, 10), std::nullopt) << "never lowered";
  EXPECT_EQ(raised_limit(0, 2'000'000), std::nullopt) << "0 is no limit";
  EXPECT_EQ(raised_limit(1'000'000, 100'000'000), kMostTrackedKeys);
  EXPECT_EQ(raised_limit(kMostTrackedKeys, 100'000'000), std::nullopt);
}

}  // namespace
}  // namespace nearlane::l2
