#include "core/l2/redis/sentinel_watch.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::string_view kHello = "%1\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n";
constexpr std::string_view kSubscribed = ">3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n";
constexpr std::string_view kAt7000 = "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7000\r\n";
constexpr std::string_view kAt7001 = "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n";

class SentinelWatchTest : public testing::Test {
 protected:
  std::string take_output() { return std::exchange(watch.output(), {}); }
  void hear(std::string_view bytes) { watch.received(bytes, now); }
  /// From the connection to the first answer.
  void begin(std::string_view answer = kAt7000) {
    watch.connect();
    watch.connected(now);
    hear(kHello);
    hear(kSubscribed);
    hear(answer);
    (void)take_output();
  }
  void pass(Duration time) {
    now += time;
    watch.tick(now);
  }
  /// As its carrier does.
  void give_up() {
    ASSERT_TRUE(watch.broken());
    watch.closed(*watch.broken(), now);
  }
  static std::string message(std::string_view text) {
    return ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$" + std::to_string(text.size()) +
           "\r\n" + std::string(text) + "\r\n";
  }
  std::string server() {
    return route.server() ? route.server()->to_string() : route.server().error().detail;
  }

  TimePoint now = TimePoint{} + 1h;
  Route route{parse_redis_url("redis+sentinel://app:pw@a:1,b:2,c:3/mine").value(), nullptr};
  Route own{RedisUrl{.server = {"", ""}}, nullptr};
  SentinelWatch watch{route, own};
};

TEST_F(SentinelWatchTest, SubscribesBeforeItAsksAndTellsNoPassword) {
  EXPECT_EQ(own.where(), "a:1");
  EXPECT_EQ(route.version(), 0U) << "nobody connects before it is known where";
  watch.connected(now);
  EXPECT_EQ(take_output(), "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
  hear(kHello);
  EXPECT_EQ(take_output(),
            "*2\r\n$9\r\nSUBSCRIBE\r\n$14\r\n+switch-master\r\n"
            "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$4\r\nmine\r\n");
  EXPECT_FALSE(watch.ready());
  hear(kSubscribed);
  hear(kAt7000);
  EXPECT_TRUE(watch.ready());
  EXPECT_EQ(server(), "127.0.0.1:7000");
  EXPECT_EQ(route.version(), 1U);
}

TEST_F(SentinelWatchTest, AuthenticatesWhereItIsAskedTo) {
  watch.connected(now);
  (void)take_output();
  hear("-NOAUTH HELLO must be called with the client already authenticated\r\n");
  EXPECT_THAT(take_output(), HasSubstr("AUTH\r\n$3\r\napp\r\n$2\r\npw\r\n"));
  hear(kHello);
  hear(kSubscribed);
  hear(kAt7000);
  EXPECT_EQ(server(), "127.0.0.1:7000");
  watch.connected(now);
  hear("-NOAUTH once\r\n");
  hear("-NOAUTH twice\r\n");
  ASSERT_TRUE(watch.broken());
  EXPECT_THAT(watch.broken()->detail, HasSubstr("NOAUTH twice"));
}

TEST_F(SentinelWatchTest, MovesAtOnceWhenItHearsOfASwitch) {
  begin();
  hear(message("another 127.0.0.1 7000 127.0.0.1 7009"));
  EXPECT_EQ(server(), "127.0.0.1:7000");
  hear(message("mine 127.0.0.1 7000 127.0.0.1 7001"));
  EXPECT_EQ(server(), "127.0.0.1:7001");
  EXPECT_EQ(route.version(), 2U);
  hear(message("mine 127.0.0.1 7000 127.0.0.1 7001"));
  EXPECT_EQ(route.version(), 2U) << "it is where it was";
}

TEST_F(SentinelWatchTest, AsksOnceASecondAndSoonerWhereSomebodyDoubts) {
  begin();
  pass(900ms);
  EXPECT_EQ(take_output(), "");
  pass(100ms);
  EXPECT_THAT(take_output(), HasSubstr("GET-MASTER-ADDR-BY-NAME"));
  hear(kAt7000);
  route.doubt();
  pass(40ms);
  EXPECT_EQ(take_output(), "") << "all connections doubt at once";
  pass(10ms);
  EXPECT_THAT(take_output(), HasSubstr("GET-MASTER-ADDR-BY-NAME"));
  hear(kAt7001);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  pass(60ms);
  EXPECT_EQ(take_output(), "") << "the doubt was answered";
}

TEST_F(SentinelWatchTest, LeavesASentinelThatIsSilent) {
  begin();
  pass(1s);
  pass(990ms);
  EXPECT_FALSE(watch.broken());
  pass(10ms);
  give_up();
  EXPECT_EQ(own.where(), "b:2");
  EXPECT_EQ(server(), "127.0.0.1:7000") << "what was known is believed";
  EXPECT_EQ(route.version(), 1U);
}

TEST_F(SentinelWatchTest, GoesFromOneToTheNextAndThenSaysThatNobodyKnows) {
  begin("_\r\n");
  ASSERT_TRUE(watch.broken());
  EXPECT_EQ(watch.broken()->detail, "it knows no master 'mine'");
  give_up();
  EXPECT_EQ(own.where(), "b:2");
  watch.closed({Errc::unavailable, "cannot connect to b:2: Connection refused"}, now);
  EXPECT_EQ(own.where(), "c:3");
  EXPECT_EQ(route.version(), 0U) << "the third may know";
  begin("_\r\n");
  give_up();
  EXPECT_EQ(route.version(), 1U) << "nobody need wait any longer";
  EXPECT_EQ(server(),
            "no sentinel says where the master 'mine' is; the last one asked was c:3: it knows no "
            "master 'mine'");
  EXPECT_EQ(own.where(), "a:1");
  begin();
  EXPECT_EQ(server(), "127.0.0.1:7000");
  EXPECT_EQ(route.version(), 2U);
}

TEST_F(SentinelWatchTest, WhatIsNoAnswerBreaksIt) {
  for (const std::string_view bytes :
       {"+OK\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\na\r\n$2\r\n7x\r\n", "*2\r\n$0\r\n\r\n$4\r\n7000\r\n", "-ERR no\r\n",
        "!\r\n"}) {
    begin(bytes);
    EXPECT_TRUE(watch.broken()) << bytes;
    watch.closed({Errc::protocol, "broken"}, now);
    EXPECT_FALSE(route.server()) << bytes;
  }
  begin();
  hear(kAt7001);
  EXPECT_TRUE(watch.broken()) << "nobody has asked";
  EXPECT_EQ(server(), "127.0.0.1:7000");
}

}  // namespace
}  // namespace nearlane::l2
