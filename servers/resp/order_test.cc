#include "servers/resp/order.h"

#include <gtest/gtest.h>

namespace nearlane::resp {
namespace {

using Kind = Order::Kind;

TEST(Order, ReadsTravelTogetherWhateverTheirLanes) {
  Order order;
  for (std::size_t lane = 0; lane < 5; ++lane) {
    ASSERT_TRUE(order.may_send(Kind::read, lane));
    order.sent(Kind::read, lane);
  }
  EXPECT_FALSE(order.may_send(Kind::write, 1));
  EXPECT_FALSE(order.may_send(Kind::whole, 0));
  EXPECT_TRUE(order.only_reads());
}

TEST(Order, CommandsOfOneLaneTravelTogether) {
  Order order;
  order.sent(Kind::read, 3);
  ASSERT_TRUE(order.may_send(Kind::write, 3));
  order.sent(Kind::write, 3);
  EXPECT_TRUE(order.may_send(Kind::read, 3));
  EXPECT_TRUE(order.may_send(Kind::write, 3));
  EXPECT_FALSE(order.may_send(Kind::read, 4));
  EXPECT_FALSE(order.may_send(Kind::write, 4));
}

TEST(Order, WritesWaitForWhatIsAside) {
  Order order;
  const auto send_aside = [&] {
    order.sent(Kind::read, 3);
    order.step_aside();
  };
  send_aside();
  EXPECT_FALSE(order.may_send(Kind::write, 3));
  EXPECT_FALSE(order.may_send(Kind::whole, 3));
  ASSERT_TRUE(order.may_send(Kind::read, 4));
  order.sent(Kind::read, 4);
  ASSERT_TRUE(order.may_send(Kind::read, 3));
  send_aside();
  EXPECT_TRUE(order.only_reads());
  order.answered(Kind::read);
  order.came_back(1);
  order.answered(Kind::read);
  EXPECT_FALSE(order.may_send(Kind::write, 3)) << "one of them is still under way";
  order.answered(Kind::read);
  order.came_back(1);
  EXPECT_TRUE(order.may_send(Kind::write, 3));
}

TEST(Order, RelayedCommandsTravelTogetherAndWithNothingElse) {
  Order order;
  order.sent(Kind::relayed, 0);
  ASSERT_TRUE(order.may_send(Kind::relayed, 0));
  order.sent(Kind::relayed, 0);
  for (const Kind other : {Kind::read, Kind::write, Kind::whole}) {
    EXPECT_FALSE(order.may_send(other, 0));
  }
  EXPECT_TRUE(order.read_waits());
  EXPECT_FALSE(order.only_reads());
  order.answered(Kind::relayed);
  EXPECT_TRUE(order.read_waits()) << "one of them is still under way";
  order.answered(Kind::relayed);
  EXPECT_FALSE(order.read_waits());
  for (const Kind other : {Kind::read, Kind::write, Kind::whole}) {
    order.sent(other, 0);
    EXPECT_FALSE(order.may_send(Kind::relayed, 0));
    order.answered(other);
  }
}

TEST(Order, ReadsBypassL1OnlyBehindAnUnansweredWriteOfTheirLane) {
  Order order;
  order.sent(Kind::write, 3);
  EXPECT_TRUE(order.bypasses_l1(3));
  EXPECT_FALSE(order.bypasses_l1(4));
  order.sent(Kind::read, 3);
  order.answered(Kind::write);
  EXPECT_FALSE(order.bypasses_l1(3));
  EXPECT_TRUE(order.may_send(Kind::read, 4));
}

TEST(Order, NothingIsSentBesideACommandOutsideTheLanes) {
  Order order;
  order.sent(Kind::whole, 0);
  EXPECT_TRUE(order.read_waits());
  for (const Kind kind : {Kind::read, Kind::write, Kind::whole}) {
    EXPECT_FALSE(order.may_send(kind, 0));
  }
  order.answered(Kind::whole);
  EXPECT_TRUE(order.may_send(Kind::whole, 0));
}

TEST(Order, StartsAnewWhenEverythingIsAnswered) {
  Order order;
  order.sent(Kind::read, 1);
  order.sent(Kind::read, 2);
  EXPECT_FALSE(order.may_send(Kind::write, 2));
  order.answered(Kind::read);
  // Which of the two is still unanswered is not remembered: it waits for both.
  EXPECT_FALSE(order.may_send(Kind::write, 2));
  order.answered(Kind::read);
  EXPECT_TRUE(order.may_send(Kind::write, 2));
}

TEST(Order, NoLaneKeepsTwoInOrderWhereKeysChangeLanes) {
  Order order(true);
  ASSERT_TRUE(order.may_send(Kind::write, 3));
  order.sent(Kind::write, 3);
  EXPECT_FALSE(order.may_send(Kind::write, 3));
  EXPECT_FALSE(order.may_send(Kind::read, 3));
  EXPECT_FALSE(order.bypasses_l1(3)) << "it waits";
  EXPECT_TRUE(order.read_waits());
  order.answered(Kind::write);
  ASSERT_TRUE(order.may_send(Kind::read, 3));
  order.sent(Kind::read, 3);
  EXPECT_TRUE(order.may_send(Kind::read, 4));
  EXPECT_FALSE(order.may_send(Kind::write, 3));
}

}  // namespace
}  // namespace nearlane::resp
