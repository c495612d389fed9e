#include "servers/resp/in_flight.h"

#include <gtest/gtest.h>

namespace nearlane::resp {
namespace {

constexpr std::size_t kMost = 1000;

TEST(InFlight, CountsCommandsUntilTheyAreAnswered) {
  InFlight flying(kMost);
  flying.sent(600, false);
  EXPECT_FALSE(flying.full());
  flying.sent(600, false);
  EXPECT_TRUE(flying.full());
  flying.answered(600, false, 5);
  EXPECT_FALSE(flying.full());
}

TEST(InFlight, WhatIsLargerByItselfGoesAlone) {
  InFlight flying(kMost);
  flying.sent(5 * kMost, false);
  EXPECT_TRUE(flying.full());
  flying.answered(5 * kMost, false, 5);
  EXPECT_FALSE(flying.full());
  flying.sent(0, true);
  flying.answered(0, true, 5 * kMost);
  EXPECT_FALSE(flying.full());
  EXPECT_EQ(flying.most_together(), 1U);
  flying.sent(0, true);
  EXPECT_TRUE(flying.full());
}

TEST(InFlight, ExpectsOfAReadWhatTheLargestLatelyHasBrought) {
  InFlight flying(kMost);
  for (int i = 0; i < 50; ++i) flying.sent(0, true);
  EXPECT_FALSE(flying.full()) << "nothing is known yet";
  EXPECT_EQ(flying.most_together(), InFlight::kMostTogether);
  flying.answered(0, true, 100);
  EXPECT_TRUE(flying.full()) << "of those in flight, too";
  for (int i = 1; i < 50; ++i) flying.answered(0, true, 100);
  EXPECT_FALSE(flying.full());
  EXPECT_EQ(flying.most_together(), 10U);
  for (int i = 0; i < 9; ++i) flying.sent(0, true);
  EXPECT_EQ(flying.most_together(), 1U);
  flying.sent(0, false);
  EXPECT_FALSE(flying.full()) << "a write brings little";
  flying.sent(0, true);
  EXPECT_TRUE(flying.full());
}

TEST(InFlight, ForgetsWhatWasLongAgo) {
  InFlight flying(kMost);
  flying.sent(0, true);
  flying.answered(0, true, kMost);
  for (int i = 0; i < 20; ++i) {
    flying.sent(0, true);
    flying.answered(0, true, 1);
  }
  for (std::size_t i = 0; i < 10 * InFlight::kForgets; ++i) {
    flying.sent(0, false);
    flying.answered(0, false, 1);
  }
  EXPECT_EQ(flying.most_together(), 1U) << "writes tell nothing of reads";
  for (std::size_t i = 0; i < 10 * InFlight::kForgets; ++i) {
    flying.sent(0, true);
    flying.answered(0, true, 1);
  }
  EXPECT_EQ(flying.most_together(), InFlight::kMostTogether);
}

}  // namespace
}  // namespace nearlane::resp
