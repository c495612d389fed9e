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
constexpr std::string_view kNoSuchName = "-ERR No such master with that name\r\n_\r\n";

/// What is asked, and what is answered.
constexpr std::string_view kQuestion =
    "*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n$4\r\nmine\r\n"
    "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$4\r\nmine\r\n";
std::string at(int port, std::string_view epoch) {
  return "%2\r\n$4\r\nname\r\n$4\r\nmine\r\n$12\r\nconfig-epoch\r\n$" +
         std::to_string(epoch.size()) + "\r\n" + std::string(epoch) +
         "\r\n*2\r\n$9\r\n127.0.0.1\r\n$4\r\n" + std::to_string(port) + "\r\n";
}

class SentinelWatchTest : public testing::Test {
 protected:
  std::string take_output() { return std::exchange(watch.output(), {}); }
  void hear(std::string_view bytes) { watch.received(bytes, now); }
  /// From the connection to the first answer.
  void begin(const std::string& answer = at(7000, "3")) {
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
  Sentinels sentinels{route};
  SentinelWatch watch{sentinels, 1};
};

TEST_F(SentinelWatchTest, SubscribesBeforeItAsksAndTellsNoPassword) {
  watch.connected(now);
  EXPECT_EQ(take_output(), "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
  hear(kHello);
  EXPECT_EQ(take_output(),
            "*2\r\n$9\r\nSUBSCRIBE\r\n$14\r\n+switch-master\r\n" + std::string(kQuestion));
  hear(kSubscribed);
  EXPECT_FALSE(watch.ready());
  hear(at(7000, "3"));
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
  hear(at(7000, "3"));
  EXPECT_EQ(server(), "127.0.0.1:7000");
  watch.connected(now);
  hear("-NOAUTH once\r\n");
  hear("-NOAUTH twice\r\n");
  ASSERT_TRUE(watch.broken());
  EXPECT_THAT(watch.broken()->detail, HasSubstr("NOAUTH twice"));
}

TEST_F(SentinelWatchTest, AsksAtOnceWhenItHearsOfASwitch) {
  begin();
  hear(message("another 127.0.0.1 7000 127.0.0.1 7009"));
  hear(message("mine2 127.0.0.1 7000 127.0.0.1 7009"));
  EXPECT_EQ(take_output(), "");
  hear(message("mine 127.0.0.1 7000 127.0.0.1 7001"));
  EXPECT_EQ(take_output(), kQuestion);
  hear(message("mine 127.0.0.1 7001 127.0.0.1 7002"));
  EXPECT_EQ(take_output(), "") << "one question at a time";
  hear(at(7001, "4"));
  EXPECT_EQ(server(), "127.0.0.1:7001");
  EXPECT_EQ(take_output(), kQuestion) << "that answer may be older than the second switch";
  hear(at(7002, "5"));
  EXPECT_EQ(server(), "127.0.0.1:7002");
  EXPECT_EQ(take_output(), "");
}

TEST_F(SentinelWatchTest, TheEpochSaysWhichSentinelIsBelieved) {
  begin();
  sentinels.tell(0, 4, {"127.0.0.1", "7001"}, now);
  EXPECT_EQ(server(), "127.0.0.1:7001");
  pass(1s);
  hear(at(7000, "3"));
  EXPECT_EQ(server(), "127.0.0.1:7001");
  pass(1s);
  hear(at(7002, "5"));
  EXPECT_EQ(server(), "127.0.0.1:7002");
}

TEST_F(SentinelWatchTest, OneThatTellsNoEpochStillSaysWhere) {
  constexpr std::string_view kAddress = "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7000\r\n";
  for (const std::string_view refused :
       {"-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n", "+OK\r\n",
        "%1\r\n$12\r\nconfig-epoch\r\n$2\r\n-7\r\n", "*1\r\n$12\r\nconfig-epoch\r\n"}) {
    begin();  // with an epoch, which must be forgotten
    pass(1s);
    hear(std::string(refused) + std::string(kAddress));
    EXPECT_TRUE(watch.ready()) << refused;
    EXPECT_EQ(server(), "127.0.0.1:7000");
    sentinels.tell(0, 1, {"127.0.0.1", "7001"}, now);
    EXPECT_EQ(server(), "127.0.0.1:7001") << "its epoch is 0: " << refused;
    pass(11s);
  }
}

TEST_F(SentinelWatchTest, OneThatRefusesItsMessagesIsAsked) {
  watch.connected(now);
  hear(kHello);
  hear("-NOPERM this user has no permissions to access one of the channels used as arguments\r\n");
  EXPECT_FALSE(watch.ready());
  hear(at(7000, "3"));
  EXPECT_TRUE(watch.ready());
  EXPECT_EQ(server(), "127.0.0.1:7000");
}

TEST_F(SentinelWatchTest, AsksOnceASecondAndSoonerWhereSomebodyDoubts) {
  begin();
  pass(900ms);
  EXPECT_EQ(take_output(), "");
  pass(100ms);
  EXPECT_EQ(take_output(), kQuestion);
  hear(at(7000, "3"));
  route.doubt();
  pass(40ms);
  EXPECT_EQ(take_output(), "") << "all connections doubt at once";
  (void)sentinels.doubts();
  pass(10ms);
  EXPECT_EQ(take_output(), kQuestion) << "that another sentinel was asked answers nothing here";
  hear(at(7001, "4"));
  EXPECT_EQ(server(), "127.0.0.1:7001");
  pass(60ms);
  EXPECT_EQ(take_output(), "") << "the doubt was answered";
}

TEST_F(SentinelWatchTest, LeavesASentinelThatIsSilent) {
  begin();
  pass(1s);
  hear("%0\r\n");
  pass(990ms);
  EXPECT_FALSE(watch.broken());
  pass(10ms);
  give_up();
  EXPECT_FALSE(watch.ready());
  EXPECT_EQ(server(), "127.0.0.1:7000") << "what was known is believed";
  EXPECT_EQ(route.version(), 1U);
  begin(at(7001, "4"));
  EXPECT_EQ(server(), "127.0.0.1:7001") << "of what it was asked before nothing is awaited";
}

TEST_F(SentinelWatchTest, SaysWhyItIsOfNoUse) {
  for (const std::size_t other : {0U, 2U}) sentinels.give_up(other, "gone");
  begin(std::string(kNoSuchName));
  ASSERT_TRUE(watch.broken());
  EXPECT_EQ(watch.broken()->detail, "it knows no master 'mine'");
  EXPECT_EQ(route.version(), 0U);
  give_up();
  EXPECT_THAT(server(), HasSubstr("the last one asked was b:2: it knows no master 'mine'"));
}

TEST_F(SentinelWatchTest, WhatIsNoAnswerBreaksIt) {
  for (const std::string_view address :
       {"+OK\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\na\r\n$2\r\n7x\r\n", "*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n7000\r\n", "-ERR no\r\n", "!\r\n"}) {
    begin("%0\r\n" + std::string(address));
    EXPECT_TRUE(watch.broken()) << address;
    watch.closed({Errc::protocol, "broken"}, now);
    EXPECT_FALSE(route.server()) << address;
  }
  begin();
  hear(at(7001, "9"));
  EXPECT_TRUE(watch.broken()) << "nobody has asked";
  EXPECT_EQ(server(), "127.0.0.1:7000");
}

}  // namespace
}  // namespace nearlane::l2
