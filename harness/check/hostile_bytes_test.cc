// Hostile bytes at the RESP door: the answer that Redis gives, then the end of the connection, and
// nobody else notices.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::string_literals;

class HostileBytes : public testing::Test {
 protected:
  void SetUp() override {
    // The first command may wait for connections that are still being made.
    auto started =
        Instance::start({.l2 = redis.url(), .flags = {"--threads", "1", "--l2-timeout", "10s"}});
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
    bystander.emplace(RawClient::connect(nearlane->resp()).value());
  }

  // What a server answers to these bytes from a client that then sends no more.
  static std::string answer(const Endpoint& endpoint, std::string_view bytes) {
    auto client = RawClient::connect(endpoint).value();
    (void)client.send(bytes);  // may fail: the server may close before it has read all
    client.finish_sending();
    const auto all = client.read_to_end();
    return all ? *all : "no end: " + all.error().detail;
  }
  std::string ours(std::string_view bytes) { return answer(nearlane->resp(), bytes); }
  std::string theirs(std::string_view bytes) { return answer(redis.endpoint(), bytes); }

  void expect_bystander_served() {
    ASSERT_TRUE(bystander->send(to_bytes({"SET", "bystander", "v"})));
    EXPECT_EQ(bystander->read().value().bytes, "+OK\r\n");
    ASSERT_TRUE(bystander->send(to_bytes({"GET", "bystander"})));
    EXPECT_EQ(bystander->read().value().bytes, "$1\r\nv\r\n");
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
  std::optional<RawClient> bystander;
};

TEST_F(HostileBytes, GetTheErrorThatRedisGives) {
  const std::string ping = "*1\r\n$4\r\nPING\r\n";
  const std::vector<std::string> table = {
      "*x\r\n",
      "*\r\n",
      "*01\r\n",
      "*99999999999999999999\r\n",
      "*1\r\n:1\r\n",
      "*2\r\n$4\r\nPING\r\nb\r\n",
      "*1\r\n$\r\n",
      "*1\r\n$-1\r\n",
      "*1\r\n$9999999999999\r\n",
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-5\r\n",
      "set k \"v\r\n",
      "set k 'v\r\n",
      "set k \"v\"x\r\n",
      ping + "*x\r\n" + ping,
      ping + ping + "*1\r\n!4\r\nPING\r\n",
      "*0\r\n*-1\r\n\r\n" + ping,
      "PING\r\nECHO 'a b'\r\n" + ping + "QUIT\r\nPING\r\n",
      "nonsense a b\r\n" + ping,
      "\"bad\\r\\nname\" \"ar\\r\\ng\"\r\n",
      "GET\r\nSET k\r\nEXPIRE k\r\n",
      "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\n",
      std::string(70 * 1024, 'a'),
  };
  for (const auto& bytes : table) {
    EXPECT_EQ(ours(bytes), theirs(bytes)) << bytes.substr(0, 200);
    expect_bystander_served();
  }
}

TEST_F(HostileBytes, GetTheErrorThatRedisGivesWhateverTheyAre) {
  EXPECT_TRUE(rc::check([this] {
    const std::string alphabet = "*$\r\n01-2 \"'\\xPING+:a\xff";
    const auto bytes = *rc::gen::container<std::string>(rc::gen::elementOf(alphabet));
    const std::string line = bytes + "\r\n";
    const auto we = ours(line);
    const auto they = theirs(line);
    RC_ASSERT(we == they);
  }));
  expect_bystander_served();
}

TEST_F(HostileBytes, InAnHttpRequestAreNotExecuted) {
  for (const std::string_view head : {"POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    const auto bytes = std::string(head) + "SET stolen 1\r\n*1\r\n$4\r\nPING\r\n";
    EXPECT_EQ(ours(bytes).find("PONG"), std::string::npos);
    EXPECT_EQ(ours("EXISTS stolen\r\n"), ":0\r\n");
  }
}

TEST_F(HostileBytes, CutShortGetNoAnswerAndDoNoHarm) {
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\ncut\r\n$5\r\nvalue\r\n";
  for (std::size_t size = 0; size < set.size(); ++size) {
    EXPECT_EQ(ours(set.substr(0, size)), "") << size;
  }
  EXPECT_EQ(ours("*2\r\n$3\r\nGET\r\n$3\r\ncut\r\n"), "$-1\r\n");
  expect_bystander_served();
}

TEST_F(HostileBytes, AreNotNeededToBeAnsweredAfterTheLastCommand) {
  // As `printf … | nc` does: all is sent, and the sending side closed, before L2 has answered.
  std::string bytes;
  std::string replies;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "last:" + std::to_string(i);
    bytes += to_bytes({"SET", key, "v"}) + to_bytes({"GET", key}) + to_bytes({"MGET", key, "none"});
    replies += "+OK\r\n$1\r\nv\r\n*2\r\n$1\r\nv\r\n$-1\r\n";
  }
  EXPECT_EQ(ours(bytes), replies);
}

TEST_F(HostileBytes, OverALimitAreRefusedBeforeTheyAreRead) {
  EXPECT_EQ(ours("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108865\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_EQ(ours("*1048577\r\n"), "-ERR Protocol error: invalid multibulk length\r\n");
  // What is allowed costs nothing until it comes.
  std::vector<RawClient> waiting;
  const auto before = nearlane->child().usage().rss_bytes;
  for (int i = 0; i < 200; ++i) {
    waiting.push_back(RawClient::connect(nearlane->resp()).value());
    ASSERT_TRUE(waiting.back().send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108864\r\n"));
  }
  expect_bystander_served();
  EXPECT_LT(nearlane->child().usage().rss_bytes, before + (std::uint64_t{64} << 20U));
}

TEST_F(HostileBytes, FromAClientThatReadsNothingDoNotFillMemory) {
  const std::string value(100'000, 'v');
  ASSERT_TRUE(bystander->send(to_bytes({"SET", "big", value})));
  ASSERT_EQ(bystander->read().value().bytes, "+OK\r\n");
  const auto before = nearlane->child().usage().rss_bytes;
  auto greedy = RawClient::connect(nearlane->resp()).value();
  std::string pipeline;
  // 20 GB of replies, asked for with more bytes than the kernel's buffers hold.
  for (int i = 0; i < 200'000; ++i) pipeline += to_bytes({"GET", "big"});
  EXPECT_LT(greedy.send_until_stalled(pipeline, std::chrono::milliseconds(300)), pipeline.size());
  expect_bystander_served();
  EXPECT_LT(nearlane->child().usage().rss_bytes, before + (std::uint64_t{300} << 20U));
}

}  // namespace
}  // namespace nearlane::harness
