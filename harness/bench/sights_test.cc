#include "harness/bench/sights.h"

#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using std::chrono::milliseconds;

class SightsTest : public testing::Test {
 protected:
  /// One every ten milliseconds, of an instance in turn of two; every `nth` value of instance 1 is L2's.
  void look(milliseconds length, int nth) {
    for (const TimePoint end = now + length; now < end; now += milliseconds(10)) {
      const std::size_t instance = count++ % 2;
      const bool l2 = instance == 1 && nth != 0 && (count / 2) % nth == 0;
      sights.add({.at = now,
                  .response = milliseconds(1),
                  .instance = instance,
                  .outcome = l2 ? Outcome::hit_l2 : Outcome::hit_l1});
    }
  }

  Sights sights;
  TimePoint now{milliseconds(1000)};
  const TimePoint begun = now;
  int count = 0;
};

TEST_F(SightsTest, ToldOfFewAreNoShare) {
  look(milliseconds(380), 0);  // 19 of each
  EXPECT_FALSE(sights.l1_share(0, begun, now));
  EXPECT_EQ(sights.l1_share(Sights::kAll, begun, now), 1);
  look(milliseconds(20), 0);
  EXPECT_EQ(sights.l1_share(0, begun, now), 1);
  EXPECT_FALSE(sights.l1_share(0, begun, now - milliseconds(20)));
}

TEST_F(SightsTest, ShareIsOfValues) {
  look(milliseconds(1000), 2);
  EXPECT_EQ(sights.l1_share(0, begun, now), 1);
  EXPECT_EQ(sights.l1_share(1, begun, now), 0.5);
  for (int i = 0; i < 50; ++i) {
    sights.add({.at = now, .instance = 1, .outcome = Outcome::error, .failure = Failure::lost});
    sights.add({.at = now, .instance = 1, .outcome = Outcome::ok});
  }
  EXPECT_EQ(sights.l1_share(1, begun, now + milliseconds(1)), 0.5);
  EXPECT_EQ(sights.response(begun, now + milliseconds(1)).count(), 150);
  EXPECT_EQ(sights.response(begun, now).count(), 100) << "its end is not part of it";
}

TEST_F(SightsTest, LostAreThoseOfAnInstanceInAStretch) {
  const auto fail = [&](TimePoint at, std::size_t instance, Failure failure) {
    sights.add({.at = at, .instance = instance, .outcome = Outcome::error, .failure = failure});
  };
  fail(begun, 0, Failure::lost);  // before the kill
  const TimePoint kill = begun + milliseconds(100);
  fail(kill, 0, Failure::lost);
  fail(kill + milliseconds(1), 0, Failure::server_error);
  fail(kill + milliseconds(2), 1, Failure::lost);  // of another instance
  fail(kill + milliseconds(3), 0, Failure::lost);
  fail(kill + milliseconds(500), 0, Failure::lost);  // much later
  EXPECT_EQ(sights.lost(0, kill, kill + milliseconds(500)), 2U);
  EXPECT_EQ(sights.lost(1, kill, kill + milliseconds(500)), 1U);
  EXPECT_EQ(sights.lost(Sights::kAll, begun, kill + milliseconds(501)), 5U);
}

TEST_F(SightsTest, TheFirstWindowThatIsAsGoodIsWhenItIsBack) {
  look(milliseconds(2000), 1);  // nothing from L1
  look(milliseconds(1000), 0);
  EXPECT_EQ(sights.back_after(1, begun, 1), milliseconds(2500));
  EXPECT_EQ(sights.back_after(0, begun, 1), Sights::kWindow);
  EXPECT_EQ(sights.back_after(1, begun, 0.5), milliseconds(2300)) << "a step after half of 25";
  EXPECT_FALSE(sights.back_after(1, now - milliseconds(490), 1)) << "no whole window is left";
}

}  // namespace
}  // namespace nearlane::harness
