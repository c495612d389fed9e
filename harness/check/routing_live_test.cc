// Two real instances over one redis-server, requests going to either: touches that do not go to Redis, copies that
// come back after another's touch, and sessions that are there before anybody has asked for them.
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong
constexpr unsigned kLanes = 4;

struct Node {
  explicit Node(Instance started)
      : server(std::move(started)), resp(server.resp()), web(server.http()) {}

  std::string ask(std::initializer_list<std::string_view> command) {
    const auto reply = resp.command(command);
    if (!reply) return reply.error().detail;
    return reply->kind == RedisReply::Kind::integer ? std::to_string(reply->integer) : reply->text;
  }
  HttpResponse get(const std::string& key) { return web.exchange("GET", "/cache/" + key); }
  /// A metric without labels, or with them as they are written.
  long metric(const std::string& name) {
    const std::string page = web.exchange("GET", "/metrics").body;
    const auto at = page.find("\n" + name + " ");
    long value = -1;
    if (at != std::string::npos) {
      const char* from = page.data() + at + name.size() + 2;
      std::from_chars(from, page.data() + page.size(), value);
    }
    return value;
  }
  bool reaches(const std::string& name, long value) {
    for (const TimePoint end = Clock::now() + kPatience; Clock::now() < end;) {
      if (metric(name) == value) return true;
    }
    return false;
  }

  Instance server;
  RedisClient resp;
  HttpClient web;
};

constexpr const char* kRefreshes = "nearlane_background_fills_total{why=\"refresh\"}";
constexpr const char* kPrefetches = "nearlane_background_fills_total{why=\"prefetch\"}";
constexpr const char* kRefills = "nearlane_background_fills_total{why=\"refill\"}";
constexpr const char* kEntries = "nearlane_l1_entries";

class RoutingLive : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder) << folder.error().detail;
    folder_.emplace(std::move(*folder));
    auto redis = RedisServer::start();
    ASSERT_TRUE(redis) << redis.error().detail;
    redis_.emplace(std::move(*redis));
  }

  /// With a lease so long that no machine is slow enough for it to run out.
  std::unique_ptr<Node> start(const std::string& rules, const std::string& user = "") {
    const std::string config = folder_->path() / "routing.toml";
    std::ofstream(config) << "[[prefix]]\nmatch = \"s:\"\n" << rules;
    auto started = Instance::start(
        {.l2 = "redis://" + user + redis_->endpoint().to_string(),
         .flags = {"--config", config, "--l1-bytes", "64MiB", "--threads", "1", "--pool",
                   std::to_string(kLanes), "--lease", "30s", "--l2-timeout", "10s"}});
    if (!started) throw std::runtime_error(started.error().detail);
    const auto up = started->lanes_up_within(kLanes, kPatience);
    EXPECT_TRUE(up) << up.error().detail;
    return std::make_unique<Node>(std::move(*started));
  }
  /// Both hear hints, which a message of the test's own shows.
  void await_subscribers(int count) {
    auto direct = redis_->client();
    long long heard = 0;
    for (const TimePoint end = Clock::now() + kPatience; heard < count && Clock::now() < end;) {
      heard = direct.command({"PUBLISH", "nearlane:hints", "no hint"}).value().integer;
    }
    ASSERT_EQ(heard, count);
  }
  /// How often Redis has executed the command.
  long calls(const std::string& command) {
    auto direct = redis_->client();
    const auto stats = direct.info("commandstats", "cmdstat_" + command);
    long count = 0;
    if (stats) {
      const auto from = stats->find("calls=") + 6;
      std::from_chars(stats->data() + from, stats->data() + stats->size(), count);
    }
    return count;
  }

  std::optional<TempDir> folder_;
  std::optional<RedisServer> redis_;
};

TEST_F(RoutingLive, TouchesThatMoveTheEndByLittleDoNotGoToRedis) {
  const auto node = start("touch_coalescing = true\n");
  ASSERT_EQ(node->ask({"SET", "s:1", "v", "EX", "1000"}), "OK");
  for (int i = 0; i < 50; ++i) ASSERT_EQ(node->ask({"EXPIRE", "s:1", "1010"}), "1");
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(node->web.exchange("POST", "/cache/s:1/touch?ttl=1010").status, "204");
  EXPECT_EQ(calls("expire"), 0);
  EXPECT_LE(calls("pexpire"), 0);
  EXPECT_EQ(node->metric("nearlane_touch_coalesced_total"), 100);

  ASSERT_EQ(node->ask({"PEXPIRE", "s:1", "1100000"}), "1");
  EXPECT_EQ(calls("pexpire"), 1) << "a tenth later is worth a write";
  ASSERT_EQ(node->ask({"EXPIRE", "s:1", "10"}), "1");
  EXPECT_EQ(calls("expire"), 1) << "and so is any that ends it sooner";
  ASSERT_EQ(node->ask({"EXPIRE", "s:1", "10", "XX"}), "1");
  EXPECT_EQ(calls("expire"), 2) << "with an option it is Redis's to judge";
  ASSERT_EQ(node->ask({"EXPIRE", "s:none", "1000"}), "0");
  EXPECT_EQ(calls("expire"), 3);
}

TEST_F(RoutingLive, WithoutTheOptInEveryTouchGoesToRedis) {
  const auto node = start("touch_coalescing = true\n");
  ASSERT_EQ(node->ask({"SET", "t:1", "v", "EX", "1000"}), "OK");
  for (int i = 0; i < 10; ++i) ASSERT_EQ(node->ask({"EXPIRE", "t:1", "1000"}), "1");
  EXPECT_EQ(calls("expire"), 10);
}

