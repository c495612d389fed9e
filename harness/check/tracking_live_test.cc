// What the server makes of stores that announce changes and of those that do not: each connection is probed
// before L1 serves what was read over it.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/http_client.h"
#include "harness/topology/eventually.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong
constexpr unsigned kLanes = 4;

RedisServer start_redis(std::vector<std::string> config = {}) {
  return std::move(RedisServer::start({.config = std::move(config)}).value());
}

Instance start_over(const std::string& l2) {
  auto started = Instance::start(
      {.l2 = l2,
       .flags = {"--l1-bytes", "64MiB", "--pool", std::to_string(kLanes), "--l2-timeout", "10s"}});
  const auto up = started.value().lanes_up_within(kLanes, kPatience);
  EXPECT_TRUE(up) << up.error().detail;
  return std::move(*started);
}

std::string ask(RedisClient& client, std::initializer_list<std::string_view> command) {
  const auto reply = client.command(command);
  return reply ? reply->text : reply.error().detail;
}

/// Reads often enough that L1 would answer if it might, with somebody else writing meanwhile.
void expect_every_read_from_l2(const Instance& server, const RedisServer& redis) {
  RedisClient resp(server.resp());
  HttpClient web(server.http());
  RedisClient direct = redis.client();
  for (int i = 0; i < 50; ++i) {
    const std::string value = std::to_string(100 + i);
    ASSERT_EQ(ask(direct, {"SET", "k", value}), "OK");
    ASSERT_EQ(ask(resp, {"GET", "k"}), value) << "at once, not within a lease";
    ASSERT_EQ(ask(resp, {"GET", "k"}), value);
    const auto read = web.exchange("GET", "/cache/k");
    ASSERT_EQ(read.body, value);
    ASSERT_FALSE(read.from_l1());
    ASSERT_EQ(ask(resp, {"SET", "mine", value}), "OK");
    ASSERT_EQ(ask(direct, {"SET", "mine", "xyz"}), "OK");
    ASSERT_EQ(ask(resp, {"GET", "mine"}), "xyz");
  }
}

void expect_mode_none(const Instance& server, const std::string& reason) {
  HttpClient web(server.http());
  const auto ready = web.exchange("GET", "/readyz");
  EXPECT_EQ(ready.status, "200") << "it serves, and nothing stale";
  EXPECT_THAT(ready.body, HasSubstr("\"mode\": \"none\""));
  EXPECT_THAT(ready.body, HasSubstr(reason));
  EXPECT_THAT(web.exchange("GET", "/metrics").body,
              HasSubstr("nearlane_coherence_mode{mode=\"none\",bound_ms=\"250\"} 1"));
  EXPECT_EQ(RedisClient(server.resp()).info("nearlane", "coherence_mode").value(), "none");
}

