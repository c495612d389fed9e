// Commands that ask a server about itself, over the embedded stores against a plain redis-server:
// the same bytes in, the same bytes out, in RESP2 and RESP3, one by one and inside MULTI.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using protocol::Type;
using testing::StartsWith;
using testing::UnorderedElementsAreArray;

/// What Redis answers alike as long as nothing is recorded, and nobody replicates from it.
constexpr std::string_view kAlike[] = {
    "TIME x",
    "ROLE",
    "ROLE x",
    "LASTSAVE x",
    "WAIT 0 0",
    "WAIT 1 1",
    "WAIT -1 0",
    "WAIT x 0",
    "WAIT 0 x",
    "WAIT 0 -1",
    "WAIT 0",
    "SLOWLOG",
    "SLOWLOG GET",
    "slowlog get 5",
    "SLOWLOG GET -1",
    "SLOWLOG GET -2",
    "SLOWLOG GET x",
    "SLOWLOG GET 1 2",
    "SLOWLOG LEN",
    "SLOWLOG LEN x",
    "SLOWLOG RESET",
    "SLOWLOG NOPE",
    "LATENCY LATEST",
    "LATENCY LATEST x",
    "LATENCY HISTORY event",
    "LATENCY HISTORY",
    "LATENCY GRAPH event",
    "LATENCY RESET",
    "LATENCY RESET a b",
    "LATENCY DOCTOR",
    "LATENCY HISTOGRAM nope",
    "LATENCY HISTOGRAM",
    "LATENCY NOPE",
    "CONFIG GET save",
    "CONFIG GET SAVE save",
    "CONFIG GET SLOWLOG-LOG* slowlog-log-slower-than",
    "CONFIG GET *track*nope Notify-Keyspace-[e]vents",
    "CONFIG GET latency-mon?tor-threshold",
    "CONFIG GET nope",
    "CONFIG GET",
    "CONFIG SET databases 5",
    "CONFIG SET nope 1",
    "CONFIG SET nope 1 databases 5",
    "CONFIG SET databases 5 x",
    "CONFIG SET databases",
    "CONFIG NOPE",
    "COMMAND GETKEYS GET a",
    "COMMAND GETKEYS mset a 1 b 2",
    "COMMAND GETKEYS DEL a b c",
    "COMMAND GETKEYS RENAME a b",
    "COMMAND GETKEYS PING x",
    "COMMAND GETKEYS CLIENT LIST",
    "COMMAND GETKEYS CLIENT NOPE",
    "COMMAND GETKEYS GET a b",
    "COMMAND GETKEYS NOPE a",
    "COMMAND GETKEYS GET",
    "COMMAND GETKEYS",
    "COMMAND LIST FILTERBY PATTERN gete*",
    "COMMAND LIST FILTERBY PATTERN SLOWLOG|L*",
    "COMMAND LIST FILTERBY PATTERN nope",
    "COMMAND LIST FILTERBY MODULE m",
    "COMMAND LIST FILTERBY NOPE x",
    "COMMAND LIST FILTERBY PATTERN",
    "COMMAND LIST NOPE",
    "CLIENT GETREDIR",
    "CLIENT GETREDIR x",
    "CLIENT TRACKINGINFO",
    "CLIENT UNBLOCK 99999",
    "CLIENT UNBLOCK 99999 ERROR",
    "CLIENT UNBLOCK 99999 timeout",
    "CLIENT UNBLOCK 99999 nope",
    "CLIENT UNBLOCK x",
    "CLIENT UNBLOCK 99999 ERROR x",
    "CLIENT UNBLOCK",
    "CLIENT HELP x",
    "PUBSUB HELP x",
    "INFO keyspace",
};

struct Setting {
  std::string name;
  bool on_disk;
  int version;

  friend void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }
};

class ServerCommands : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    auto started = Instance::start(
        {.l2 = GetParam().on_disk ? "rocksdb:" + folder.path().string() : std::string("memory:")});
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
  }
  static RawClient connect(const Endpoint& endpoint) {
    auto client = RawClient::connect(endpoint).value();
    (void)ask(client, "HELLO " + std::to_string(GetParam().version));
    return client;
  }
  static RawReply ask(RawClient& client, std::string_view line) {
    EXPECT_TRUE(client.send(std::string(line) + "\r\n").has_value());
    auto reply = client.read();
    EXPECT_TRUE(reply) << line << ": " << reply.error().detail;
    return reply ? std::move(*reply) : RawReply{};
  }

  TempDir folder = TempDir::make_in_memory().value();
  // As we are: nothing is recorded.
  RedisServer redis = RedisServer::start({.config = {"--slowlog-log-slower-than", "-1",
                                                     "--latency-tracking", "no"}})
                          .value();
  std::optional<Instance> nearlane;
};

