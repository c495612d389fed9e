#include "harness/topology/fault_proxy.h"

#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

class Proxied : public testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis.emplace(std::move(*started));
    auto between = FaultProxy::start(redis->endpoint());
    ASSERT_TRUE(between) << between.error().detail;
    proxy.emplace(std::move(*between));
    client.emplace(proxy->endpoint(), 10s);
  }

  /// For what is not going to be answered.
  void lose_patience() { client.emplace(proxy->endpoint(), 300ms); }

  bool answers() { return client->command({"PING"}).has_value(); }
  Errc failure() {
    const auto reply = client->command({"PING"});
    return reply ? Errc::unsupported : reply.error().code;
  }
  Duration round_trip() {
    const TimePoint begin = Clock::now();
    EXPECT_TRUE(answers());
    return Clock::now() - begin;
  }
  long long connections() {
    const auto field = redis->client().info("clients", "connected_clients");
    return field ? std::stoll(*field) : -1;
  }

  std::optional<RedisServer> redis;
  std::optional<FaultProxy> proxy;
  std::optional<RedisClient> client;
};

TEST_F(Proxied, IsNotNoticedWhileNothingIsWrong) {
  const std::string large(std::size_t{20} << 20U,
                          'x');  // more than a way of a connection may queue
  ASSERT_TRUE(client->command({"SET", "k", large}));
  EXPECT_EQ(client->command({"GET", "k"})->text, large);
  EXPECT_EQ(proxy->counts().accepted, 1U);
  EXPECT_EQ(proxy->counts().open, 1U);
  EXPECT_EQ(proxy->counts().pushes, 0U);
}

TEST_F(Proxied, DelaysEachWay) {
  ASSERT_TRUE(answers());
  proxy->delay(Way::to_server, 40ms);
  EXPECT_GE(round_trip(), 40ms);
  proxy->delay(Way::to_client, 60ms);
  EXPECT_GE(round_trip(), 100ms);
  proxy->heal();
  ASSERT_TRUE(answers());  // behind what was still on its way
  EXPECT_LT(round_trip(), 40ms);
}

TEST_F(Proxied, HoldsWhatIsOnItsWayAndDeliversItAfterwards) {
  lose_patience();
  for (const Way way : {Way::to_server, Way::to_client}) {
    ASSERT_TRUE(client->command({"SET", "k", "before"}));
    proxy->hold(way, true);
    EXPECT_EQ(client->command({"SET", "k", "after"}).error().code, Errc::timeout);
    // Either the command or only its reply is on its way.
    EXPECT_EQ(redis->client().command({"GET", "k"})->text,
              way == Way::to_server ? "before" : "after");
    proxy->heal();
    ASSERT_TRUE(answers());
    const TimePoint patience = Clock::now() + 5s;
    while (way == Way::to_server && redis->client().command({"GET", "k"})->text != "after" &&
           Clock::now() < patience) {
    }
  }
}

TEST_F(Proxied, CutsAndRefuses) {
  ASSERT_TRUE(answers());
  proxy->cut();
  EXPECT_EQ(failure(), Errc::connection_lost);
  EXPECT_TRUE(answers()) << "a new connection";
  proxy->refuse(true);
  proxy->cut();
  EXPECT_FALSE(answers());
  EXPECT_FALSE(answers());
  proxy->heal();
  EXPECT_TRUE(answers());
}

TEST_F(Proxied, StrandsAClientThatIsNotTold) {
  lose_patience();
  ASSERT_TRUE(answers());
  const long long before = connections();
  proxy->strand();
  EXPECT_EQ(failure(), Errc::timeout) << "it is connected to nobody";
  EXPECT_EQ(connections(), before - 1);
  EXPECT_TRUE(answers()) << "a new connection is well";
}

TEST_F(Proxied, SendsNewConnectionsElsewhere) {
  auto other = RedisServer::start();
  ASSERT_TRUE(other);
  ASSERT_TRUE(client->command({"SET", "k", "first"}));
  ASSERT_TRUE(other->client().command({"SET", "k", "second"}));
  proxy->retarget(other->endpoint());
  EXPECT_EQ(client->command({"GET", "k"})->text, "first");
  proxy->cut();
  EXPECT_FALSE(answers());
  EXPECT_EQ(client->command({"GET", "k"})->text, "second");
}

TEST_F(Proxied, EndsWhenEitherSideEnds) {
  ASSERT_TRUE(answers());
  redis->kill();
  EXPECT_FALSE(answers());
  ASSERT_TRUE(redis->restart());
  ASSERT_TRUE(answers());
  client->close();
  const TimePoint patience = Clock::now() + 5s;
  while (proxy->counts().open != 0 && Clock::now() < patience) std::this_thread::yield();
  EXPECT_EQ(proxy->counts().open, 0U);
}

}  // namespace
}  // namespace nearlane::harness
