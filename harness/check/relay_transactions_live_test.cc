// Transactions over Redis: what MULTI queues there, what is answered here, and what is lost with a connection.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/relay_fixture.h"

namespace nearlane::harness {
namespace {

using RelayTransactions = RelayFixture;

TEST_F(RelayTransactions, ATransactionSeesWhatItsWatchGuards) {
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

TEST_F(RelayTransactions, ExecExecutesWhatIsTheConnectionsOwnInItsPlace) {
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
    auto [ours, theirs] = both(plain, version);
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

TEST_F(RelayTransactions, InfoInsideATransactionIsOurs) {
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

TEST_F(RelayTransactions, WhatATransactionWritesInAnotherDatabaseIsSeenByTheNextReadOfAnybody) {
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

TEST_F(RelayTransactions, WhatIsRefusedInsideATransactionSpoilsIt) {
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

TEST_F(RelayTransactions, OnlySoManyCommandsOfTheConnectionsOwnAreQueued) {
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

TEST_F(RelayTransactions, AClientWhoseExecIsAnsweredByTooMuchIsHungUpOn) {
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

TEST_F(RelayTransactions, ADatabaseThatIsNotThereCostsNoWatch) {
  start();
  auto client = connect();
  ASSERT_EQ(ask(client, "WATCH k"), "+OK\r\n");
  EXPECT_EQ(ask(client, "SELECT 20"), "-ERR DB index is out of range\r\n");
  direct("SET k theirs");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_EQ(ask(client, "EXEC"), "*-1\r\n") << "it watches still";
}

TEST_F(RelayTransactions, WithoutAConnectionNothingBehindMultiIsExecuted) {
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

TEST_F(RelayTransactions, AClientWhoseTransactionIsLostIsHungUpOn) {
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

}  // namespace
}  // namespace nearlane::harness
