// Commands that Nearlane does not know itself, over a real instance and a real redis-server: the replies are Redis's
// own, and what they write is seen by the next read, wherever that is answered.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/relay_fixture.h"
#include "harness/topology/fault_proxy.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

using RelayLive = RelayFixture;
using testing::AllOf;
using testing::Ge;
using testing::Le;

TEST_F(RelayLive, EveryReplyIsRedissOwnByteForByte) {
  start();
  auto plain = RedisServer::start().value();
  const std::vector<std::string> commands = {
      "HSET h a 1 b 2",
      "HGETALL h",
      "HGET h a",
      "HGET h none",
      "HINCRBYFLOAT h a 1.5",
      "HRANDFIELD none",
      "HMGET h a none b",
      "RPUSH l x y z",
      "LRANGE l 0 -1",
      "LPOP l 2",
      "LPOP none",
      "LPOP none 2",
      "LPOS l z",
      "SADD s m",
      "SMEMBERS s",
      "SISMEMBER s m",
      "SMISMEMBER s m n",
      "ZADD z 1.5 a 2 b",
      "ZRANGE z 0 -1 WITHSCORES",
      "ZSCORE z a",
      "ZSCORE z none",
      "ZADD z INCR 0.25 a",
      "ZRANGEBYSCORE z -inf +inf",
      "ZPOPMIN z",
      "ZRANDMEMBER none",
      "ZMSCORE z a b",
      "GEOADD g 13.36 38.11 p",
      "GEOPOS g p none",
      "PFADD hll a b",
      "PFCOUNT hll",
      "XADD st 1-1 f v",
      "XRANGE st - +",
      "XLEN st",
      "XREAD COUNT 1 STREAMS st 0",
      "XREAD STREAMS st 9",
      "XINFO STREAM st",
      "SETBIT bits 3 1",
      "GETBIT bits 3",
      "BITFIELD bits GET u4 0",
      "BITCOUNT bits",
      "SET k v",
      "COPY k k2",
      "GET k2",
      "RENAME k2 k3",
      "RENAME none x",
      "OBJECT ENCODING k",
      "OBJECT HELP",
      "SORT l",
      "DUMP none",
      "LCS k k3",
      "EVAL \"return {1,'a',{2,false},redis.status_reply('fine')}\" 0",
      "EVAL \"return redis.call('get',KEYS[1])\" 1 k",
      "EVAL \"return redis.error_reply('MINE no')\" 0",
      "EVAL broken( 0",
      "EVAL \"redis.setresp(3); return redis.call('hgetall','h')\" 0",
      "EVAL \"return 3.99\" 0",
      "SCRIPT EXISTS abc",
      "EVALSHA abc 0",
      "FUNCTION LIST",
      "LOLWUT VERSION x",
      "HSET",
      "HSET h a",
      "HSET k a 1",
      "LPUSH h x",
      "NOSUCH",
      "NOSUCH a b",
      "XGROUP CREATE st g $",
      "XREADGROUP GROUP g c COUNT 1 STREAMS st >",
      "SCAN 0 COUNT 1000 TYPE hash",
      "DISCARD",
      "EXEC",
      "UNWATCH",
      "PUBLISH nobody hears",
      "PUBSUB CHANNELS",
      "CONFIG GET maxmemory-policy",
      "CONFIG SET maxmemory-samples 6",
      "COMMAND COUNT",
      "COMMAND INFO get",
      "DEBUG SLEEP",
      "MOVE k3 2",
      "LATENCY HISTORY none",
      "SPUBLISH ch m",
      "ACL WHOAMI",
      "MEMORY USAGE none",
      "CLUSTER INFO",
      "INFO nope",
      "CLIENT LIST ID 99999",
      "CLIENT HELP"};
  for (const char* version : {"2", "3"}) {
    auto [ours, theirs] = both(plain, version);
    ask(ours, "SELECT 1");
    ask(theirs, "SELECT 1");
    for (const std::string& command : commands)
      EXPECT_EQ(ask(ours, command), ask(theirs, command)) << command << ", RESP" << version;
  }
}

