#include "core/cohere/lane_view.h"

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

constexpr TimePoint at(int s) { return TimePoint(std::chrono::seconds(s)); }

class LaneViewTest : public testing::Test {
 protected:
  [[nodiscard]] TimePoint vouched_until(Epoch epoch) const {
    const auto entry = Entry::build(KeyRef(0, "k"), "v", kForever, epoch);
    return view.vouched_until(*entry, view.lease_until());
  }
  LaneView view;
};

TEST_F(LaneViewTest, RemembersUntilWhenItVouchedForItsLastEpochs) {
  for (int i = 1; i <= 20; ++i) {
    view.set_lease(at(i));
    view.bump();
    view.bump();  // an epoch without a lease takes no place
  }
  EXPECT_EQ(view.epoch(), 41U);
  EXPECT_EQ(vouched_until(39), at(20));
  EXPECT_EQ(vouched_until(40), TimePoint::min());
  EXPECT_EQ(vouched_until(41), TimePoint::min());
  EXPECT_EQ(vouched_until(9), at(5));
  EXPECT_EQ(vouched_until(7), TimePoint::min()) << "longer ago than it remembers";
  view.set_lease(at(30));
  EXPECT_EQ(vouched_until(41), at(30));
}

TEST_F(LaneViewTest, ForgetsWhatIsKnownToBeGone) {
  view.set_lease(at(1));
  view.bump();
  view.set_lease(at(2));
  view.bump_for_good();
  EXPECT_EQ(vouched_until(1), TimePoint::min());
  EXPECT_EQ(vouched_until(2), TimePoint::min());
  view.set_lease(at(3));
  view.bump();
  EXPECT_EQ(vouched_until(3), at(3));
}

TEST_F(LaneViewTest, ALeaseWithoutEndIsNotRemembered) {
  view.set_lease(kForever);
  view.bump();
  EXPECT_EQ(vouched_until(1), TimePoint::min());
}

}  // namespace
}  // namespace nearlane::cohere
