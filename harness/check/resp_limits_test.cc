// The RESP door at its limits: passwords, and replies by the megabyte.
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

std::string reply_to(RawClient& client, const Words& command) {
  EXPECT_TRUE(client.send(to_bytes(command)));
  const auto reply = client.read();
  return reply ? reply->bytes : reply.error().detail;
}

class RespPassword : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = folder.path() / "password";
    std::ofstream(file) << "secret\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
    auto started = Instance::start({.flags = {"--password-file", file.string()}});
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
    // Not on its command line: that it is ready is asked without a password.
    ASSERT_TRUE(redis.client().command({"CONFIG", "SET", "requirepass", "secret"}));
  }

  // Both servers' replies to the same commands on fresh connections, until one is left unanswered.
  void expect_like_redis(const std::vector<std::string>& sends) {
    auto ours = RawClient::connect(nearlane->resp()).value();
    auto theirs = RawClient::connect(redis.endpoint()).value();
    for (const auto& bytes : sends) {
      ASSERT_TRUE(ours.send(bytes));
      ASSERT_TRUE(theirs.send(bytes));
      const auto we = ours.read();
      const auto they = theirs.read();
      ASSERT_TRUE(they) << bytes << they.error().detail;
      ASSERT_TRUE(we) << bytes << we.error().detail;
      if (they->bytes.find("proto\r\n") == std::string::npos) {
        EXPECT_EQ(we->bytes, they->bytes) << bytes;
      } else {
        EXPECT_EQ(we->reply.type, they->reply.type) << bytes;
      }
    }
  }

  TempDir folder = TempDir::make().value();
  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
};

TEST_F(RespPassword, IsAskedForAsRedisDoes) {
  expect_like_redis({to_bytes({"GET", "k"}), to_bytes({"PING"}), to_bytes({"SELECT", "1"}),
                     to_bytes({"HELLO"}), to_bytes({"HELLO", "3"}), to_bytes({"AUTH", "wrong"}),
                     to_bytes({"AUTH", "nobody", "secret"}), to_bytes({"GET", "k"}),
                     to_bytes({"AUTH", "secret"}), to_bytes({"GET", "k"}),
                     to_bytes({"AUTH", "wrong"}), to_bytes({"GET", "k"}), to_bytes({"RESET"}),
                     to_bytes({"GET", "k"})});
}

TEST_F(RespPassword, CanComeWithTheGreeting) {
  expect_like_redis({to_bytes({"HELLO", "3", "AUTH", "default", "wrong"}), to_bytes({"GET", "k"}),
                     to_bytes({"HELLO", "3", "AUTH", "default", "secret", "SETNAME", "named"}),
                     to_bytes({"CLIENT", "GETNAME"}), to_bytes({"GET", "k"})});
  expect_like_redis({"HELLO 3 AUTH default secret SETNAME \"named-by-an-inline-command\"\r\n",
                     "CLIENT GETNAME\r\n"});
}

TEST_F(RespPassword, KeepsStrangersSmall) {
  expect_like_redis({"*11\r\n"});
  expect_like_redis({"*2\r\n$4\r\nECHO\r\n$16385\r\n"});
  expect_like_redis({"*99999999999\r\n"});
  expect_like_redis({"*1\r\n$99999999999\r\n"});
  expect_like_redis({to_bytes({"ECHO", std::string(16384, 'x')}), to_bytes({"AUTH", "secret"}),
                     to_bytes({"ECHO", std::string(16385, 'x')})});
}

class RespLargeReplies : public testing::Test {
 protected:
  void SetUp() override {
    // Values of 64 MiB under a sanitizer take their time; what a timeout does is tested elsewhere.
    auto started =
        Instance::start({.l2 = redis.url(), .flags = {"--threads", "1", "--l2-timeout", "20s"}});
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
    client.emplace(RawClient::connect(nearlane->resp()).value());
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
  std::optional<RawClient> client;
};

TEST_F(RespLargeReplies, NeverStallAPipelineOfHits) {
  // Outputs of each size about the cap, which is where a door stops reading and has to go on.
  for (const std::size_t size : {200'000U, 349'525U, 524'280U, 600'000U, 1'048'576U, 1'100'000U}) {
    ASSERT_EQ(reply_to(*client, {"SET", "big", std::string(size, 'v')}), "+OK\r\n");
    for (int round = 0; round < 20; ++round) {
      std::string pipeline;
      for (int i = 0; i < 7; ++i) pipeline += to_bytes({"GET", "big"}) + to_bytes({"PING"});
      ASSERT_TRUE(client->send(pipeline));
      for (int i = 0; i < 7; ++i) {
        const auto value = client->read();
        ASSERT_TRUE(value) << size << ": " << value.error().detail;
        ASSERT_EQ(value->reply.text.size(), size);
        const auto pong = client->read();
        ASSERT_TRUE(pong) << size << ": " << pong.error().detail;
        ASSERT_EQ(pong->bytes, "+PONG\r\n");
      }
    }
  }
}

TEST_F(RespLargeReplies, ComeInOrderBehindWritesAndMisses) {
  const std::string value(300'000, 'v');
  std::string pipeline;
  for (int i = 0; i < 40; ++i) {
    const std::string key(1, static_cast<char>('a' + i % 7));
    pipeline += to_bytes({"SET", key, value + std::to_string(i)}) + to_bytes({"GET", key}) +
                to_bytes({"GET", "none"}) + to_bytes({"DEL", key}) + to_bytes({"GET", key});
  }
  ASSERT_TRUE(client->send(pipeline));
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(client->read().value().bytes, "+OK\r\n") << i;
    ASSERT_EQ(client->read().value().reply.text, value + std::to_string(i));
    ASSERT_EQ(client->read().value().bytes, "$-1\r\n") << i;
    ASSERT_EQ(client->read().value().bytes, ":1\r\n") << i;
    ASSERT_EQ(client->read().value().bytes, "$-1\r\n") << i;
  }
}

TEST_F(RespLargeReplies, CanBeAsLargeAsAValueMayBe) {
  const std::string value(std::size_t{64} * 1024 * 1024, 'v');
  ASSERT_EQ(reply_to(*client, {"SET", "k", value}), "+OK\r\n");
  const std::string reply = reply_to(*client, {"GET", "k"});
  EXPECT_EQ(reply.size(), value.size() + 13);
  ASSERT_TRUE(client->send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108865\r\n"));
  EXPECT_EQ(client->read().value().bytes, "-ERR Protocol error: invalid bulk length\r\n");
}

}  // namespace
}  // namespace nearlane::harness
