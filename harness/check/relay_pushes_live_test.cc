// What Redis tells clients without being asked, through Nearlane: channels, MONITOR, and the keys that a client tracks.
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/relay_fixture.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

using RelayPushes = RelayFixture;

TEST_F(RelayPushes, AClientIsToldOfTheKeysThatItTracks) {
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

TEST_F(RelayPushes, WhatIsToldOfAKeyComesBehindTheAnswerThatHoldsItsOldValue) {
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

TEST_F(RelayPushes, AClientTracksWhatItSaysThatItCaches) {
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

TEST_F(RelayPushes, AClientWhoseTrackingIsLostIsHungUpOn) {
  start();
  auto client = connect();
  ask(client, "HELLO 3");
  ASSERT_EQ(ask(client, "CLIENT TRACKING ON"), "+OK\r\n");
  direct("CLIENT KILL TYPE normal");
  const auto rest = client.read_to_end(kPatience);
  EXPECT_TRUE(rest) << "it would believe what it has for ever: " << rest.error().detail;
}

TEST_F(RelayPushes, APingSaysWhetherRedisWouldTellOfAnything) {
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

TEST_F(RelayPushes, WhoWaitsOrListensIsNotIdle) {
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

TEST_F(RelayPushes, SubscribersHearWhatIsPublished) {
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

TEST_F(RelayPushes, ASubscriberKeepsTheVersionInWhichItHears) {
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

TEST_F(RelayPushes, SubscribersAreToldFromOthers) {
  start();
  auto subscriber = connect();
  auto client = connect();
  ASSERT_TRUE(ask(subscriber, "SUBSCRIBE c").starts_with("*3\r\n"));
  EXPECT_EQ(ask(client, "CLIENT KILL TYPE normal"), ":0\r\n") << "SKIPME";
  EXPECT_EQ(ask(client, "CLIENT KILL TYPE pubsub"), ":1\r\n");
  EXPECT_FALSE(subscriber.read(kPatience));
}

TEST_F(RelayPushes, AMonitorSeesWhatRedisIsAsked) {
  start();
  auto client = connect();
  ASSERT_EQ(ask(client, "MONITOR"), "+OK\r\n");
  direct("SET seen 1");
  while (client.read(kPatience).value().bytes.find("\"SET\" \"seen\"") == std::string::npos) {
  }
  EXPECT_TRUE(client.send("QUIT\r\n"));
  EXPECT_TRUE(soon([&] { return relays() == 1; })) << "the one that asked for COMMAND";
}

TEST_F(RelayPushes, MessagesDoNotWaitForACommandThatDoes) {
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

}  // namespace
}  // namespace nearlane::harness
