// Commands that Nearlane does not know itself, over a real instance and a real redis-server: the replies are Redis's
// own, and what they write is seen by the next read, wherever that is answered.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/eventually.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kLanes = 4;
constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong

class RelayLive : public testing::Test {
 protected:
  /// With a lease so long that L1 serves whatever it is not told to forget.
  void start(std::vector<std::string> flags = {}, const std::string& l2 = {}) {
    std::vector<std::string> all{"--threads", "1",      "--lease",
                                 "30s",       "--pool", std::to_string(kLanes)};
    all.insert(all.end(), flags.begin(), flags.end());
    auto started = Instance::start({.l2 = l2.empty() ? redis.url() : l2, .flags = std::move(all)});
    if (!started) throw std::runtime_error(started.error().detail);
    nearlane.emplace(std::move(*started));
    const auto up = nearlane->lanes_up_within(kLanes, kPatience);
    if (!up) throw std::runtime_error(up.error().detail);
  }
  [[nodiscard]] RawClient connect() const { return RawClient::connect(nearlane->resp()).value(); }

  template <class Condition>
  static bool soon(Condition&& condition) {
    return eventually(std::forward<Condition>(condition), kPatience);
  }
  static std::string ask(RawClient& client, const std::string& inline_command) {
    EXPECT_TRUE(client.send(inline_command + "\r\n"));
    const auto reply = client.read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// Of Redis itself, without Nearlane between.
  std::string direct(const std::string& inline_command) {
    auto client = RawClient::connect(redis.endpoint()).value();
    return ask(client, inline_command);
  }
  /// Connections by which Nearlane speaks for clients, as Redis sees them; -1: it does not say.
  long relays() {
    const std::string list = direct("CLIENT LIST");
    long count = 0;
    for (auto at = list.find("name=nearlane-relay"); at != std::string::npos;
         at = list.find("name=nearlane-relay", at + 1))
      ++count;
    return count;
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
};

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
    direct("FLUSHALL");
    auto ours = connect();
    auto theirs = RawClient::connect(plain.endpoint()).value();
    ask(theirs, "FLUSHALL");
    ask(ours, std::string("HELLO ") + version);
    ask(theirs, std::string("HELLO ") + version);
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

TEST_F(RelayLive, ATransactionSeesWhatItsWatchGuards) {
  start();
  auto client = connect();
  ask(client, "SET k old");
  ask(client, "GET k");
  ASSERT_EQ(ask(client, "WATCH k"), "+OK\r\n");
  const auto reads = [&] { return direct("INFO commandstats"); };
  const std::string before = reads();
  ASSERT_EQ(ask(client, "GET k"), "$3\r\nold\r\n");
  EXPECT_NE(reads(), before) << "it is Redis that has answered";
  direct("SET k theirs");
  ask(client, "MULTI");
  ask(client, "SET k ours");
  EXPECT_EQ(ask(client, "EXEC"), "*-1\r\n");
  ASSERT_TRUE(soon([&] { return ask(client, "GET k") == "$6\r\ntheirs\r\n"; }));
  // And where nobody came between.
  ask(client, "WATCH k");
  ask(client, "MULTI");
  ask(client, "SET k ours");
  EXPECT_EQ(ask(client, "EXEC"), "*1\r\n+OK\r\n");
  EXPECT_EQ(ask(client, "GET k"), "$4\r\nours\r\n");
  ask(client, "WATCH k");
  EXPECT_EQ(ask(client, "RESET"), "+RESET\r\n");
  EXPECT_EQ(ask(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
}

TEST_F(RelayLive, ExecExecutesWhatIsTheConnectionsOwnInItsPlace) {
  start();
  auto plain = RedisServer::start().value();
  const std::vector<std::string> commands = {
      "SET k zero", "MULTI", "CLIENT GETNAME", "SET k one", "CLIENT SETNAME me", "SELECT 2",
      "SET k two", "AUTH x", "GET k", "SELECT 99", "SELECT x", "LPUSH k x", "CLIENT GETNAME",
      "CLIENT SETNAME \"not me\"", "EXEC", "GET k", "APPEND k !", "SADD s member", "CLIENT GETNAME",
      "SELECT 0", "GET k",
      // Nothing of it happens.
      "MULTI", "SELECT 3", "CLIENT SETNAME other", "SET k three", "DISCARD", "GET k",
      "CLIENT GETNAME", "MULTI", "CLIENT SETNAME other", "CLIENT NOPE", "EXEC", "MULTI", "SELECT 3",
      "CLIENT SETNAME", "SELECT", "EXEC", "EXEC", "CLIENT GETNAME", "GET k",
      // No more than is Redis's, or than is ours.
      "MULTI", "SELECT 2", "EXEC", "GET k", "MULTI", "CLIENT GETNAME", "EXEC", "MULTI", "EXEC",
      "WATCH k", "SET k changed", "MULTI", "SELECT 0", "CLIENT SETNAME other", "EXEC", "GET k",
      "CLIENT GETNAME", "MULTI", "CLIENT TRACKINGINFO", "CLIENT GETREDIR", "EXEC"};
  for (const char* version : {"2", "3"}) {
    direct("FLUSHALL");
    auto ours = connect();
    auto theirs = RawClient::connect(plain.endpoint()).value();
    ask(theirs, "FLUSHALL");
    ask(ours, std::string("HELLO ") + version);
    ask(theirs, std::string("HELLO ") + version);
    for (const std::string& command : commands)
      EXPECT_EQ(ask(ours, command), ask(theirs, command)) << command << ", RESP" << version;
    std::string together;
    for (const std::string& command : commands) together += command + "\r\n";
    ask(ours, "SELECT 0");
    ask(theirs, "SELECT 0");
    ASSERT_TRUE(ours.send(together));
    ASSERT_TRUE(theirs.send(together));
    for (const std::string& command : commands) {
      EXPECT_EQ(ours.read(kPatience).value().bytes, theirs.read(kPatience).value().bytes)
          << command << ", together, RESP" << version;
    }
  }
}

TEST_F(RelayLive, InfoInsideATransactionIsOurs) {
  start();
  auto client = connect();
  ask(client, "MULTI");
  ask(client, "INFO nearlane");
  ask(client, "HELLO");
  ASSERT_TRUE(client.send("EXEC\r\n"));
  const auto replies = client.read(kPatience).value().reply.elements;
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_NE(replies[0].text.find("l2_lanes_up"), std::string::npos);
  EXPECT_EQ(replies[1].elements.size(), 14U);
}

TEST_F(RelayLive, WhatATransactionWritesInAnotherDatabaseIsSeenByTheNextReadOfAnybody) {
  start();
  auto writer = connect();
  auto reader = connect();
  ask(reader, "SELECT 2");
  for (int i = 0; i < 50; ++i) {
    const std::string value = std::to_string(10 + i);
    ask(reader, "GET k");
    ask(reader, "GET k");
    ASSERT_TRUE(writer.send("MULTI\r\nSELECT 2\r\nSET k " + value + "\r\nSELECT 0\r\nEXEC\r\n"));
    for (int reply = 0; reply < 5; ++reply) ASSERT_TRUE(writer.read(kPatience)) << reply;
    ASSERT_EQ(ask(reader, "GET k"), "$2\r\n" + value + "\r\n");
  }
  EXPECT_EQ(ask(writer, "GET k"), "$-1\r\n");
}

TEST_F(RelayLive, WhatIsRefusedInsideATransactionSpoilsIt) {
  start();
  auto client = connect();
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"SUBSCRIBE c", "'subscribe' is not served inside MULTI"},
      {"CLIENT TRACKING ON", "'client|tracking' is not served inside MULTI"},
      {"CLIENT REPLY OFF", "'client|reply' is not served inside MULTI"},
      {"HELLO 3", "HELLO cannot change the protocol inside MULTI"},
      {"SWAPDB 0 1", "SWAPDB is refused: Redis announces to nobody what it exchanges"},
      {"WAIT 0 1", "'wait' is not relayed: it speaks of what its own connection wrote"},
      {"SYNC", "'sync' is not relayed: what follows it are no replies"},
      {"CLIENT SETNAME " + std::string(60'000, 'x'), {}},
  };
  for (const auto& [command, why] : refused) {
    ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
    if (why.empty()) {
      for (int i = 0; i < 17; ++i) ASSERT_EQ(ask(client, command), "+QUEUED\r\n") << i;
      EXPECT_EQ(
          ask(client, command),
          "-ERR nearlane: more than 128, or 1 MiB, of commands of the connection's own inside "
          "MULTI\r\n");
    } else {
      EXPECT_EQ(ask(client, command), "-ERR nearlane: " + why + "\r\n");
    }
    ask(client, "SET spoiled 1");
    EXPECT_EQ(ask(client, "EXEC"),
              "-EXECABORT Transaction discarded because of previous errors.\r\n")
        << command.substr(0, 20);
    EXPECT_EQ(ask(client, "GET spoiled"), "$-1\r\n");
    EXPECT_EQ(ask(client, "EXEC"), "-ERR EXEC without MULTI\r\n");
  }
}

TEST_F(RelayLive, OnlySoManyCommandsOfTheConnectionsOwnAreQueued) {
  start();
  auto client = connect();
  constexpr const char* kTooMany =
      "-ERR nearlane: more than 128, or 1 MiB, of commands of the connection's own inside "
      "MULTI\r\n";
  ask(client, "MULTI");
  for (int i = 0; i < 128; ++i) ASSERT_EQ(ask(client, "CLIENT ID"), "+QUEUED\r\n") << i;
  EXPECT_EQ(ask(client, "CLIENT ID"), kTooMany);
  EXPECT_TRUE(ask(client, "EXEC").starts_with("-EXECABORT"));
  // An argument costs more than its one byte.
  std::string many = "CLIENT LIST ID";
  for (int i = 0; i < 20'000; ++i) many += " 1";
  ask(client, "MULTI");
  EXPECT_EQ(ask(client, many), kTooMany);
  EXPECT_TRUE(ask(client, "EXEC").starts_with("-EXECABORT"));
}

TEST_F(RelayLive, AClientWhoseExecIsAnsweredByTooMuchIsHungUpOn) {
  start();
  constexpr int kOthers = 40;
  std::vector<RawClient> others;
  for (int i = 0; i < kOthers; ++i) {
    others.push_back(connect());
    ASSERT_EQ(ask(others.back(), "CLIENT SETNAME " + std::string(60'000, 'x')), "+OK\r\n");
  }
  auto client = connect();
  ask(client, "MULTI");
  for (int i = 0; i < 120; ++i) ASSERT_EQ(ask(client, "CLIENT LIST"), "+QUEUED\r\n");
  EXPECT_EQ(ask(client, "EXEC"),
            "-ERR nearlane: EXEC has been executed, but its answer is longer than 256 MiB\r\n");
  EXPECT_TRUE(client.read_to_end(kPatience));
}

TEST_F(RelayLive, AClientIsToldOfTheKeysThatItTracks) {
  start();
  auto writer = connect();
  auto client = connect();
  ask(writer, "SET k one");
  ask(client, "HELLO 3");
  ask(client, "GET k");
  ASSERT_EQ(ask(client, "CLIENT TRACKING ON"), "+OK\r\n");
  ASSERT_EQ(ask(client, "GET k"), "$3\r\none\r\n");
  ASSERT_EQ(ask(writer, "SET k two"), "+OK\r\n");
  constexpr const char* kInvalidated = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
  EXPECT_EQ(client.read(kPatience).value().bytes, kInvalidated);
  EXPECT_EQ(ask(client, "GET k"), "$3\r\ntwo\r\n");
  EXPECT_EQ(ask(client, "CLIENT GETREDIR"), ":0\r\n");
  EXPECT_EQ(ask(client, "HELLO 2"),
            "-ERR nearlane: HELLO cannot change the protocol of a connection with CLIENT "
            "TRACKING\r\n");
  ASSERT_EQ(ask(client, "CLIENT TRACKING OFF"), "+OK\r\n");
  ASSERT_EQ(ask(writer, "SET k three"), "+OK\r\n");
  EXPECT_EQ(ask(client, "GET k"), "$5\r\nthree\r\n") << "and it is told of nothing";
  EXPECT_EQ(ask(client, "CLIENT GETREDIR"), ":-1\r\n");
  EXPECT_TRUE(ask(client, "HELLO 2").starts_with("*14\r\n"));
}

TEST_F(RelayLive, WhatIsToldOfAKeyComesBehindTheAnswerThatHoldsItsOldValue) {
  start();
  auto writer = RawClient::connect(redis.endpoint()).value();
  auto client = connect();
  ask(client, "HELLO 3");
  ASSERT_EQ(ask(client, "CLIENT TRACKING ON"), "+OK\r\n");
  // Their answers wait for the lanes, and what the writer does comes meanwhile.
  const std::vector<std::pair<std::string, int>> reads = {
      {"MULTI\r\nGET k\r\nSELECT 0\r\nEXEC\r\n", 3},
      {"EVAL \"return redis.call('get',KEYS[1])\" 1 k\r\n", 0}};
  const auto bulk = [](int value) {
    const std::string text = std::to_string(value);
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  for (int i = 1; i <= 400; ++i) {
    const auto& [commands, before] = reads[static_cast<std::size_t>(i) % reads.size()];
    ASSERT_EQ(ask(writer, "SET k " + std::to_string(i)), "+OK\r\n");
    ASSERT_TRUE(client.send(commands));
    for (int queued = 0; queued < before; ++queued) (void)client.read(kPatience).value();
    ASSERT_EQ(ask(writer, "SET k -" + std::to_string(i)), "+OK\r\n");
    const auto first = client.read(kPatience).value();
    // Nothing was tracked before, so that what it is told it is told because it has read the old value.
    ASSERT_NE(first.reply.type, protocol::Type::push) << i;
    if (first.bytes.find(bulk(i)) != std::string::npos) {
      ASSERT_EQ(client.read(kPatience).value().reply.type, protocol::Type::push) << i;
      continue;
    }
    // It has read the new value, and is told when that goes.
    ASSERT_EQ(ask(writer, "SET k 0"), "+OK\r\n");
    ASSERT_EQ(client.read(kPatience).value().reply.type, protocol::Type::push) << i;
  }
}

TEST_F(RelayLive, AClientTracksWhatItSaysThatItCaches) {
  start();
  auto plain = RedisServer::start().value();
  const auto writes = [&](const std::string& command) {
    direct(command);
    auto client = RawClient::connect(plain.endpoint()).value();
    ask(client, command);
  };
  auto ours = connect();
  auto theirs = RawClient::connect(plain.endpoint()).value();
  const auto expect_same = [&](const std::string& command) {
    EXPECT_EQ(ask(ours, command), ask(theirs, command)) << command;
  };
  writes("MSET a 1 b 2");
  for (const char* command :
       {"CLIENT CACHING YES", "CLIENT TRACKINGINFO", "CLIENT TRACKING x", "CLIENT TRACKING",
        "CLIENT TRACKING ON OPTIN OPTOUT", "CLIENT TRACKING ON PREFIX a", "CLIENT HELP",
        "CLIENT CACHING", "CLIENT GETREDIR", "CLIENT TRACKINGINFO x"})
    expect_same(command);
  ask(ours, "HELLO 3");
  ask(theirs, "HELLO 3");
  for (const char* command : {"CLIENT TRACKING ON OPTIN", "CLIENT TRACKINGINFO", "GET a",
                              "CLIENT CACHING YES", "GET b", "CLIENT CACHING MAYBE"})
    expect_same(command);
  writes("MSET a 3 b 4");
  EXPECT_EQ(ours.read(kPatience).value().bytes, theirs.read(kPatience).value().bytes) << "of b";
  for (const char* command :
       {"CLIENT TRACKING ON BCAST", "CLIENT TRACKING OFF",
        "CLIENT TRACKING ON BCAST PREFIX redirect", "CLIENT TRACKINGINFO", "GET a"})
    expect_same(command);
  writes("SET redirected 1");
  EXPECT_EQ(ours.read(kPatience).value().bytes, theirs.read(kPatience).value().bytes);
  EXPECT_EQ(ask(ours, "RESET"), "+RESET\r\n");
  EXPECT_EQ(ask(ours, "CLIENT GETREDIR"), ":-1\r\n");
}

TEST_F(RelayLive, AClientWhoseTrackingIsLostIsHungUpOn) {
  start();
  auto client = connect();
  ask(client, "HELLO 3");
  ASSERT_EQ(ask(client, "CLIENT TRACKING ON"), "+OK\r\n");
  direct("CLIENT KILL TYPE normal");
  const auto rest = client.read_to_end(kPatience);
  EXPECT_TRUE(rest) << "it would believe what it has for ever: " << rest.error().detail;
}

TEST_F(RelayLive, APingSaysWhetherRedisWouldTellOfAnything) {
  start();
  auto tracking = connect();
  auto subscribed = connect();
  auto other = connect();
  ask(tracking, "HELLO 3");
  ask(subscribed, "HELLO 3");
  ASSERT_EQ(ask(tracking, "CLIENT TRACKING ON"), "+OK\r\n");
  ASSERT_TRUE(ask(subscribed, "SUBSCRIBE c").starts_with(">3\r\n"));
  EXPECT_EQ(ask(tracking, "PING hello"), "$5\r\nhello\r\n");
  ASSERT_TRUE(redis.stall());
  ASSERT_TRUE(tracking.send("PING\r\n"));
  ASSERT_TRUE(subscribed.send("PING\r\n"));
  EXPECT_FALSE(tracking.read(100ms));
  EXPECT_FALSE(subscribed.read(100ms));
  EXPECT_EQ(ask(other, "PING"), "+PONG\r\n") << "it is told of nothing in any case";
  ASSERT_TRUE(redis.resume());
  EXPECT_EQ(tracking.read(kPatience).value().bytes, "+PONG\r\n");
  EXPECT_EQ(subscribed.read(kPatience).value().bytes, "+PONG\r\n");
}

TEST_F(RelayLive, WhoWaitsOrListensIsNotIdle) {
  start({"--resp-idle-timeout", "4s"});
  auto worker = connect();
  auto subscriber = connect();
  auto monitor = connect();
  auto idle = connect();
  ASSERT_TRUE(worker.send("BLPOP q 0\r\n"));
  ASSERT_TRUE(ask(subscriber, "SUBSCRIBE c").starts_with("*3\r\n"));
  ASSERT_EQ(ask(monitor, "MONITOR"), "+OK\r\n");
  EXPECT_EQ(ask(idle, "PING"), "+PONG\r\n");
  EXPECT_TRUE(idle.read_to_end(kPatience)) << "it is hung up on";
  std::this_thread::sleep_for(1s);
  direct("RPUSH q e");
  EXPECT_EQ(worker.read(kPatience).value().bytes, "*2\r\n$1\r\nq\r\n$1\r\ne\r\n");
  EXPECT_EQ(direct("PUBLISH c hello"), ":1\r\n");
  EXPECT_EQ(subscriber.read(kPatience).value().reply.elements.at(2).text, "hello");
  bool seen = false;
  while (!seen) {
    const auto line = monitor.read(kPatience);
    ASSERT_TRUE(line) << line.error().detail;
    seen = line->bytes.find("\"PUBLISH\" \"c\"") != std::string::npos;
  }
  std::this_thread::sleep_for(2s);  // by then somebody has looked who is overdue, twice
  EXPECT_EQ(ask(worker, "PING"), "+PONG\r\n") << "it has just been answered";
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

TEST_F(RelayLive, SubscribersHearWhatIsPublished) {
  start();
  for (const std::string version : {"2", "3"}) {
    const char* head = version == "3" ? ">" : "*";
    auto client = connect();
    ask(client, "HELLO " + version);
    ASSERT_EQ(ask(client, "SUBSCRIBE one two").substr(0, 1), head);
    ASSERT_EQ(client.read(kPatience).value().reply.elements.at(2).integer, 2);
    ASSERT_EQ(ask(client, "PSUBSCRIBE p*").substr(0, 1), head);
    EXPECT_EQ(direct("PUBLISH two hello"), ":1\r\n");
    EXPECT_EQ(client.read(kPatience).value().bytes,
              head + std::string("3\r\n$7\r\nmessage\r\n$3\r\ntwo\r\n$5\r\nhello\r\n"));
    direct("PUBLISH px hi");
    EXPECT_EQ(client.read(kPatience).value().reply.elements.at(0).text, "pmessage");
    EXPECT_EQ(ask(client, "PING"), version == "3" ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    const std::string get = ask(client, "GET k");
    EXPECT_EQ(get.starts_with("-ERR Can't execute 'get'"), version == "2") << get;
    // Both channels, then the pattern: then it is a connection like any other.
    EXPECT_EQ(ask(client, "UNSUBSCRIBE").substr(0, 1), head);
    EXPECT_EQ(client.read(kPatience).value().reply.elements.at(2).integer, 1);
    EXPECT_EQ(ask(client, "PUNSUBSCRIBE p*").substr(0, 1), head);
    EXPECT_EQ(ask(client, "SET k v"), "+OK\r\n");
    EXPECT_EQ(ask(client, "GET k"), "$1\r\nv\r\n");
  }
}

TEST_F(RelayLive, ASubscriberKeepsTheVersionInWhichItHears) {
  start();
  auto client = connect();
  ask(client, "HELLO 3");
  ASSERT_EQ(ask(client, "SUBSCRIBE c").substr(0, 1), ">");
  EXPECT_EQ(
      ask(client, "HELLO 2"),
      "-ERR nearlane: HELLO cannot change the protocol of a connection with subscriptions\r\n");
  EXPECT_TRUE(ask(client, "HELLO 3").starts_with("%7\r\n")) << "it is the same";
  EXPECT_EQ(direct("PUBLISH c x"), ":1\r\n");
  EXPECT_EQ(client.read(kPatience).value().bytes, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n");
  ASSERT_EQ(ask(client, "UNSUBSCRIBE c").substr(0, 1), ">");
  EXPECT_TRUE(ask(client, "HELLO 2").starts_with("*14\r\n"));
  ASSERT_EQ(ask(client, "SUBSCRIBE c").substr(0, 1), "*");
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
  EXPECT_LE(relays(), 2) << "a database that is not there costs no connection";
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

TEST_F(RelayLive, ADatabaseThatIsNotThereCostsNoWatch) {
  start();
  auto client = connect();
  ASSERT_EQ(ask(client, "WATCH k"), "+OK\r\n");
  EXPECT_EQ(ask(client, "SELECT 20"), "-ERR DB index is out of range\r\n");
  direct("SET k theirs");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_EQ(ask(client, "EXEC"), "*-1\r\n") << "it watches still";
}

TEST_F(RelayLive, SubscribersAreToldFromOthers) {
  start();
  auto subscriber = connect();
  auto client = connect();
  ASSERT_TRUE(ask(subscriber, "SUBSCRIBE c").starts_with("*3\r\n"));
  EXPECT_EQ(ask(client, "CLIENT KILL TYPE normal"), ":0\r\n") << "SKIPME";
  EXPECT_EQ(ask(client, "CLIENT KILL TYPE pubsub"), ":1\r\n");
  EXPECT_FALSE(subscriber.read(kPatience));
}

TEST_F(RelayLive, AMonitorSeesWhatRedisIsAsked) {
  start();
  auto client = connect();
  ASSERT_EQ(ask(client, "MONITOR"), "+OK\r\n");
  direct("SET seen 1");
  while (client.read(kPatience).value().bytes.find("\"SET\" \"seen\"") == std::string::npos) {
  }
  EXPECT_TRUE(client.send("QUIT\r\n"));
  EXPECT_TRUE(soon([&] { return relays() == 1; })) << "the one that asked for COMMAND";
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

TEST_F(RelayLive, MessagesDoNotWaitForACommandThatDoes) {
  start();
  auto client = connect();
  ask(client, "HELLO 3");
  ask(client, "SUBSCRIBE c");
  ASSERT_TRUE(client.send("BLPOP q 0\r\n"));
  ASSERT_TRUE(
      soon([&] { return direct("INFO clients").find("blocked_clients:1") != std::string::npos; }));
  direct("PUBLISH c hello");
  EXPECT_EQ(client.read(kPatience).value().reply.elements.at(2).text, "hello");
  direct("RPUSH q e");
  EXPECT_EQ(client.read(kPatience).value().bytes, "*2\r\n$1\r\nq\r\n$1\r\ne\r\n");
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

TEST_F(RelayLive, WithoutAConnectionNothingBehindMultiIsExecuted) {
  start({"--max-relays", "1"});
  auto holder = connect();
  ASSERT_EQ(ask(holder, "MULTI"), "+OK\r\n");
  auto client = connect();
  ASSERT_TRUE(client.send("MULTI\r\nINCR n\r\nEXEC\r\n"));
  const auto rest = client.read_to_end(kPatience);
  ASSERT_TRUE(rest) << rest.error().detail;
  EXPECT_TRUE(rest->starts_with("-ERR nearlane: a cap is reached")) << *rest;
  EXPECT_EQ(direct("GET n"), "$-1\r\n");
}

TEST_F(RelayLive, AClientWhoseTransactionIsLostIsHungUpOn) {
  start();
  auto client = connect();
  ask(client, "MULTI");
  direct("CLIENT KILL TYPE normal");
  // Or what it says next would be executed at once.
  ASSERT_TRUE(client.send("SET k v\r\n"));
  const auto rest = client.read_to_end(kPatience);
  ASSERT_TRUE(rest) << rest.error().detail;
  EXPECT_TRUE(rest->empty() || rest->starts_with("-ERR nearlane: the connection to L2 was lost"))
      << *rest;
  EXPECT_EQ(direct("GET k"), "$-1\r\n");
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
  EXPECT_LE(relays(), 2);
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
