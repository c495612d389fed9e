#include "core/guard/breaker.h"

#include <gtest/gtest.h>

namespace nearlane::guard {
namespace {

using namespace std::chrono_literals;
using State = Breaker::State;

constexpr TimePoint kStart(1000s);
constexpr std::uint32_t kMiddle = 512;  // a hold that is not spread

class BreakerTest : public testing::Test {
 protected:
  void note(int calls, bool failed) {
    for (int i = 0; i < calls; ++i) breaker.note(failed, now, kMiddle);
  }
  [[nodiscard]] State state() const { return breaker.state(now); }
  void open() {
    note(20, true);
    ASSERT_EQ(state(), State::open);
  }
  void come_to_ramp() {
    now += 2s;
    ASSERT_EQ(breaker.probes_due(now), Breaker::kProbes);
    for (unsigned i = 0; i < Breaker::kProbes; ++i) breaker.probed(false, now, kMiddle);
    ASSERT_EQ(state(), State::ramp);
  }
  /// Of 6400 calls evenly drawn.
  int admitted() {
    int count = 0;
    for (std::uint32_t chance = 0; chance < 6400; ++chance)
      count += breaker.admits(now, chance) ? 1 : 0;
    return count;
  }

  Breaker breaker;
  TimePoint now = kStart;
};

TEST_F(BreakerTest, OpensWhereHalfOfTwentyCallsOfASecondFail) {
  note(10, false);
  note(9, true);
  EXPECT_EQ(state(), State::closed) << "nineteen say nothing";
  note(1, true);
  EXPECT_EQ(state(), State::open);
  EXPECT_EQ(admitted(), 0);
}

TEST_F(BreakerTest, StaysClosedWhereFewerFail) {
  note(1000, false);
  note(999, true);
  EXPECT_EQ(state(), State::closed);
  note(1, true);
  EXPECT_EQ(state(), State::open);
}

TEST_F(BreakerTest, ForgetsWhatIsASecondAgo) {
  note(19, true);
  now += 1s;
  note(1, true);
  EXPECT_EQ(state(), State::closed);
  EXPECT_EQ(admitted(), 6400);
}

TEST_F(BreakerTest, OpensAtOnceWhereL2IsKnownToBeAway) {
  breaker.trip(now, kMiddle);
  EXPECT_EQ(state(), State::open);
  EXPECT_FALSE(breaker.admits(now, 0));
}

TEST_F(BreakerTest, ProbesWhenTheHoldIsOverAndNotMoreThanItHasTo) {
  open();
  now += 199ms;
  EXPECT_EQ(breaker.probes_due(now), 0U);
  now += 1ms;
  EXPECT_EQ(breaker.probes_due(now), Breaker::kProbes);
  EXPECT_EQ(breaker.probes_due(now), 0U) << "they are under way";
  EXPECT_EQ(state(), State::half_open);
  EXPECT_EQ(admitted(), 0) << "no user's call is a probe";
}

TEST_F(BreakerTest, AHoldIsTwiceTheOneBeforeUpToALongest) {
  open();
  for (const auto hold : {200ms, 400ms, 800ms, 800ms, 800ms}) {
    now += hold - 1ms;
    ASSERT_EQ(breaker.probes_due(now), 0U) << hold.count();
    now += 1ms;
    ASSERT_EQ(breaker.probes_due(now), Breaker::kProbes) << hold.count();
    breaker.probed(true, now, kMiddle);
    breaker.probed(true, now, kMiddle);  // the others' outcomes change nothing
    breaker.probed(false, now, kMiddle);
    ASSERT_EQ(state(), State::open);
  }
}

TEST_F(BreakerTest, WhatWasAwayAndIsBackIsProbedAtOnce) {
  open();
  breaker.back(now);
  EXPECT_EQ(breaker.probes_due(now), 0U) << "it may hang, and was not seen to be away";
  breaker.trip(now, kMiddle);
  now += 1ms;
  EXPECT_EQ(breaker.probes_due(now), 0U);
  breaker.back(now);
  EXPECT_EQ(breaker.probes_due(now), Breaker::kProbes);
  breaker.probed(true, now, kMiddle);
  breaker.probed(true, now, kMiddle);
  ASSERT_EQ(state(), State::open);
  breaker.back(now);
  EXPECT_EQ(breaker.probes_due(now), 0U) << "it was away once";
}

TEST_F(BreakerTest, ThatItWasAwayOnceSaysNothingOfTheNextOutage) {
  breaker.trip(now, kMiddle);
  come_to_ramp();  // without anybody having said that it is back
  now += Breaker::kRampSteps * Breaker::kRampStep;
  ASSERT_TRUE(breaker.admits(now, kMiddle));
  ASSERT_EQ(state(), State::closed);
  open();
  now += 1ms;
  breaker.back(now);
  EXPECT_EQ(breaker.probes_due(now), 0U) << "it hangs, with every connection there";
}

TEST_F(BreakerTest, HoldsAreSpreadByHalf) {
  for (const auto& [chance, hold] : {std::pair{0U, 100ms}, {1023U, 299ms}}) {
    Breaker one;
    one.trip(now, chance);
    EXPECT_EQ(one.probes_due(now + hold - 1ms), 0U);
    EXPECT_EQ(one.probes_due(now + hold + 1ms), Breaker::kProbes);
  }
}

TEST_F(BreakerTest, RampsUpBeforeItCloses) {
  open();
  come_to_ramp();
  for (const int expected : {100, 200, 400, 800, 1600, 3200}) {
    EXPECT_EQ(admitted(), expected);
    now += Breaker::kRampStep;
  }
  EXPECT_EQ(admitted(), 6400);
  EXPECT_EQ(state(), State::closed);
}

TEST_F(BreakerTest, ARampTakesNoLongerThanL2WasAway) {
  open();
  now += 300ms;
  ASSERT_EQ(breaker.probes_due(now), Breaker::kProbes);
  for (unsigned i = 0; i < Breaker::kProbes; ++i) breaker.probed(false, now, kMiddle);
  EXPECT_EQ(admitted(), 100);
  now += 50ms;
  EXPECT_EQ(admitted(), 200);
  now += 249ms;
  EXPECT_EQ(state(), State::ramp);
  now += 1ms;
  EXPECT_EQ(state(), State::closed);
}

TEST_F(BreakerTest, ARampEndsWhereAQuarterFails) {
  open();
  come_to_ramp();
  note(15, false);
  note(5, true);
  EXPECT_EQ(state(), State::open);
  come_to_ramp();
  note(31, false);
  note(10, true);
  EXPECT_EQ(state(), State::ramp);
  note(1, true);
  EXPECT_EQ(state(), State::open);
}

TEST_F(BreakerTest, OneProbeOfThreeMayFail) {
  open();
  now += 200ms;
  ASSERT_EQ(breaker.probes_due(now), Breaker::kProbes);
  for (const bool failed : {true, false, false}) breaker.probed(failed, now, kMiddle);
  EXPECT_EQ(state(), State::ramp);
}

TEST_F(BreakerTest, LateOutcomesOfWhatWasAskedBeforeSayNothing) {
  open();
  note(1000, true);
  come_to_ramp();
  now += 2s;
  EXPECT_EQ(state(), State::closed);
  note(10, true);
  EXPECT_EQ(state(), State::closed) << "the window began anew";
}

TEST_F(BreakerTest, RemembersThatItFlapsUntilItWasClosedForAMinute) {
  const auto holds = [&](Duration hold) {
    breaker.trip(now, kMiddle);
    EXPECT_EQ(breaker.probes_due(now + hold - 1ms), 0U);
    EXPECT_EQ(breaker.probes_due(now + hold), Breaker::kProbes);
    now += hold;
    for (unsigned i = 0; i < Breaker::kProbes; ++i) breaker.probed(false, now, kMiddle);
    now += 2s;
    EXPECT_EQ(state(), State::closed);
  };
  holds(200ms);
  now += 58s;
  holds(400ms);
  now += 60s;
  holds(200ms);
}

}  // namespace
}  // namespace nearlane::guard
