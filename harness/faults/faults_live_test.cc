// The program as a person would run it, with a client that was written for Toxiproxy and a real redis-server; and an
// instance whose connections to Redis are reset again and again.
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/check/http_client.h"
#include "harness/faults/api_server.h"
#include "harness/topology/child.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

HttpResponse ask(HttpClient& api, std::string_view method, std::string_view target,
                 const std::string& body = "") {
  api.send(fmt::format("{} {} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{}", method, target,
                       body.size(), body));
  return api.response();
}

TEST(FaultsLive, AClientOfToxiproxyFindsWhatItExpects) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis) << redis.error().detail;
  const auto program = find_beside("nearlane-bench");
  ASSERT_TRUE(program) << program.error().detail;
  auto proxy =
      Child::start({.name = "proxy", .argv = {program->string(), "proxy", "--api", "127.0.0.1:0"}});
  ASSERT_TRUE(proxy) << proxy.error().detail;
  const std::string ready = "nearlane-bench proxy ready api=";
  const auto line = proxy->wait_line(ready, 60s);
  ASSERT_TRUE(line) << line.error().detail;
  const auto url = line->substr(ready.size(), line->find(' ', ready.size()) - ready.size());
  auto node = Child::start({.name = "node",
                            .argv = {"node", FAULTS_FOLDER "/toxiproxy_client.js", url,
                                     std::to_string(redis->endpoint().port)},
                            .env = {"NODE_PATH=" NODE_PACKAGES}});
  ASSERT_TRUE(node) << node.error().detail;
  const auto ended = node->wait(100s);
  ASSERT_TRUE(ended) << ended.error().detail;
  EXPECT_EQ(ended->to_string(), "exit code 0");
  EXPECT_EQ(node->last_output(50), "");
  const auto stopped = proxy->terminate(20s);
  ASSERT_TRUE(stopped) << stopped.error().detail;
  EXPECT_EQ(stopped->to_string(), "exit code 0");
}

class StormLive : public testing::Test {
 protected:
  std::string create(const std::string& upstream) {
    const auto made =
        ask(api, "POST", "/proxies",
            Json{{"name", "redis"}, {"listen", "127.0.0.1:0"}, {"upstream", upstream}}.dump());
    EXPECT_EQ(made.status, "201") << made.body;
    return Json::parse(made.body)["listen"];
  }
  void add(const Json& toxic) {
    const auto added = ask(api, "POST", "/proxies/redis/toxics", toxic.dump());
    ASSERT_EQ(added.status, "200") << added.body;
  }
  void reset() { ASSERT_EQ(ask(api, "POST", "/reset").status, "204"); }

  RedisServer redis = RedisServer::start().value();
  ApiServer server = ApiServer::start("127.0.0.1:0").value();
  HttpClient api{server.endpoint()};
};

TEST_F(StormLive, LatencyIsSeenByAClientOfRedis) {
  RedisClient client(Endpoint::parse(create(redis.endpoint().to_string())).value(), 10s);
  ASSERT_TRUE(client.command({"SET", "k", "v"}));
  add({{"type", "latency"}, {"stream", "upstream"}, {"attributes", {{"latency", 30}}}});
  add({{"type", "latency"}, {"attributes", {{"latency", 40}}}});
  const TimePoint begin = Clock::now();
  const auto value = client.command({"GET", "k"});
  EXPECT_GE(Clock::now() - begin, 70ms);
  ASSERT_TRUE(value) << value.error().detail;
  EXPECT_EQ(value->text, "v");
}

TEST_F(StormLive, AnswersAreRightWhateverIsReset) {
  const auto listen = create(redis.endpoint().to_string());
  auto instance =
      Instance::start({.l2 = "redis://" + listen,
                       .flags = {"--threads", "1", "--pool", "4", "--l2-timeout", "500ms"}});
  ASSERT_TRUE(instance) << instance.error().detail;
  ASSERT_TRUE(instance->lanes_up_within(4, 20s));
  RedisClient client(instance->resp(), 20s);
  // What k may be: what was acknowledged last, or anything that was tried since.
  std::vector<std::string> possible;
  int tried = 0;
  int acknowledged = 0;
  int failed = 0;
  const auto write = [&] {
    const auto value = "v" + std::to_string(++tried);
    const auto reply = client.command({"SET", "k", value});
    ASSERT_TRUE(reply) << reply.error().detail << ": the instance itself answers";
    if (reply->text == "OK") {
      possible.clear();
      ++acknowledged;
    } else {
      ASSERT_TRUE(reply->is_error());
      ++failed;
    }
    possible.push_back(value);
  };
  const auto read = [&] {
    const auto reply = client.command({"GET", "k"});
    ASSERT_TRUE(reply) << reply.error().detail;
    if (reply->is_error()) {
      ++failed;
      return;
    }
    EXPECT_THAT(possible, testing::Contains(reply->text)) << "after " << tried << " writes";
  };
  write();
  ASSERT_EQ(acknowledged, 1);
  for (int round = 0; round < 12; ++round) {
    add({{"name", "up"}, {"type", "reset_peer"}, {"stream", "upstream"}, {"toxicity", 0.5}});
    add({{"name", "down"}, {"type", "reset_peer"}, {"toxicity", round % 2}});
    for (int i = 0; i < 10; ++i) {
      write();
      read();
      read();
    }
    reset();
    for (int i = 0; i < 10; ++i) {
      write();
      read();
    }
  }
  EXPECT_GT(failed, 0) << "there was a storm";
  ASSERT_TRUE(soon([&] {
    const int before = acknowledged;
    write();
    return acknowledged > before;
  })) << "it is over";
  const auto there = redis.client().command({"GET", "k"});
  ASSERT_TRUE(there);
  EXPECT_EQ(there->text, possible.back());
  EXPECT_EQ(client.command({"GET", "k"})->text, possible.back());
}

}  // namespace
}  // namespace nearlane::harness