TEST_P(ServerCommands, AnswerAsRedisDoes) {
  auto ours = connect(nearlane->resp());
  auto theirs = connect(redis.endpoint());
  for (const std::string_view line : {"SET a 1", "SELECT 3", "MSET b 2 c 3", "SELECT 0"}) {
    EXPECT_EQ(ask(ours, line).bytes, ask(theirs, line).bytes);
  }
  for (const std::string_view line : kAlike) {
    EXPECT_EQ(ask(ours, line).bytes, ask(theirs, line).bytes) << line;
  }
  for (const std::string_view line : kAlike) {
    for (const std::string_view each :
         {std::string_view("MULTI"), line, std::string_view("EXEC")}) {
      // What a subcommand thinks of its arguments is said by EXEC.
      EXPECT_EQ(ask(ours, each).bytes, ask(theirs, each).bytes) << "MULTI, " << line;
    }
  }
}

TEST_P(ServerCommands, TellEachSettingThatAPatternMeansInAnyOrder) {
  auto ours = connect(nearlane->resp());
  auto theirs = connect(redis.endpoint());
  for (const std::string_view line :
       {"CONFIG GET slowlog-log* databases *keyspace-ev*", "CONFIG GET DATABASES databases save"}) {
    const auto pairs = [&](RawClient& client) {
      std::vector<std::string> said;
      const auto reply = ask(client, line).reply;
      for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2)
        said.push_back(reply.elements[i].text + "=" + reply.elements[i + 1].text);
      return said;
    };
    EXPECT_THAT(pairs(ours), UnorderedElementsAreArray(pairs(theirs))) << line;
  }
}

TEST_P(ServerCommands, TellTheTime) {
  auto ours = connect(nearlane->resp());
  auto theirs = connect(redis.endpoint());
  for (int i = 0; i < 2; ++i) {
    const auto before = ask(theirs, "TIME").reply;
    const auto now = ask(ours, "TIME").reply;
    const auto after = ask(theirs, "TIME").reply;
    ASSERT_EQ(now.elements.size(), 2U);
    EXPECT_EQ(now.elements[0].type, Type::bulk_string);
    const auto micros = [](const protocol::Reply& time) {
      return std::stoll(time.elements[0].text) * 1'000'000 + std::stoll(time.elements[1].text);
    };
    EXPECT_LE(micros(before), micros(now));
    EXPECT_LE(micros(now), micros(after));
    EXPECT_LE(ask(ours, "LASTSAVE").reply.integer, std::stoll(now.elements[0].text));
  }
}

TEST_P(ServerCommands, WhatIsNotServedIsRefusedAndNothingElse) {
  auto ours = connect(nearlane->resp());
  for (const std::string_view line :
       {"OBJECT ENCODING a", "MEMORY USAGE a", "DEBUG JMAP", "COPY a b"})
    EXPECT_THAT(ask(ours, line).bytes, StartsWith("-ERR unknown command")) << line;
  for (const std::string_view line : {"CLIENT PAUSE 1", "CONFIG RESETSTAT", "CONFIG REWRITE"})
    EXPECT_THAT(ask(ours, line).bytes, StartsWith("-ERR unknown subcommand")) << line;
}

TEST_P(ServerCommands, ANewStartTellsWhatTheDiskHas) {
  auto client = connect(nearlane->resp());
  ask(client, "SELECT 3");
  ask(client, "MSET b 2 c 3");
  const std::string keys = ask(client, "INFO keyspace").bytes;
  EXPECT_NE(keys.find("db3:keys=2,"), std::string::npos) << keys;
  ASSERT_TRUE(nearlane->drain());
  ASSERT_TRUE(nearlane->restart());
  auto again = connect(nearlane->resp());
  EXPECT_EQ(ask(again, "INFO keyspace").bytes.find("db3:keys=2,") != std::string::npos,
            GetParam().on_disk);
}

INSTANTIATE_TEST_SUITE_P(Stores, ServerCommands,
                         testing::Values(Setting{"Memory2", false, 2}, Setting{"Memory3", false, 3},
                                         Setting{"Disk2", true, 2}, Setting{"Disk3", true, 3}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace nearlane::harness