TEST_F(RelayLive, RepliesComeInTheOrderOfTheCommands) {
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(
      "SET a 1\r\nSADD s 1\r\nGET a\r\nSPOP s\r\nPING\r\nHSET h f 2\r\nHGET h f\r\n"
      "MULTI\r\nSET a 2\r\nGET a\r\nPING\r\nEXEC\r\nGET a\r\nMULTI\r\nDISCARD\r\nPING\r\n"));
  for (const char* expected :
       {"+OK\r\n", ":1\r\n", "$1\r\n1\r\n", "$1\r\n1\r\n", "+PONG\r\n", ":1\r\n", "$1\r\n2\r\n",
        "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*3\r\n+OK\r\n$1\r\n2\r\n+PONG\r\n",
        "$1\r\n2\r\n", "+OK\r\n", "+OK\r\n", "+PONG\r\n"}) {
    EXPECT_EQ(client.read(kPatience).value().bytes, expected);
  }
}

TEST_F(RelayLive, WhatARelayedCommandWroteIsSeenByTheNextReadOfAnybody) {
  start();
  auto writer = connect();
  auto reader = connect();
  const auto expect = [&](const std::string& write, const std::string& value) {
    // Hot in L1, which would serve it for half a minute.
    ask(reader, "GET k");
    ask(reader, "GET k");
    ask(writer, write);
    const std::string bulk =
        value.empty() ? "$-1\r\n" : "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
    ASSERT_EQ(ask(reader, "GET k"), bulk) << write;
  };
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    expect("EVAL \"return redis.call('set',KEYS[1],ARGV[1])\" 1 k script" + n, "script" + n);
    expect("EVAL \"return redis.call('set','k',ARGV[1])\" 0 hidden" + n, "hidden" + n);
    ask(writer, "SET other o" + n);
    expect("COPY other k REPLACE", "o" + n);
    expect("RENAME other k", "o" + n);
    ask(writer, "MULTI");
    ask(writer, "SET k in" + n);
    expect("EXEC", "in" + n);
    ask(writer, "SETBIT k 0 0");
    expect("LMOVE none none LEFT LEFT", "in" + n);
  }
  expect("GETDEL k", "");
}

TEST_F(RelayLive, WhatSpeaksOfOtherConnectionsIsRefused) {
  start();
  auto client = connect();
  for (const char* command : {"pause", "unpause", "unblock"}) {
    EXPECT_EQ(ask(client, std::string("CLIENT ") + command + " 7"),
              std::string("-ERR nearlane: 'client|") + command +
                  "' is not relayed: to Redis the connections of clients are others\r\n");
  }
  EXPECT_EQ(ask(client, "CLIENT TRACKING ON BCAST REDIRECT 7"),
            "-ERR nearlane: CLIENT TRACKING is not relayed with REDIRECT: to Redis the connections "
            "of clients are others\r\n");
  EXPECT_EQ(ask(client, "SET k v"), "+OK\r\n");
}

TEST_F(RelayLive, WhatIsPipelinedBehindARelayedCommandGoesByItsAnswer) {
  start();
  auto client = connect();
  const auto expect = [&](const std::string& sent, const std::vector<std::string>& answers) {
    ASSERT_TRUE(client.send(sent));
    for (const auto& answer : answers)
      EXPECT_EQ(client.read(kPatience).value().bytes, answer) << sent;
  };
  expect("MULTI\r\nPING\r\nEXEC\r\nSELECT 1\r\nSET k one\r\n",
         {"+OK\r\n", "+QUEUED\r\n", "*1\r\n+PONG\r\n", "+OK\r\n", "+OK\r\n"});
  EXPECT_EQ(direct("GET k"), "$-1\r\n") << "it is the other database's";
  expect(
      "WATCH k\r\nEXEC\r\nMULTI\r\nGET k\r\nEXEC\r\n",
      {"+OK\r\n", "-ERR EXEC without MULTI\r\n", "+OK\r\n", "+QUEUED\r\n", "*1\r\n$3\r\none\r\n"});
  expect("SADD s a\r\nPING\r\nRESET\r\nGET k\r\n",
         {":1\r\n", "+PONG\r\n", "+RESET\r\n", "$-1\r\n"});
}