TEST(TrackingLive, RedisIsProvenAndNothingIsLeftBehind) {
  const RedisServer redis = start_redis();
  const Instance server = start_over(redis.url());
  HttpClient web(server.http());
  EXPECT_EQ(redis.client().command({"DBSIZE"})->integer, 0);
  const auto ready = web.exchange("GET", "/readyz").body;
  EXPECT_THAT(ready, HasSubstr("\"mode\": \"lanes\""));
  EXPECT_THAT(ready, HasSubstr("\"bound_ms\": 250"));
  EXPECT_THAT(ready, Not(HasSubstr("reason")));
  const auto metrics = web.exchange("GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("nearlane_coherence_mode{mode=\"lanes\",bound_ms=\"250\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("nearlane_coherence_bound_seconds 0.25\n"));
  EXPECT_EQ(RedisClient(server.resp()).info("nearlane", "coherence_bound_ms").value(), "250");
  ASSERT_EQ(web.exchange("PUT", "/cache/k").status, "201");
  EXPECT_TRUE(eventually([&] { return web.exchange("GET", "/cache/k").from_l1(); }, kPatience));
}

TEST(TrackingLive, AStoreWithoutTrackingMakesInstancesTellEachOther) {
  const RedisServer redis = start_redis({"--rename-command", "CLIENT", ""});
  Instance server = start_over(redis.url());
  HttpClient web(server.http());
  EXPECT_THAT(web.exchange("GET", "/readyz").body, HasSubstr("\"mode\": \"pubsub\""));
  EXPECT_THAT(web.exchange("GET", "/metrics").body,
              HasSubstr("nearlane_coherence_mode{mode=\"pubsub\",bound_ms=\"250\"} 1"));
  EXPECT_TRUE(eventually(
      [&] {
        return server.child().last_output(100).find("2000 ms (pubsub_ttl)") != std::string::npos;
      },
      kPatience))
      << server.child().last_output(100);
}

TEST(TrackingLive, AStoreThatOnlySaysThatItTracksIsReadEveryTime) {
  const RedisServer redis = start_redis();
  auto proxy = FaultProxy::start(redis.endpoint());
  ASSERT_TRUE(proxy) << proxy.error().detail;
  proxy->drop_pushes(true);
  const Instance server = start_over("redis://" + proxy->endpoint().to_string());
  expect_mode_none(server, "did not announce a change");
  expect_every_read_from_l2(server, redis);
  EXPECT_GT(proxy->counts().pushes_dropped, 0U);
}

TEST(TrackingLive, APermissionGivenLaterIsFoundOut) {
  const RedisServer redis = start_redis();
  RedisClient direct = redis.client();
  ASSERT_EQ(
      ask(direct, {"ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking"}),
      "OK");
  const Instance server = start_over("redis://app:pw@" + redis.endpoint().to_string());
  expect_mode_none(server, "NOPERM");
  expect_every_read_from_l2(server, redis);
  ASSERT_EQ(ask(direct, {"ACL", "SETUSER", "app", "+client|tracking"}), "OK");
  HttpClient web(server.http());
  ASSERT_EQ(web.exchange("PUT", "/cache/k").status, "204");
  EXPECT_TRUE(eventually([&] { return web.exchange("GET", "/cache/k").from_l1(); }, kPatience));
  // The other lanes are probed again at their own time.
  RedisClient resp(server.resp());
  EXPECT_TRUE(eventually([&] { return resp.info("nearlane", "coherence_mode").value() == "lanes"; },
                         kPatience));
}

TEST(TrackingLive, AUserNeedsTheCommandsOfTheListAndNoOthers) {
  const RedisServer redis = start_redis();
  RedisClient direct = redis.client();
  // As docs/configuration.md has it.
  ASSERT_EQ(ask(direct, {"ACL",
                         "SETUSER",
                         "app",
                         "on",
                         ">pw",
                         "~app:*",
                         "~nearlane:probe:*",
                         "~nearlane:type:*",
                         "+get",
                         "+getrange",
                         "+set",
                         "+del",
                         "+exists",
                         "+pttl",
                         "+pexpire",
                         "+touch",
                         "+multi",
                         "+exec",
                         "+ping",
                         "+info",
                         "+client|tracking",
                         "+client|caching",
                         "+config|get",
                         "+config|set"}),
            "OK");
  const Instance server = start_over("redis://app:pw@" + redis.endpoint().to_string());
  HttpClient web(server.http());
  EXPECT_THAT(web.exchange("GET", "/readyz").body, HasSubstr("\"mode\": \"lanes\""));
  EXPECT_EQ(web.exchange("PUT", "/cache/app:k?ttl=100").status, "201");
  EXPECT_TRUE(web.exchange("GET", "/cache/app:k").from_l1());
  EXPECT_EQ(web.exchange("POST", "/cache/app:k/touch?ttl=50").status, "204");
  web.send(
      "PUT /cache/app:k HTTP/1.1\r\nHost: test\r\nContent-Type: text/css\r\nContent-Length: "
      "1\r\n\r\nv");
  EXPECT_EQ(web.response().status, "204");
  EXPECT_EQ(web.exchange("GET", "/cache/app:none").status, "404");
  EXPECT_EQ(web.exchange("DELETE", "/cache/app:k").status, "204");
  RedisClient resp(server.resp());
  EXPECT_EQ(ask(resp, {"SET", "app:k", "v"}), "OK");
  // Lanes that serve hits send PING and, once a second, INFO.
  for (const TimePoint end = Clock::now() + 1500ms; Clock::now() < end;) {
    ASSERT_EQ(ask(resp, {"GET", "app:k"}), "v");
  }
  const auto refused = direct.command({"ACL", "LOG"});
  ASSERT_TRUE(refused);
  EXPECT_TRUE(refused->elements.empty()) << "nothing was refused";
}

TEST(TrackingLive, AsksForATableOfTrackedKeysWithoutALimit) {
  const RedisServer redis = start_redis({"--tracking-table-max-keys", "100"});
  const Instance server = start_over(redis.url());
  RedisClient direct = redis.client();
  EXPECT_TRUE(eventually(
      [&] {
        const auto limit = direct.command({"CONFIG", "GET", "tracking-table-max-keys"});
        return limit && limit->elements.size() == 2 && limit->elements[1].text == "0";
      },
      kPatience));
}

TEST(TrackingLive, WarnsWhereTheTableKeepsItsLimit) {
  const RedisServer redis = start_redis({"--rename-command", "CONFIG", ""});
  Instance server = start_over(redis.url());
  EXPECT_TRUE(eventually(
      [&] {
        const auto said = server.child().last_output(100);
        const auto at = said.find("tracking-table-max-keys");
        return at != std::string::npos && said.find("cannot read") != std::string::npos;
      },
      kPatience))
      << server.child().last_output();
}

}  // namespace
}  // namespace nearlane::harness
