#include "harness/peers/resp_peer.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/driver/bursts.h"
#include "harness/peers/canned_resp.h"
#include "harness/topology/pinned.h"
#include "harness/topology/process_cpu.h"
#include "harness/topology/redis_client.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// The cores that a process may use.
int cores_of(const Child& child) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(child.pid(), sizeof set, &set) != 0) return -1;
  return CPU_COUNT(&set);
}

TEST(RespPeers, RedisAnswersOnOneCore) {
  const auto peer = start_redis();
  ASSERT_TRUE(peer) << peer.error().detail;
  RedisClient client((*peer)->resp());
  ASSERT_TRUE(client.command({"SET", "k", "v"}));
  EXPECT_EQ(client.command({"GET", "k"})->text, "v");
  EXPECT_EQ(cores_of((*peer)->child()), 1);
  EXPECT_GT(ProcessTree((*peer)->child().pid()).cpu(), 0ns);
}

TEST(RespPeers, MemcachedAnswersInItsOwnProtocol) {
  const auto peer = start_memcached();
  ASSERT_TRUE(peer) << peer.error().detail;
  Sequence requests([](std::uint64_t, std::string& out) { out.append("STORED\r\n"); });
  requests.add(0, "set k 0 0 1\r\nv\r\n", 8);
  const BurstLoad load{.sequence = &requests, .target = (*peer)->resp(), .bursts = 1};
  const auto done = send_bursts({&load, 1}, {.duration = 10s, .polls = false});
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->runs.front().answered, 1U);
  EXPECT_EQ(cores_of((*peer)->child()), 1);
}

/// What comes of requests that are all to be answered with STORED, in one burst.
std::string stored_or(const RespPeer& memcached, const std::vector<std::string>& requests) {
  constexpr std::string_view kStored = "STORED\r\n";
  Sequence sequence([=](std::uint64_t, std::string& out) { out.append(kStored); });
  for (const auto& request : requests) sequence.add(0, request, kStored.size());
  const BurstLoad load{.sequence = &sequence,
                       .target = memcached.resp(),
                       .burst = static_cast<std::uint32_t>(requests.size()),
                       .bursts = 1};
  const auto done = send_bursts({&load, 1}, {.duration = 10s, .timeout = 2s, .polls = false});
  return done ? "stored" : done.error().detail;
}

TEST(RespPeers, MemcachedSaysWhatIsWrong) {
  const auto peer = start_memcached();
  ASSERT_TRUE(peer) << peer.error().detail;
  const std::string good = "set k 0 0 1\r\nv\r\n";
  const std::string large = "set k 0 0 3000000\r\n" + std::string(3'000'000, 'v') + "\r\n";
  EXPECT_EQ(stored_or(**peer, {good, good}), "stored");
  EXPECT_EQ(stored_or(**peer, {"nonsense\r\n"}), "ERROR");
  EXPECT_EQ(stored_or(**peer, {large}), "SERVER_ERROR object too large for cache");
  EXPECT_EQ(stored_or(**peer, {"set k 0 0 none\r\n"}), "CLIENT_ERROR bad command line format");
  EXPECT_EQ(stored_or(**peer, {good, "nonsense\r\n", good}), "ERROR") << "shorter than expected";
  EXPECT_EQ(stored_or(**peer, {good, large, good}), "SERVER_ERROR object too large for cache");
}

TEST(RespPeers, NutcrackerAnswersWithWhatRedisHas) {
  const auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  ASSERT_TRUE(redis->client().command({"HSET", "h", "f", "v"}));
  const auto peer = start_nutcracker(redis->endpoint());
  ASSERT_TRUE(peer) << peer.error().detail;
  EXPECT_NE((*peer)->resp(), redis->endpoint());
  RedisClient client((*peer)->resp());
  EXPECT_EQ(client.command({"HGET", "h", "f"})->text, "v");
  EXPECT_EQ(cores_of((*peer)->child()), 1);
}

TEST(RespPeers, CannedAnswersTheSameToAll) {
  const auto peer = start_canned_resp(200);
  ASSERT_TRUE(peer) << peer.error().detail;
  RedisClient client((*peer)->resp());
  const std::string value(200, kCannedByte);
  EXPECT_EQ(client.command({"GET", "k"})->text, value);
  EXPECT_EQ(client.command({"HGET", "k", "f"})->text, value);
  EXPECT_EQ(client.command({"SET", "k", std::string(500'000, 'v')})->text, "OK");
  const auto many = client.command({"MGET", "a", "b", "c"});
  ASSERT_TRUE(many);
  ASSERT_EQ(many->elements.size(), 3U);
  EXPECT_EQ(many->elements[2].text, value);
  EXPECT_EQ(cores_of((*peer)->child()), 1);
}

TEST(Canned, AnswersWholeRequestsAndLeavesTheRest) {
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  for (std::size_t cut = 0; cut < get.size(); ++cut) {
    std::string out;
    EXPECT_EQ(answer_canned(get + get.substr(0, cut), "$1\r\nx\r\n", out), get.size()) << cut;
    EXPECT_EQ(out, "$1\r\nx\r\n");
  }
  for (const char* wrong : {"GET k\r\n", "*x\r\n", "*0\r\n", "*1\r\n+GET\r\n", "*9999999\r\n"}) {
    std::string out;
    EXPECT_FALSE(answer_canned(wrong, "", out)) << wrong;
  }
}

}  // namespace
}  // namespace nearlane::harness