TEST_F(RelayLive, WhatIsSentTogetherTakesFewRoundTrips) {
  auto proxy = FaultProxy::start(redis.endpoint()).value();
  start({}, "redis://" + proxy.endpoint().to_string());
  auto client = connect();
  ASSERT_EQ(ask(client, "SADD warm 1"), ":1\r\n");
  constexpr int kTogether = 200;
  constexpr Duration kRoad = 50ms;
  proxy.delay(Way::to_client, kRoad);
  std::string commands = "MULTI\r\n";
  for (int i = 0; i < kTogether; ++i) commands += "RPUSH list " + std::to_string(i) + "\r\n";
  commands += "EXEC\r\n";
  for (int i = 0; i < kTogether; ++i) commands += "LPOP list\r\n";
  commands += "GET list\r\n";
  const TimePoint sent = Clock::now();
  ASSERT_TRUE(client.send(commands));
  EXPECT_EQ(client.read(kPatience).value().bytes, "+OK\r\n");
  for (int i = 0; i < kTogether; ++i)
    ASSERT_EQ(client.read(kPatience).value().bytes, "+QUEUED\r\n");
  ASSERT_EQ(client.read(kPatience).value().reply.elements.size(), std::size_t{kTogether});
  for (int i = 0; i < kTogether; ++i)
    ASSERT_EQ(client.read(kPatience).value().reply.text, std::to_string(i));
  EXPECT_EQ(client.read(kPatience).value().bytes, "$-1\r\n") << "after all of them";
  EXPECT_GE(Clock::now() - sent, 5 * kRoad);
  EXPECT_LT(Clock::now() - sent, kTogether * kRoad) << "one by one it is twice as long";
}

TEST_F(RelayLive, ScriptsThatComeTogetherAreAnsweredEachBeforeTheNextBegins) {
  start();
  auto client = connect();
  // What they write nobody has named, so each answer waits for what a busy Redis tells the lanes.
  const auto script = [](int ms) {
    return "EVAL \"local t=redis.call('TIME') local e=t[1]*1000000+t[2]+" + std::to_string(ms) +
           "*1000 repeat t=redis.call('TIME') until t[1]*1000000+t[2]>e return 1\" 0\r\n";
  };
  ASSERT_TRUE(client.send(script(50)));
  std::this_thread::sleep_for(10ms);
  ASSERT_TRUE(client.send(script(1000) + script(1)));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.read(kPatience).value().bytes, ":1\r\n") << i;
}

TEST_F(RelayLive, ManyRefusalsBehindACommandUnderWayAreAllAnswered) {
  auto proxy = FaultProxy::start(redis.endpoint()).value();
  start({}, "redis://" + proxy.endpoint().to_string());
  auto client = connect();
  proxy.delay(Way::to_client, 300ms);  // and so the connection that speaks for it
  constexpr int kRefused = 20'000;
  std::string commands = "RPUSH list a\r\n";
  for (int i = 0; i < kRefused; ++i) commands += "SWAPDB 0 1\r\n";
  ASSERT_TRUE(client.send(commands));
  EXPECT_EQ(client.read(kPatience).value().bytes, ":1\r\n");
  for (int i = 0; i < kRefused; ++i)
    ASSERT_TRUE(client.read(kPatience).value().reply.is_error()) << i;
}

TEST_F(RelayLive, AKilledClientIsHungUpOnThoughItWaits) {
  start();
  auto waiting = connect();
  auto other = connect();
  const std::string id = ask(waiting, "CLIENT ID").substr(1);
  const std::string kill = "CLIENT KILL ID " + id.substr(0, id.find('\r'));
  ASSERT_TRUE(waiting.send("BLPOP none 0\r\n"));
  ASSERT_TRUE(soon([&] { return direct("CLIENT LIST").find("cmd=blpop") != std::string::npos; }));
  EXPECT_EQ(ask(other, kill), ":1\r\n");
  const auto end = waiting.read(kPatience);
  ASSERT_FALSE(end);
  EXPECT_NE(end.error().code, Errc::timeout);
  EXPECT_EQ(ask(other, kill), ":0\r\n");
  EXPECT_TRUE(soon([&] { return direct("CLIENT LIST").find("cmd=blpop") == std::string::npos; }));
}

