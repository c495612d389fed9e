#include "harness/topology/redis_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(RedisServer, AnswersAndLeavesNothingBehind) {
  std::filesystem::path folder;
  {
    auto server = RedisServer::start();
    ASSERT_TRUE(server) << server.error().detail;
    auto client = server->client();
    ASSERT_EQ(client.command({"SET", "a", "b"})->text, "OK");
    EXPECT_EQ(client.command({"GET", "a"})->text, "b");
    EXPECT_TRUE(client.command({"GET", "none"})->is_nil());
    EXPECT_TRUE(client.command({"NOSUCH"})->is_error());
    EXPECT_EQ(*client.info("server", "tcp_port"), std::to_string(server->endpoint().port));
    EXPECT_FALSE(client.info("server", "no_such_field"));
    auto configured = client.command({"CONFIG", "GET", "dir"});
    ASSERT_TRUE(configured);
    folder = configured->elements.at(1).text;
    EXPECT_TRUE(std::filesystem::exists(folder));
    EXPECT_EQ(client.command({"CONFIG", "GET", "save"})->elements.at(1).text, "");
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(RedisServer, TakesConfiguration) {
  auto server = RedisServer::start({.config = {"--maxmemory", "12mb"}});
  ASSERT_TRUE(server) << server.error().detail;
  EXPECT_EQ(server->client().command({"CONFIG", "GET", "maxmemory"})->elements.at(1).text,
            "12582912");
}

TEST(RedisServer, ShowsWhatAServerSaidThatWouldNotStart) {
  auto server = RedisServer::start({.config = {"--no-such-option", "1"}});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::unavailable);
  EXPECT_THAT(server.error().detail, HasSubstr("no-such-option"));
  auto absent = RedisServer::start({.program = "no-such-redis"});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Errc::invalid_argument);
}

TEST(RedisServer, StallsAndResumes) {
  auto server = RedisServer::start();
  ASSERT_TRUE(server) << server.error().detail;
  RedisClient client(server->endpoint(), 100ms);
  ASSERT_TRUE(client.command({"PING"}));
  ASSERT_TRUE(server->stall());
  auto reply = client.command({"PING"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::timeout);
  ASSERT_TRUE(server->resume());
  EXPECT_TRUE(server->client().command({"PING"}));
}

TEST(RedisServer, IsHeardByASubscriber) {
  auto server = RedisServer::start();
  ASSERT_TRUE(server) << server.error().detail;
  RedisClient subscriber(server->endpoint());
  EXPECT_EQ(subscriber.listen(0ms).error().code, Errc::connection_lost) << "it is not connected";
  ASSERT_TRUE(subscriber.command({"SUBSCRIBE", "news"}));
  const auto nothing = subscriber.listen(10ms);
  ASSERT_TRUE(nothing) << nothing.error().detail;
  EXPECT_FALSE(*nothing);
  for (const char* said : {"one", "two"})
    ASSERT_EQ(server->client().command({"PUBLISH", "news", said})->integer, 1);
  for (const char* said : {"one", "two"}) {
    const auto heard = subscriber.listen(5s);
    ASSERT_TRUE(heard) << heard.error().detail;
    ASSERT_TRUE(*heard);
    ASSERT_EQ((*heard)->elements.size(), 3U);
    EXPECT_EQ((*heard)->elements[2].text, said);
  }
  server->kill();
  EXPECT_EQ(subscriber.listen(5s).error().code, Errc::connection_lost);
}

TEST(RedisServer, ComesBackEmptyOnTheSamePortAfterAKill) {
  auto server = RedisServer::start();
  ASSERT_TRUE(server) << server.error().detail;
  const auto endpoint = server->endpoint();
  auto client = server->client();
  ASSERT_TRUE(client.command({"SET", "a", "b"}));
  server->kill();
  EXPECT_FALSE(client.command({"GET", "a"}));
  auto down = client.command({"GET", "a"});
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().code, Errc::unavailable);
  ASSERT_TRUE(server->restart());
  EXPECT_EQ(server->endpoint(), endpoint);
  auto reply = client.command({"GET", "a"});
  ASSERT_TRUE(reply) << reply.error().detail;
  EXPECT_TRUE(reply->is_nil());
}

TEST(RedisServer, ManyStartAtOnceOnPortsOfTheirOwn) {
  std::vector<RedisServer> servers;
  for (int i = 0; i < 6; ++i) {
    auto server = RedisServer::start();
    ASSERT_TRUE(server) << server.error().detail;
    servers.push_back(std::move(*server));
  }
  for (std::size_t i = 0; i < servers.size(); ++i) {
    ASSERT_TRUE(servers[i].client().command({"SET", "me", std::to_string(i)}));
  }
  for (std::size_t i = 0; i < servers.size(); ++i) {
    EXPECT_EQ(servers[i].client().command({"GET", "me"})->text, std::to_string(i));
  }
}

}  // namespace
}  // namespace nearlane::harness
