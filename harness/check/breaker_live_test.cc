// A Redis that hangs: callers pay their timeout for a moment, then nobody asks, and when it is back everybody may again.
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kLanes = 4;
constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong
constexpr Duration kTimeout = 1s;    // of a call to L2
constexpr const char* kNotAsked =
    "-ERR nearlane: L2 cannot be reached; nothing was sent: most calls failed of late, so it is "
    "not asked";

class BreakerLive : public testing::Test {
 protected:
  BreakerLive() {
    auto started = Instance::start(
        {.l2 = redis.url(),
         .flags = {"--threads", "1", "--pool", std::to_string(kLanes), "--l2-timeout", "1s"}});
    if (!started) throw std::runtime_error(started.error().detail);
    nearlane.emplace(std::move(*started));
    const auto up = nearlane->lanes_up_within(kLanes, kPatience);
    if (!up) throw std::runtime_error(up.error().detail);
    client.emplace(RawClient::connect(nearlane->resp()).value());
    web.emplace(nearlane->http());
  }
  std::string ask(const std::string& inline_command) {
    EXPECT_TRUE(client->send(inline_command + "\r\n"));
    const auto reply = client->read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// So many reads at once of keys that L1 does not have.
  void miss_at_once(int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += "GET none" + std::to_string(i) + "\r\n";
    ASSERT_TRUE(client->send(all));
    for (int i = 0; i < count; ++i) ASSERT_TRUE(client->read(kPatience));
  }
  /// The breaker's state, by one page of metrics: two pages could tell of two states.
  std::string state() {
    const std::string page = web->exchange("GET", "/metrics").body;
    std::string all;
    for (const std::string each : {"closed", "open", "half_open"}) {
      const std::string line = "nearlane_breaker_state{state=\"" + each + "\"} 1\n";
      if (page.find(line) != std::string::npos) all += each;
    }
    return all;
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<Instance> nearlane;
  std::optional<RawClient> client;
  std::optional<HttpClient> web;
};

TEST_F(BreakerLive, AHungRedisIsNotAskedForLongAndIsAskedAgainSoon) {
  ASSERT_EQ(ask("SET k v"), "+OK\r\n");
  ASSERT_EQ(state(), "closed");
  ASSERT_TRUE(redis.stall());
  miss_at_once(30);
  ASSERT_THAT(state(), testing::AnyOf("open", "half_open"));
  EXPECT_EQ(web->exchange("GET", "/readyz").status, "503");

  // Nobody pays a timeout any more. The best of some, because this machine has pauses of its own.
  Duration best = kTimeout;
  for (int i = 0; i < 20; ++i) {
    const TimePoint asked = Clock::now();
    const std::string answer = ask("GET none");
    best = std::min(best, Clock::now() - asked);
    ASSERT_TRUE(answer.starts_with(kNotAsked)) << answer;
  }
  EXPECT_LT(best, 20ms);
  EXPECT_TRUE(ask("SET k w").starts_with(kNotAsked)) << "and no write is acknowledged";
  EXPECT_EQ(web->exchange("DELETE", "/cache/k").status, "503");

  ASSERT_TRUE(redis.resume());
  ASSERT_TRUE(eventually([&] { return state() == "closed"; }, kPatience));
  EXPECT_EQ(web->exchange("GET", "/readyz").status, "200");
  for (int i = 0; i < 50; ++i) ASSERT_EQ(ask("SET k w"), "+OK\r\n");
}

TEST_F(BreakerLive, ARedisThatIsGoneIsNotAskedAtOnce) {
  redis.kill();
  ASSERT_TRUE(eventually(
      [&] {
        (void)ask("GET none");
        return state() == "open";
      },
      kPatience));
  ASSERT_TRUE(redis.restart());
  ASSERT_TRUE(eventually([&] { return state() == "closed"; }, kPatience));
  ASSERT_TRUE(eventually([&] { return ask("SET k v") == "+OK\r\n"; }, kPatience));
}

}  // namespace
}  // namespace nearlane::harness