TEST_F(RoutingLive, ATouchIsNotAnsweredBeforeTheConnectionsOwnWrite) {
  const auto node = start("touch_coalescing = true\n");
  ASSERT_EQ(node->ask({"SET", "s:1", "v", "EX", "1000"}), "OK");
  // The write takes the expiry away: a touch answered from L1 in between would leave the key without.
  auto client = RawClient::connect(node->server.resp()).value();
  ASSERT_TRUE(client.send("SET s:1 w\r\nEXPIRE s:1 1000\r\n"));
  EXPECT_EQ(client.read(kPatience).value().bytes, "+OK\r\n");
  EXPECT_EQ(client.read(kPatience).value().bytes, ":1\r\n");
  const auto ttl = redis_->client().command({"TTL", "s:1"}).value().integer;
  EXPECT_GT(ttl, 900);
  EXPECT_EQ(calls("expire"), 1);
}

TEST_F(RoutingLive, AfterAnothersTouchTheNextReadIsAHit) {
  const auto a = start("refresh = true\n");
  const auto b = start("refresh = true\n");
  ASSERT_EQ(a->ask({"SET", "s:1", "v", "EX", "1000"}), "OK");
  ASSERT_EQ(b->get("s:1").body, "v");
  ASSERT_TRUE(b->get("s:1").from_l1());
  ASSERT_EQ(a->ask({"EXPIRE", "s:1", "2000"}), "1");
  ASSERT_TRUE(b->reaches(kRefreshes, 1));
  ASSERT_TRUE(b->reaches(kEntries, 1));
  const auto read = b->get("s:1");
  EXPECT_TRUE(read.from_l1());
  EXPECT_EQ(read.body, "v");
  EXPECT_EQ(b->metric("nearlane_background_fills_used_total"), 1);

  // The same for a write: what comes back is the new value.
  ASSERT_EQ(a->ask({"SET", "s:1", "w"}), "OK");
  ASSERT_TRUE(b->reaches(kRefreshes, 2));
  ASSERT_TRUE(b->reaches(kEntries, 1));
  const auto again = b->get("s:1");
  EXPECT_TRUE(again.from_l1());
  EXPECT_EQ(again.body, "w");
}

TEST_F(RoutingLive, WithoutTheOptInNothingIsReadUnasked) {
  const auto a = start("touch_coalescing = true\n");
  const auto b = start("touch_coalescing = true\n");
  ASSERT_EQ(a->ask({"SET", "s:1", "v", "EX", "1000"}), "OK");
  ASSERT_EQ(b->get("s:1").body, "v");
  ASSERT_EQ(a->ask({"EXPIRE", "s:1", "2000"}), "1");
  ASSERT_TRUE(b->reaches(kEntries, 0));
  EXPECT_FALSE(b->get("s:1").from_l1());
  EXPECT_EQ(b->metric(kRefreshes), 0);
  EXPECT_EQ(a->metric("nearlane_hints_total{way=\"sent\"}"), 0);
}

TEST_F(RoutingLive, ASessionIsThereBeforeAnybodyHasAskedForIt) {
  const auto a = start("prefetch = true\n");
  const auto b = start("prefetch = true\n");
  ASSERT_NO_FATAL_FAILURE(await_subscribers(2));
  ASSERT_EQ(a->ask({"SET", "s:1", "v", "EX", "1000"}), "OK");
  ASSERT_TRUE(b->reaches(kPrefetches, 1));
  ASSERT_TRUE(b->reaches(kEntries, 1));
  const auto read = b->get("s:1");
  EXPECT_TRUE(read.from_l1());
  EXPECT_EQ(read.body, "v");
  EXPECT_EQ(a->metric("nearlane_hints_total{way=\"sent\"}"), 1);
  EXPECT_EQ(a->metric(kPrefetches), 0) << "its own hint is no news to it";
  ASSERT_EQ(a->ask({"SET", "t:1", "v"}), "OK");
  EXPECT_EQ(a->metric("nearlane_hints_total{way=\"sent\"}"), 1) << "no prefix says so";
}

TEST_F(RoutingLive, WhatALostConnectionHasDisownedIsReadAgainUnasked) {
  const auto node = start("");
  for (const char* key : {"a", "b", "c", "d", "e", "f"})
    ASSERT_EQ(node->ask({"SET", key, "v"}), "OK");
  ASSERT_EQ(node->metric(kRefills), 0);
  ASSERT_TRUE(redis_->client().command({"CLIENT", "KILL", "TYPE", "normal"}));
  ASSERT_TRUE(node->reaches(kRefills, 6));
  // What others change from now on is announced again.
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    // It was sent, and is on its way.
    for (const TimePoint end = Clock::now() + kPatience; !node->get(key).from_l1();)
      ASSERT_LT(Clock::now(), end) << key;
    ASSERT_EQ(redis_->client().command({"SET", key, "w"}).value().text, "OK");
    for (const TimePoint end = Clock::now() + kPatience; node->get(key).body != "w";)
      ASSERT_LT(Clock::now(), end) << key;
  }
}

TEST_F(RoutingLive, AUserWhoMayNotSubscribeGoesWithoutHints) {
  auto direct = redis_->client();
  ASSERT_EQ(direct
                .command({"ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-subscribe",
                          "-publish"})
                .value()
                .text,
            "OK");
  const auto a = start("prefetch = true\n", "app:secret@");
  const auto b = start("prefetch = true\n", "app:secret@");
  ASSERT_EQ(a->ask({"SET", "s:1", "v"}), "OK");
  EXPECT_EQ(b->get("s:1").body, "v");
  EXPECT_TRUE(b->get("s:1").from_l1());
  EXPECT_EQ(b->metric("nearlane_hints_total{way=\"heard\"}"), 0);
  EXPECT_EQ(b->metric("nearlane_l2_connections{state=\"up\"}"), kLanes);
}

}  // namespace
}  // namespace nearlane::harness
