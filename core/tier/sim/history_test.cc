#include "core/tier/sim/history.h"

#include <gtest/gtest.h>

namespace nearlane::sim {
namespace {

using std::chrono::milliseconds;

constexpr Duration kLease = milliseconds(50);
constexpr TimePoint at(int ms) { return TimePoint(milliseconds(1000 + ms)); }

TEST(History, AllowsAnOldValueForALeaseAndNoLonger) {
  History history;
  history.changed(0, 1, kForever, 1, at(0));
  history.changed(0, 2, kForever, 2, at(10));
  EXPECT_TRUE(history.may_serve(0, 2, at(10), kLease, kStartPlace));
  EXPECT_TRUE(history.may_serve(0, 1, at(60) - Duration(1), kLease, kStartPlace));
  EXPECT_FALSE(history.may_serve(0, 1, at(60), kLease, kStartPlace));
}

TEST(History, AllowsNothingBelowTheFloor) {
  History history;
  history.changed(0, 1, kForever, 1, at(0));
  history.changed(0, 2, kForever, 2, at(10));
  EXPECT_TRUE(history.may_serve(0, 1, at(20), kLease, history.place_of(1)));
  EXPECT_FALSE(history.may_serve(0, 1, at(20), kLease, history.place_of(2)));
}

TEST(History, AllowsNoLeaseBeyondTheTtl) {
  History history;
  history.changed(0, 1, at(10), 1, at(0));
  EXPECT_TRUE(history.may_serve(0, 1, at(10) - Duration(1), kLease, kStartPlace));
  EXPECT_FALSE(history.may_serve(0, 1, at(10), kLease, kStartPlace));
  EXPECT_TRUE(history.may_serve(0, kNone, at(10), kLease, history.place_of(1)));
}

TEST(History, DoesNotTakeAValueThatWasReplacedForOneThatEnded) {
  History history;
  history.changed(0, 1, at(100), 1, at(0));
  history.changed(0, 2, kForever, 2, at(90));
  EXPECT_FALSE(history.may_serve(0, kNone, at(120), kLease, history.place_of(1)));
}

TEST(History, JudgesAnAnswerByWhenItWasAskedFor) {
  History history;
  history.changed(0, 1, kForever, 1, at(0));
  history.changed(0, 2, kForever, 2, at(10));
  EXPECT_TRUE(history.may_answer(0, 1, at(59), at(500), kLease, kStartPlace));
  EXPECT_FALSE(history.may_answer(0, 1, at(60), at(500), kLease, kStartPlace));
}

}  // namespace
}  // namespace nearlane::sim
