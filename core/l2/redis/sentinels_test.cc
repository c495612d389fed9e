#include "core/l2/redis/sentinels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

using namespace std::chrono_literals;

const Endpoint kOld{"127.0.0.1", "7000"};
const Endpoint kNew{"127.0.0.1", "7001"};

class SentinelsTest : public testing::Test {
 protected:
  std::string server() {
    return route.server() ? route.server()->to_string() : route.server().error().detail;
  }

  TimePoint now = TimePoint{} + 1h;
  Route route{parse_redis_url("redis+sentinel://a:1,b:2,c:3/mine").value(), nullptr};
  Sentinels sentinels{route};
};

TEST_F(SentinelsTest, WhoKnowsTheLatestSwitchIsBelieved) {
  EXPECT_EQ(route.version(), 0U) << "nobody connects before it is known where";
  sentinels.tell(0, 3, kOld, now);
  sentinels.tell(1, 3, kOld, now);
  sentinels.tell(2, 4, kNew, now);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  EXPECT_EQ(route.version(), 2U);
  for (int i = 0; i < 100; ++i) {
    now += 100ms;
    sentinels.tell(0, 3, kOld, now);
    sentinels.tell(1, 3, kOld, now);
    EXPECT_EQ(server(), "127.0.0.1:7001") << "one that has not heard of it undoes nothing";
  }
  sentinels.tell(0, 4, kNew, now);
  EXPECT_EQ(route.version(), 2U) << "it is where it was";
}

TEST_F(SentinelsTest, AmongEqualEpochsWhomMostNameAndThenWhoChangedItsMindLast) {
  for (std::size_t i = 0; i < 3; ++i) sentinels.tell(i, 0, kOld, now);
  sentinels.tell(1, 0, kNew, now += 1s);
  EXPECT_EQ(server(), "127.0.0.1:7000");
  sentinels.tell(0, 0, kNew, now += 1s);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  sentinels.tell(1, 0, kOld, now += 1s);
  EXPECT_EQ(server(), "127.0.0.1:7000") << "as one that was reset";
  now += 11s;
  sentinels.tell(0, 0, kNew, now);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  sentinels.tell(1, 0, kOld, now);
  EXPECT_EQ(server(), "127.0.0.1:7000") << "one each, and this one changed its mind later";
}

TEST_F(SentinelsTest, AFirstWordIsNoChangeOfMind) {
  sentinels.tell(0, 2, kNew, now);
  sentinels.tell(1, 2, kOld, now);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  sentinels.tell(2, 2, kNew, now);
  now += 60s;
  sentinels.tell(2, 2, kNew, now);
  sentinels.tell(1, 2, kOld, now);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  EXPECT_EQ(route.version(), 1U) << "a server of two names is not left for its other one";
}

TEST_F(SentinelsTest, WhatWasSaidCountsForTenSeconds) {
  sentinels.tell(0, 3, kOld, now);
  sentinels.tell(1, 4, kNew, now);
  sentinels.give_up(1, "gone");
  sentinels.tell(0, 3, kOld, now + 10s);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  sentinels.tell(0, 3, kOld, now + 11s);
  EXPECT_EQ(server(), "127.0.0.1:7000");
}

TEST_F(SentinelsTest, SentinelsThatWereSetUpAnewAreBelievedOnceTheOthersAreGone) {
  for (std::size_t i = 0; i < 3; ++i) sentinels.tell(i, 9, kOld, now);
  sentinels.tell(0, 0, kNew, now += 1s);
  sentinels.tell(1, 0, kNew, now);
  EXPECT_EQ(server(), "127.0.0.1:7000");
  sentinels.give_up(2, "gone");
  sentinels.tell(1, 0, kNew, now += 10s);
  EXPECT_EQ(server(), "127.0.0.1:7001");
}

TEST_F(SentinelsTest, OnceAllAreOfNoUseThatIsSaid) {
  sentinels.give_up(0, "no");
  sentinels.give_up(2, "no");
  sentinels.give_up(2, "no");
  EXPECT_EQ(route.version(), 0U) << "the second may know";
  sentinels.give_up(1, "it knows no master 'mine'");
  EXPECT_EQ(route.version(), 1U) << "nobody need wait any longer";
  EXPECT_EQ(server(),
            "no sentinel says where the master 'mine' is; the last one asked was b:2: it knows no "
            "master 'mine'");
  sentinels.tell(1, 0, kOld, now);
  EXPECT_EQ(server(), "127.0.0.1:7000");
  EXPECT_EQ(route.version(), 2U);
  for (std::size_t i = 0; i < 3; ++i) sentinels.give_up(i, "no");
  EXPECT_EQ(server(), "127.0.0.1:7000") << "what was known is believed";
  EXPECT_EQ(route.version(), 2U);
}

TEST_F(SentinelsTest, DoubtsAreCounted) {
  const auto before = sentinels.doubts();
  route.doubt();
  route.doubt();
  EXPECT_EQ(sentinels.doubts(), before + 1);
  EXPECT_EQ(sentinels.doubts(), before + 1);
}

}  // namespace
}  // namespace nearlane::l2