TEST_F(RelayLive, WhatCameBeforeACommandThatWaitsIsExecutedThoughItsClientLeaves) {
  start();
  for (int i = 1; i <= 10; ++i) {
    auto client = connect();
    ASSERT_TRUE(client.send("RPUSH list a\r\nBLPOP nothing 0\r\n"));
    client.finish_sending();
    EXPECT_EQ(client.read(kPatience).value().bytes, ":" + std::to_string(i) + "\r\n");
  }
}

TEST_F(RelayLive, RedisIsNotAskedForLargeAnswersLongBeforeTheyAreTaken) {
  start();
  auto client = connect();
  constexpr std::size_t kBytes = 2'000'000;
  constexpr int kTogether = 50;
  constexpr std::uint64_t kInSockets = 12;
  direct("SETRANGE large " + std::to_string(kBytes - 1) + " x");
  direct("EVAL \"return redis.call('rpush','list',redis.call('get','large'))\" 2 list large");
  // By now small answers have let the number grow that may be under way.
  for (int i = 0; i < 10; ++i) ask(client, "LLEN list");
  std::string commands;
  for (int i = 0; i < kTogether; ++i) commands += "LINDEX list 0\r\n";
  ASSERT_TRUE(client.send(commands));
  for (int i = 0; i < kTogether; ++i) {
    const auto reply = client.read(kPatience);
    ASSERT_TRUE(reply) << i << ": " << reply.error().detail;
    ASSERT_EQ(reply->reply.text.size(), kBytes);
    const auto asked = redis.client().calls("lindex");
    ASSERT_TRUE(asked);
    // Once it is known that they are large one is asked for at a time. Others lie in sockets, of which a kernel lets the two ends
    // grow to ten megabytes or more.
    if (i > 20) {
      EXPECT_LE(*asked, static_cast<std::uint64_t>(i) + kInSockets);
    }
  }
}

TEST_F(RelayLive, RedisSaysWhichDatabasesThereAre) {
  redis = RedisServer::start({.config = {"--databases", "24"}}).value();
  start({}, redis.url() + "/20");
  auto client = connect();
  EXPECT_EQ(ask(client, "SET k default"), "+OK\r\n");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(ask(client, "SELECT 20"), "+OK\r\n");
    EXPECT_EQ(ask(client, "GET k"), "$7\r\ndefault\r\n");
    EXPECT_EQ(ask(client, "SELECT 23"), "+OK\r\n");
    EXPECT_EQ(ask(client, "SET k last"), "+OK\r\n");
    EXPECT_EQ(ask(client, "SELECT 24"), "-ERR DB index is out of range\r\n");
    EXPECT_EQ(ask(client, "SELECT 64"), "-ERR DB index is out of range\r\n");
    EXPECT_EQ(ask(client, "GET k"), "$4\r\nlast\r\n") << "as if nothing had been said";
    EXPECT_EQ(ask(client, "APPEND k !"), ":5\r\n");
    EXPECT_TRUE(ask(client, "SADD s " + std::to_string(round)).starts_with(":1"));
  }
  EXPECT_THAT(relays(), AllOf(Ge(0), Le(2))) << "a database that is not there costs no connection";
  auto other = connect();
  ASSERT_TRUE(other.send("SELECT 22\r\nSET k mine\r\nSELECT 0\r\nGET k\r\nSELECT 22\r\nGET k\r\n"));
  for (const char* reply :
       {"+OK\r\n", "+OK\r\n", "+OK\r\n", "$-1\r\n", "+OK\r\n", "$4\r\nmine\r\n"})
    EXPECT_EQ(other.read(kPatience).value().bytes, reply);
}

TEST_F(RelayLive, ADatabaseCanBeSelectedWhileRedisIsGone) {
  start();
  auto client = connect();
  redis.kill();
  EXPECT_EQ(ask(client, "SELECT 3"), "+OK\r\n") << "the next command says what there is to say";
  EXPECT_TRUE(ask(client, "INCR k").starts_with("-ERR nearlane: "));
}

