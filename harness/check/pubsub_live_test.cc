// Stores that announce no changes: instances tell each other, and every answer is judged as where Redis does.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "harness/check/checked.h"
#include "harness/check/http_client.h"
#include "harness/check/succeeded.h"
#include "harness/topology/eventually.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// As stores of before HELLO answer, which know no tracking either.
const std::vector<std::string> kWithoutHello = {"--rename-command", "HELLO", ""};

std::string mode_of(const Instance& instance) {
  return RedisClient(instance.resp(), Checked::kPatience)
      .info("nearlane", "coherence_mode")
      .value();
}

std::string ask(RedisClient& client, std::initializer_list<std::string_view> command) {
  const auto reply = client.command(command);
  return reply ? reply->text : reply.error().detail;
}

/// Only instances write.
class Announced : public Checked {
 protected:
  Announced() { store_writes = false; }
  void start_announced(FleetOptions shape, bool watched = true) {
    if (shape.redis.empty()) shape.redis = kWithoutHello;
    start(std::move(shape), watched);
    if (!traffic) return;
    for (const Instance& instance : fleet->instances) ASSERT_EQ(mode_of(instance), "pubsub");
  }
};

TEST_F(Announced, ThreeInstancesAgree) {
  start_announced({.instances = 3, .threads = 2, .flags = {"--negative-ttl", "60s"}}, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  expect_coherent();
}

TEST_F(Announced, NothingOldSurvivesALostChannel) {
  start_announced({.instances = 2});
  if (!traffic) return;
  for (int round = 0; round < 5; ++round) {
    direct({"CLIENT", "KILL", "TYPE", "pubsub"});
    run_for(300ms);
  }
  expect_coherent();
}

TEST_F(Announced, NothingOldSurvivesLostConnections) {
  start_announced({.instances = 2});
  if (!traffic) return;
  lose_connections();
  expect_coherent();
}

TEST_F(Announced, BlackholedFromRedis) {
  start_announced({.instances = 2});
  if (!traffic) return;
  hold_and_heal();
  expect_coherent();
}

TEST_F(Announced, SlowFromRedis) {
  start_announced({.instances = 2});
  if (!traffic) return;
  fleet->proxies[0].delay(Way::to_client, 150ms);
  run_for(1s);
  // In this order, so that what waited is lost and does not come at last.
  fleet->proxies[0].cut();
  fleet->proxies[0].heal();
  expect_coherent();
}

TEST_F(Announced, AnInstanceThatIsKilledComesBackClean) {
  start_announced({.instances = 2});
  if (!traffic) return;
  ASSERT_NO_FATAL_FAILURE(kill_and_restart(0));
  expect_coherent();
}

TEST_F(Announced, ARedisThatHangsOrForgetsEverythingIsFollowed) {
  start_announced({.instances = 2});
  if (!traffic) return;
  ASSERT_NO_FATAL_FAILURE(hang_redis());
  ASSERT_NO_FATAL_FAILURE(kill_redis());
  expect_coherent();
}

/// Somebody writes past all instances: then the bound is another.
class AnnouncedToNobody : public Checked {
 protected:
  // Longer than a slow machine takes to read all keys twice at the end, which L1 is to answer at least once.
  static constexpr Duration kTtl = 1500ms;
  AnnouncedToNobody() : Checked(kTtl + kLease) {}
};

TEST_F(AnnouncedToNobody, AnybodyElsesWritesAreSeenWithinTheTtl) {
  start({.instances = 2, .flags = {"--pubsub-ttl", "1500ms"}, .redis = kWithoutHello});
  if (!traffic) return;
  run_for(4s);
  expect_coherent();
}

/// What an instance writes by any of its ways is known at the other within the lease.
class EveryWay : public testing::TestWithParam<bool> {};

TEST_P(EveryWay, OfWritingIsAnnounced) {
  const bool by_permission = GetParam();
  FleetOptions shape{.instances = 2, .proxied = false, .lanes = 4, .flags = {"--pubsub-ttl", "1h"}};
  if (by_permission) {
    shape.redis = {"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-client|tracking"};
    shape.flags.insert(shape.flags.end(), {"--coherence", "pubsub"});
  } else {
    shape.redis = kWithoutHello;
  }
  auto started = Fleet::start(shape);
  ASSERT_TRUE(started) << started.error().detail;
  ASSERT_TRUE(started->ready_within(Checked::kPatience));
  RedisClient here(started->instances[0].resp(), Checked::kPatience);
  RedisClient there(started->instances[1].resp(), Checked::kPatience);
  ASSERT_EQ(mode_of(started->instances[0]), "pubsub");
  ASSERT_EQ(mode_of(started->instances[1]), "pubsub");
  const std::vector<std::vector<std::string_view>> ways = {
      {"SET", "k", "1"},
      {"MSET", "k", "2", "j", "2"},
      {"APPEND", "k", "3"},
      {"EVAL", "return redis.call('SET', KEYS[1], '4')", "1", "k"},
      {"EVAL", "return redis.call('SET', 'k', '5')", "0"},
      {"COPY", "j", "k", "REPLACE"},
      {"GETSET", "k", "6"},
      {"DEL", "k"},
      {"SETEX", "k", "100", "7"},
      {"FLUSHALL"},
  };
  const auto l1_hits = [&] { return std::stoul(there.info("nearlane", "l1_hits").value()); };
  for (const auto& way : ways) {
    const std::string before = ask(there, {"GET", "k"});
    // Both have it in L1 by then.
    const auto hits = l1_hits();
    ASSERT_TRUE(eventually(
        [&] {
          EXPECT_EQ(ask(there, {"GET", "k"}), before);
          return before.empty() || l1_hits() > hits;
        },
        Checked::kPatience));
    const auto reply = here.command(std::span(way));
    ASSERT_TRUE(reply && !reply->is_error()) << way[0] << ": " << reply->text;
    const std::string now = ask(here, {"GET", "k"});
    const TimePoint written = Clock::now();
    EXPECT_EQ(ask(here, {"GET", "k"}), now);
    while (ask(there, {"GET", "k"}) != now && Clock::now() - written < Checked::kPatience) {
    }
    EXPECT_LT(Clock::now() - written, Checked::kLease + 250ms) << way[0];
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryWay, testing::Bool(), [](const auto& by_permission) {
  return by_permission.param ? "WithoutPermissionToTrack" : "WithoutHello";
});

// Auditors, and `nearlane why`, only look.
TEST(PubsubLive, WhoAsksWhyTakesNobodysCopyAway) {
  auto started = Fleet::start({.instances = 2,
                               .proxied = false,
                               .lanes = 4,
                               .flags = {"--pubsub-ttl", "1h"},
                               .redis = kWithoutHello});
  ASSERT_TRUE(started) << started.error().detail;
  ASSERT_TRUE(started->ready_within(Checked::kPatience));
  RedisClient here(started->instances[0].resp(), Checked::kPatience);
  RedisClient there(started->instances[1].resp(), Checked::kPatience);
  HttpClient asker(started->instances[0].http());
  ASSERT_EQ(ask(here, {"SET", "k", "v"}), "OK");
  // Of values; a lease that has run out is confirmed without one.
  const auto fetches = [&] {
    return here.info("nearlane", "l2_hits").value() + " and " +
           there.info("nearlane", "l2_hits").value();
  };
  const auto read = [&] {
    EXPECT_EQ(ask(here, {"GET", "k"}), "v");
    EXPECT_EQ(ask(there, {"GET", "k"}), "v");
  };
  // Both have it in L1 by then.
  ASSERT_TRUE(eventually(
      [&] {
        const std::string before = fetches();
        read();
        return fetches() == before;
      },
      Checked::kPatience));
  const std::string before = fetches();
  EXPECT_THAT(asker.exchange("GET", "/why/k").body, testing::HasSubstr("\"as_in_l1\": true"));
  for (const TimePoint end = Clock::now() + Checked::kLease; Clock::now() < end;) read();
  EXPECT_EQ(fetches(), before);
}

/// Two instances over one Redis that may not be tracked. The first one may not publish.
class Mute : public testing::Test {
 protected:
  void SetUp() override {
    auto started =
        RedisServer::start({.config = {"--user", "default", "on", "nopass", "~*", "&*", "+@all",
                                       "-client|tracking", "--user", "mute", "on", ">pass", "~*",
                                       "resetchannels", "+@all", "-client|tracking"}});
    ASSERT_TRUE(started) << started.error().detail;
    redis.emplace(std::move(*started));
    const std::string address = redis->endpoint().to_string();
    for (const std::string& url : {"redis://mute:pass@" + address, "redis://" + address}) {
      auto instance = Instance::start({.l2 = url,
                                       .flags = {"--pool", "4", "--coherence", "pubsub",
                                                 "--max-stale", "0ms", "--pubsub-ttl", "1s"}});
      ASSERT_TRUE(instance) << instance.error().detail;
      ASSERT_TRUE(succeeded(instance->lanes_up_within(4, Checked::kPatience)));
      instances.push_back(std::move(*instance));
    }
  }

  std::optional<RedisServer> redis;
  std::vector<Instance> instances;
};

TEST_F(Mute, RevokesStrictlyAllTheSame) {
  ASSERT_EQ(mode_of(instances[0]), "none");
  ASSERT_EQ(mode_of(instances[1]), "pubsub");
  RedisClient mute(instances[0].resp(), Checked::kPatience);
  RedisClient other(instances[1].resp(), Checked::kPatience);
  ASSERT_EQ(ask(mute, {"SET", "k", "v"}), "OK");
  const auto hits = [&] { return std::stoul(other.info("nearlane", "l1_hits").value()); };
  // A copy ends by its age, so it has to be a young one.
  const auto before = hits();
  ASSERT_TRUE(eventually(
      [&] {
        EXPECT_EQ(ask(other, {"GET", "k"}), "v");
        return hits() > before;
      },
      Checked::kPatience));
  const auto reply = mute.command({"NEARLANE.REVOKE", "k"});
  ASSERT_TRUE(reply && reply->integer == 1) << (reply ? reply->text : reply.error().detail);
  EXPECT_EQ(ask(other, {"GET", "k"}), "");
}

TEST(PubsubLive, WithoutPermissionToPublishL1ServesNothing) {
  auto redis = RedisServer::start({.config = {"--user", "default", "on", "nopass", "~*",
                                              "resetchannels", "+@all", "-client|tracking"}});
  ASSERT_TRUE(redis) << redis.error().detail;
  auto started =
      Instance::start({.l2 = redis->url(), .flags = {"--pool", "4", "--coherence", "pubsub"}});
  ASSERT_TRUE(started) << started.error().detail;
  ASSERT_TRUE(succeeded(started->lanes_up_within(4, Checked::kPatience)));
  EXPECT_EQ(mode_of(*started), "none");
  RedisClient client(started->resp(), Checked::kPatience);
  EXPECT_EQ(ask(client, {"SET", "k", "v"}), "OK") << "and still carries writes";
  EXPECT_EQ(ask(client, {"MSET", "k", "w", "j", "w"}), "OK");
  RedisClient direct = redis->client();
  EXPECT_EQ(ask(client, {"GET", "k"}), "w");
  EXPECT_EQ(ask(direct, {"SET", "k", "x"}), "OK");
  EXPECT_EQ(ask(client, {"GET", "k"}), "x");
}

TEST(PubsubLive, WhoAloneWritesNeedsNobodyToTellHim) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  auto started =
      Instance::start({.l2 = redis->url(), .flags = {"--pool", "4", "--coherence", "none"}});
  ASSERT_TRUE(started) << started.error().detail;
  ASSERT_TRUE(succeeded(started->lanes_up_within(4, Checked::kPatience)));
  EXPECT_EQ(mode_of(*started), "local");
  RedisClient client(started->resp(), Checked::kPatience);
  EXPECT_EQ(ask(client, {"SET", "k", "v"}), "OK");
  RedisClient direct = redis->client();
  EXPECT_EQ(ask(direct, {"SET", "k", "x"}), "OK");
  EXPECT_EQ(ask(client, {"GET", "k"}), "v") << "as it was asked for";
  EXPECT_EQ(ask(client, {"EVAL", "return redis.call('SET', 'k', 'y')", "0"}), "OK");
  EXPECT_EQ(ask(client, {"GET", "k"}), "y") << "its own writes it knows, whatever they are";
  EXPECT_EQ(ask(client, {"FLUSHALL"}), "OK");
  EXPECT_EQ(ask(client, {"GET", "k"}), "");
}

// Redis draws a new replication id then, and what had been read under the old one is disowned: once.
TEST(PubsubLive, WhoAloneWritesServesOnWhenHisRedisGetsAReplica) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  auto started =
      Instance::start({.l2 = redis->url(), .flags = {"--pool", "1", "--coherence", "none"}});
  ASSERT_TRUE(started) << started.error().detail;
  ASSERT_TRUE(succeeded(started->lanes_up_within(1, Checked::kPatience)));
  RedisClient client(started->resp(), Checked::kPatience);
  RedisClient direct = redis->client();
  EXPECT_EQ(ask(client, {"SET", "k", "v"}), "OK");
  const auto history = [&] { return direct.info("replication", "master_replid").value(); };
  const auto fetches = [&] { return client.info("nearlane", "l2_hits").value(); };
  const auto read_for = [&](Duration duration) {
    for (const TimePoint end = Clock::now() + duration; Clock::now() < end;)
      EXPECT_EQ(ask(client, {"GET", "k"}), "v");
  };
  const std::string before = history();
  const Endpoint& master = redis->endpoint();
  auto replica =
      RedisServer::start({.config = {"--replicaof", master.host, std::to_string(master.port)}});
  ASSERT_TRUE(replica) << replica.error().detail;
  ASSERT_TRUE(eventually([&] { return history() != before; }, Checked::kPatience));
  // It is asked for once a second.
  read_for(1500ms);
  const std::string settled = fetches();
  read_for(100ms);
  EXPECT_EQ(fetches(), settled);
}

}  // namespace
}  // namespace nearlane::harness
