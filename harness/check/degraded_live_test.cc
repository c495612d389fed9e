// A Redis that hangs or is gone: what L1 had is served as stale and marked so, what it did not have fails at once, no write
// is acknowledged, and all is as before soon after Redis is back.
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/http_client.h"
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

class DegradedLive : public testing::Test {
 protected:
  void start(std::vector<std::string> flags = {}, const std::string& max_stale = "60s",
             const std::string& l2_timeout = "300ms") {
    proxy.emplace(FaultProxy::start(redis.endpoint()).value());
    std::vector<std::string> all = {
        "--threads",    "1",        "--pool",      std::to_string(kLanes),
        "--l2-timeout", l2_timeout, "--max-stale", max_stale};
    all.insert(all.end(), flags.begin(), flags.end());
    auto started =
        Instance::start({.l2 = "redis://" + proxy->endpoint().to_string(), .flags = all});
    if (!started) throw std::runtime_error(started.error().detail);
    nearlane.emplace(std::move(*started));
    const auto up = nearlane->lanes_up_within(kLanes, kPatience);
    if (!up) throw std::runtime_error(up.error().detail);
    client.emplace(RawClient::connect(nearlane->resp()).value());
    web.emplace(nearlane->http());
    ASSERT_EQ(ask("SET k value"), "+OK\r\n");
    ASSERT_EQ(ask("SET other value"), "+OK\r\n");
  }
  std::string ask(const std::string& inline_command) {
    EXPECT_TRUE(client->send(inline_command + "\r\n"));
    const auto reply = client->read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  HttpResponse get(const std::string& fields = "", const std::string& key = "k") {
    web->send("GET /cache/" + key + " HTTP/1.1\r\nHost: t\r\n" + fields + "\r\n");
    return web->response();
  }
  static bool says(const HttpResponse& response, const std::string& line) {
    return response.head.find("\r\n" + line) != std::string::npos;
  }
  bool is(const std::string& state) {
    const std::string page = web->exchange("GET", "/metrics").body;
    return page.find("nearlane_breaker_state{state=\"" + state + "\"} 1\n") != std::string::npos;
  }
  /// So many reads at once of keys that L1 does not have.
  void miss_at_once(int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += "GET none" + std::to_string(i) + "\r\n";
    ASSERT_TRUE(client->send(all));
    for (int i = 0; i < count; ++i) ASSERT_TRUE(client->read(kPatience));
  }
  void come_to_be_open() {
    ASSERT_TRUE(eventually(
        [&] {
          miss_at_once(20);
          return is("open") || is("half_open");
        },
        kPatience));
  }
  /// The best of some, because this machine has pauses of its own.
  Duration best_of_misses() {
    Duration best = kPatience;
    for (int i = 0; i < 20; ++i) {
      const TimePoint asked = Clock::now();
      const auto missed = get("", "none");
      best = std::min(best, Clock::now() - asked);
      EXPECT_EQ(missed.status, "503");
      EXPECT_TRUE(says(missed, "Retry-After: ")) << missed.head;
    }
    return best;
  }
  void expect_degraded() {
    const auto hit = get();
    EXPECT_EQ(hit.status, "200");
    EXPECT_EQ(hit.body, "value");
    EXPECT_TRUE(says(hit, "X-Cache: STALE\r\n")) << hit.head;
    const std::size_t tag = hit.head.find("ETag: ") + 6;
    const std::string etag = hit.head.substr(tag, hit.head.find('\r', tag) - tag);
    const auto unchanged = get("If-None-Match: " + etag + "\r\n");
    EXPECT_EQ(unchanged.status, "304");
    EXPECT_TRUE(says(unchanged, "X-Cache: STALE\r\n")) << unchanged.head;
    const auto part = get("Range: bytes=0-1\r\n");  // never by the fast lane
    EXPECT_EQ(part.status, "206");
    EXPECT_TRUE(says(part, "X-Cache: STALE\r\n")) << part.head;
    EXPECT_EQ(ask("GET k"), "$5\r\nvalue\r\n");
    EXPECT_EQ(ask("MGET k other"), "*2\r\n$5\r\nvalue\r\n$5\r\nvalue\r\n");
    EXPECT_NE(ask("INFO nearlane").find("\r\nl1_stale_hits:"), std::string::npos);
    EXPECT_EQ(ask("INFO nearlane").find("\r\nl1_stale_hits:0\r\n"), std::string::npos);

    EXPECT_LT(best_of_misses(), 5ms);
    EXPECT_TRUE(ask("GET none").starts_with("-ERR nearlane: L2 cannot be reached"));
    EXPECT_TRUE(ask("SET k w").starts_with("-ERR nearlane: L2 cannot be reached"));
    web->send("PUT /cache/k HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nw");
    const auto written = web->response();
    EXPECT_EQ(written.status, "503");
    EXPECT_NE(written.body.find("\"outcome\":\"not written\""), std::string::npos) << written.body;
    EXPECT_EQ(get().body, "value") << "a write that was not sent has changed nothing";
  }
  void expect_recovered() {
    EXPECT_TRUE(eventually([&] { return is("closed"); }, kPatience));
    EXPECT_TRUE(eventually([&] { return ask("SET k w") == "+OK\r\n"; }, kPatience));
    const auto hit = get();
    EXPECT_TRUE(says(hit, "X-Cache: L1\r\n")) << hit.head;
    EXPECT_EQ(hit.body, "w");
  }

  RedisServer redis = RedisServer::start().value();
  std::optional<FaultProxy> proxy;
  std::optional<Instance> nearlane;
  std::optional<RawClient> client;
  std::optional<HttpClient> web;
};

TEST_F(DegradedLive, AHungRedis) {
  start();
  ASSERT_TRUE(redis.stall());
  come_to_be_open();
  expect_degraded();
  ASSERT_TRUE(redis.resume());
  expect_recovered();
}

TEST_F(DegradedLive, ARedisThatIsGone) {
  start();
  redis.kill();
  come_to_be_open();
  // What is relayed and may have written anything was never sent.
  const auto relayed = ask("CONFIG GET maxmemory");
  EXPECT_TRUE(relayed.starts_with("-ERR nearlane: L2 cannot be reached")) << relayed;
  expect_degraded();
  ASSERT_TRUE(redis.restart());
  expect_recovered();
}

TEST_F(DegradedLive, TheLaneThatIsNotFastAnswersAlike) {
  start({"--http-fast-lane", "false"});
  ASSERT_TRUE(redis.stall());
  come_to_be_open();
  expect_degraded();
}

TEST_F(DegradedLive, NothingIsServedForLongerThanMaxStale) {
  start({}, "3s");
  const TimePoint before = Clock::now();
  ASSERT_TRUE(redis.stall());
  come_to_be_open();
  ASSERT_EQ(get().status, "200");
  ASSERT_TRUE(eventually([&] { return get().status == "503"; }, kPatience));
  EXPECT_GE(Clock::now() - before, 3s);
  EXPECT_TRUE(ask("GET k").starts_with("-ERR nearlane: L2 cannot be reached"));
}

TEST_F(DegradedLive, NothingIsServedWhereMaxStaleIsZero) {
  start({}, "0");
  ASSERT_TRUE(redis.stall());
  come_to_be_open();
  EXPECT_TRUE(eventually([&] { return get().status == "503"; }, kPatience));
}

TEST_F(DegradedLive, ADeleteOfUnknownOutcomeIsNotServed) {
  start();
  ASSERT_TRUE(redis.stall());
  const std::string deleted = ask("DEL k");
  EXPECT_NE(deleted.find("outcome"), std::string::npos) << deleted;
  come_to_be_open();
  EXPECT_EQ(get().status, "503");
  EXPECT_EQ(get("", "other").body, "value");
}

/// A network that is slow, but in time, opens nothing: what is asked for is asked.
TEST_F(DegradedLive, ASlowRedisIsStillAsked) {
  start({}, "60s", "5s");
  proxy->delay(Way::to_client, 100ms);
  for (int i = 0; i < 3; ++i) {
    miss_at_once(20);
    const auto hit = get();
    EXPECT_EQ(hit.status, "200");
    EXPECT_FALSE(says(hit, "X-Cache: STALE\r\n")) << hit.head;
  }
  EXPECT_TRUE(is("closed"));
}

}  // namespace
}  // namespace nearlane::harness