TEST_F(RelayLive, ADatabaseCanBeSelectedWhileRedisHangs) {
  start();
  auto client = connect();
  ASSERT_TRUE(redis.stall());
  const TimePoint asked = Clock::now();
  EXPECT_EQ(ask(client, "SELECT 3"), "+OK\r\n");
  EXPECT_LT(Clock::now() - asked, std::chrono::seconds(5)) << "no longer than L2 may take";
  ASSERT_TRUE(redis.resume());
}

TEST_F(RelayLive, WhoWaitsIsWokenAndWhoHasLeftTakesNothing) {
  start();
  auto waiting = connect();
  ASSERT_TRUE(waiting.send("BLPOP q 0\r\n"));
  const auto blocked = [&](int count) {
    return soon([&] {
      return direct("INFO clients").find("blocked_clients:" + std::to_string(count)) !=
             std::string::npos;
    });
  };
  ASSERT_TRUE(blocked(1));
  direct("RPUSH q first");
  EXPECT_EQ(waiting.read(kPatience).value().bytes, "*2\r\n$1\r\nq\r\n$5\r\nfirst\r\n");
  for (const char* sent : {"BLPOP q 0\r\n", "BLPOP q 0\r\nGET behind\r\nPING\r\n"}) {
    {
      auto leaving = connect();
      ASSERT_TRUE(leaving.send(sent));
      ASSERT_TRUE(blocked(1));
    }
    ASSERT_TRUE(blocked(0)) << sent;
  }
  ASSERT_TRUE(blocked(0));
  EXPECT_EQ(direct("RPUSH q second"), ":1\r\n");
  EXPECT_EQ(direct("LLEN q"), ":1\r\n") << "nobody took it";
}

TEST_F(RelayLive, ADrainDoesNotWaitForWhoMayWaitForEver) {
  start();
  auto client = connect();
  ASSERT_TRUE(client.send("BLPOP q 0\r\n"));
  ASSERT_TRUE(
      soon([&] { return direct("INFO clients").find("blocked_clients:1") != std::string::npos; }));
  const TimePoint begun = Clock::now();
  ASSERT_TRUE(nearlane->drain(kPatience));
  EXPECT_LT(Clock::now() - begun, 8s) << "a drain that is cut short takes ten";
}

TEST_F(RelayLive, OnlySoManyConnectionsSpeakForClients) {
  start({"--max-relays", "2"});
  auto one = connect();
  auto two = connect();
  auto three = connect();
  ASSERT_EQ(ask(one, "MULTI"), "+OK\r\n");
  // The one that asks for COMMAND is idle by then, and serves.
  ASSERT_TRUE(soon([&] { return ask(two, "SADD warm x").starts_with(":"); }));
  ASSERT_EQ(ask(two, "WATCH k"), "+OK\r\n");
  EXPECT_EQ(ask(three, "SADD s a"),
            "-ERR nearlane: a cap is reached; nothing was sent: no more connections to Redis may "
            "speak for "
            "clients (--max-relays)\r\n");
  EXPECT_EQ(ask(three, "SET k v"), "+OK\r\n") << "what L1 and the lanes serve needs none";
  ask(one, "DISCARD");
  EXPECT_EQ(ask(three, "SADD s a"), ":1\r\n");
}

TEST_F(RelayLive, ManyClientsShareAFewConnections) {
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(ask(clients.back(), "SADD s a").starts_with(":"));
  }
  EXPECT_THAT(relays(), AllOf(Ge(0), Le(2)));
}

TEST_F(RelayLive, SaysSoWhenRedisIsGone) {
  start();
  auto client = connect();
  ask(client, "SADD s a");
  redis.kill();
  EXPECT_TRUE(ask(client, "SADD s b").starts_with("-ERR nearlane: ")) << "lost, or refused";
  EXPECT_TRUE(soon([&] {
    return ask(client, "SADD s b")
        .starts_with("-ERR nearlane: L2 cannot be reached; nothing was sent: ");
  }));
  ASSERT_TRUE(redis.restart());
  EXPECT_TRUE(soon([&] { return ask(client, "SADD s c") == ":1\r\n"; }));
}

}  // namespace
}  // namespace nearlane::harness
