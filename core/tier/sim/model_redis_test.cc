// The model does what was measured on Redis 7.0 (docs/coherence.md). That it goes on doing what
// redis-server does is checked by harness/check/model_redis_live_test.cc.
#include "core/tier/sim/model_redis.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "core/protocol/writer.h"

namespace nearlane::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kPushOfA = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
constexpr std::string_view kNullPush = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

class ModelRedisTest : public testing::Test {
 protected:
  ModelRedisTest() : ours(redis.connect()) {
    say("HELLO", "3");
    say("CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP");
  }
  template <class... Words>
  std::string say(const Words&... words) {
    std::string bytes;
    protocol::append_command(bytes, {std::string_view(words)...});
    redis.receive(ours, bytes, now);
    return heard();
  }
  std::string heard() { return std::exchange(redis.output(ours), {}); }
  void foreign_set(std::string_view version) { redis.execute(0, {"SET", "a", version}, now); }
  void read() {
    say("CLIENT", "CACHING", "YES");
    say("GET", "a");
  }

  TimePoint now{std::chrono::seconds(1)};
  History history;
  ModelRedis redis{history, {{0, "a"}, {1, "a"}}, ModelRedis::Form::proper};
  ModelRedis::Client ours;
};

TEST_F(ModelRedisTest, AnnouncesOnceWhatWasReadWithCaching) {
  read();
  foreign_set("1");  // E24: there was no such key
  EXPECT_EQ(heard(), kPushOfA);
  foreign_set("2");
  EXPECT_EQ(heard(), "");
}

TEST_F(ModelRedisTest, AnnouncesNothingThatWasReadWithoutCaching) {
  say("GET", "a");
  foreign_set("1");
  EXPECT_EQ(heard(), "");
}

TEST_F(ModelRedisTest, LetsSelectConsumeCaching) {
  say("CLIENT", "CACHING", "YES");
  say("SELECT", "0");
  say("GET", "a");
  foreign_set("1");
  EXPECT_EQ(heard(), "");
}

TEST_F(ModelRedisTest, ForgetsAfterABareWriteOfOnesOwn) {  // E1, E28
  read();
  EXPECT_EQ(say("SET", "a", "1"), "+OK\r\n");
  foreign_set("2");
  EXPECT_EQ(heard(), "");
  read();
  EXPECT_EQ(say("PEXPIRE", "a", "9000"), ":1\r\n");
  foreign_set("3");
  EXPECT_EQ(heard(), "");
}

TEST_F(ModelRedisTest, RegistersAgainInATransaction) {  // E3
  say("CLIENT", "CACHING", "YES");
  say("MULTI");
  say("SET", "a", "1", "PX", "500");
  EXPECT_EQ(say("PTTL", "a"), "+QUEUED\r\n");
  EXPECT_EQ(say("EXEC"), "*2\r\n+OK\r\n:500\r\n");
  foreign_set("2");
  EXPECT_EQ(heard(), kPushOfA);
}

TEST_F(ModelRedisTest, PutsThePushBeforeLaterReplies) {  // E4
  read();
  foreign_set("1");
  std::string ping;
  protocol::append_command(ping, {"PING"});
  redis.receive(ours, ping, now);
  EXPECT_EQ(heard(), std::string(kPushOfA) + "+PONG\r\n");
}

TEST_F(ModelRedisTest, DoesNotSayInWhichDatabase) {  // E12b
  say("SELECT", "1");
  read();
  redis.execute(1, {"SET", "a", "1"}, now);
  EXPECT_EQ(heard(), kPushOfA);
}

TEST_F(ModelRedisTest, AnnouncesAnEndUnlessOursFoundIt) {  // E16, E25
  redis.execute(0, {"SET", "a", "1", "PX", "10"}, now);
  read();
  now += milliseconds(10);
  redis.expire_due(now);
  EXPECT_EQ(heard(), "") << "its last millisecond is not over";
  now += milliseconds(1);
  redis.expire_due(now);
  EXPECT_EQ(heard(), kPushOfA);

  redis.execute(0, {"SET", "a", "2", "PX", "10"}, now);
  read();
  now += milliseconds(11);
  EXPECT_EQ(say("PTTL", "a"), ":-2\r\n");
  foreign_set("3");
  EXPECT_EQ(heard(), "") << "the registration went with the end that we found";
}

TEST_F(ModelRedisTest, AnnouncesAFlushToEverybodyWithoutNames) {  // E7
  read();
  redis.execute(0, {"FLUSHALL", "#1"}, now);
  EXPECT_EQ(heard(), kNullPush);
}

TEST_F(ModelRedisTest, RefusesWritesOnceItIsAReplica) {
  redis.demote();
  EXPECT_EQ(say("SET", "a", "1").substr(0, 9), "-READONLY");
  say("MULTI");
  EXPECT_EQ(say("SET", "a", "1").substr(0, 9), "-READONLY");
  EXPECT_EQ(say("EXEC").substr(0, 10), "-EXECABORT");
  EXPECT_NE(say("INFO", "replication").find("role:slave"), std::string::npos);
}

TEST_F(ModelRedisTest, LosesTheLastWriteInAFailoverThatLosesOne) {
  foreign_set("1");
  foreign_set("2");
  redis.fail_over(false, now);
  EXPECT_EQ(redis.value_of(0, now), 1);
  EXPECT_EQ(history.last_place(0), 3) << "what came back is a change of its own";
  EXPECT_FALSE(history.may_serve(0, 2, now + milliseconds(60), milliseconds(50), 0));
}

}  // namespace
}  // namespace nearlane::sim
