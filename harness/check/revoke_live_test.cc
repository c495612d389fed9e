// Strict revocation between real processes: instances over one redis-server, one of them behind a proxy
// that can hold up what Redis says, so that only its lease ends what it serves.
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong

/// A connection whose replies can be asked for later than they come.
class RespClient {
 public:
  explicit RespClient(const Endpoint& endpoint) : client_(RawClient::connect(endpoint).value()) {}

  void send(std::string_view bytes) {
    const auto sent = client_.send(bytes);
    EXPECT_TRUE(sent) << sent.error().detail;
  }
  std::string reply() {
    const auto reply = client_.read(kPatience);
    return reply ? reply->bytes : reply.error().detail;
  }
  std::string exchange(const std::string& command) {
    send(command + "\r\n");
    return reply();
  }
  /// A reply that comes nevertheless is lost.
  [[nodiscard]] testing::AssertionResult is_silent_for(Duration duration) {
    const auto reply = client_.read(duration);
    if (reply) return testing::AssertionFailure() << reply->bytes;
    if (reply.error().code == Errc::timeout) return testing::AssertionSuccess();
    return testing::AssertionFailure() << reply.error().detail;
  }

 private:
  RawClient client_;
};

/// An instance and a client on each of its doors.
struct Node {
  explicit Node(Instance started)
      : server(std::move(started)), resp(server.resp()), http(server.http()) {}

  /// Reads until L1 answers; false: it never does.
  bool heat(const std::string& key) {
    for (const TimePoint end = Clock::now() + kPatience; Clock::now() < end;) {
      if (http.exchange("GET", "/cache/" + key).from_l1()) return true;
    }
    return false;
  }

  Instance server;
  RespClient resp;
  HttpClient http;
};

class Revoke : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder) << folder.error().detail;
    folder_.emplace(std::move(*folder));
    std::ofstream(config()) << "[[prefix]]\nmatch = \"s:\"\nmax_stale = 0\n";
    auto redis = RedisServer::start();
    ASSERT_TRUE(redis) << redis.error().detail;
    redis_.emplace(std::move(*redis));
  }

  [[nodiscard]] std::string config() const { return folder_->path() / "revoke.toml"; }

  /// One whose keys s:... can be revoked strictly; patient with its Redis, because other processes may
  /// take the machine away from it for a while.
  std::unique_ptr<Node> start(const Endpoint& l2, std::vector<std::string> more = {},
                              const std::string& l2_timeout = "10s") const {
    more.insert(more.end(), {"--config", config(), "--l1-bytes", "64MiB", "--threads", "1",
                             "--pool", "4", "--l2-timeout", l2_timeout});
    auto started = Instance::start({.l2 = "redis://" + l2.to_string(), .flags = std::move(more)});
    if (!started) throw std::runtime_error(started.error().detail);
    const auto up = started->lanes_up_within(4, kPatience);
    EXPECT_TRUE(up) << up.error().detail;
    return std::make_unique<Node>(std::move(*started));
  }

  void expect_deleted(const std::string& key) const {
    auto direct = redis_->client();
    const TimePoint end = Clock::now() + kPatience;
    while (true) {
      const auto there = direct.command({"EXISTS", key});
      ASSERT_TRUE(there) << there.error().detail;
      if (there->integer == 0) return;
      ASSERT_LT(Clock::now(), end);
    }
  }

  std::optional<TempDir> folder_;
  std::optional<RedisServer> redis_;
};

class RevokeAmongInstances : public Revoke,
                             public testing::WithParamInterface<std::tuple<int, const char*>> {};

INSTANTIATE_TEST_SUITE_P(Doors, RevokeAmongInstances,
                         testing::Combine(testing::Values(2, 3), testing::Values("Resp", "Http")),
                         [](const auto& param) {
                           return std::get<1>(param.param) +
                                  std::to_string(std::get<0>(param.param)) + "Instances";
                         });

TEST_P(RevokeAmongInstances, NobodyServesTheKeyOnceTheAnswerIsThere) {
  const auto [count, door] = GetParam();
  const bool over_resp = std::string_view(door) == "Resp";
  auto proxy = FaultProxy::start(redis_->endpoint());
  ASSERT_TRUE(proxy) << proxy.error().detail;
  std::vector<std::unique_ptr<Node>> nodes;
  nodes.push_back(start(proxy->endpoint()));
  while (static_cast<int>(nodes.size()) < count) nodes.push_back(start(redis_->endpoint()));
  Node& cut_off = *nodes[0];

  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    const std::string key = "s:" + std::to_string(round);
    const bool held = round % 2 == 1;
    // Whoever is cut off from Redis cannot revoke, so with held replies one of the others does.
    const auto by =
        static_cast<std::size_t>(held ? 1 + round / 2 % (count - 1) : round / 2 % count);
    Node& revoker = *nodes[by];
    ASSERT_EQ(revoker.resp.exchange("SET " + key + " secret"), "+OK\r\n");
    bool ready = false;
    for (int attempt = 0; attempt < 20 && !ready; ++attempt) {
      for (const auto& node : nodes) ASSERT_TRUE(node->heat(key));
      if (held) proxy->hold(Way::to_client, true);
      cut_off.http.send(http_request("GET", "/cache/" + key));
      // Not heard: the machine was so slow that the lease ran out before.
      const bool heard = !held || cut_off.http.hears_within(200ms);
      if (!heard) proxy->heal();
      ready = cut_off.http.response().from_l1() && heard;
      if (!ready) proxy->heal();
    }
    ASSERT_TRUE(ready);

    const auto asked = Clock::now();
    if (over_resp) {
      ASSERT_EQ(revoker.resp.exchange("NEARLANE.REVOKE " + key), ":1\r\n");
    } else {
      ASSERT_EQ(revoker.http.exchange("DELETE", "/cache/" + key + "?strict").status, "204");
    }
    for (const auto& node : nodes) node->resp.send("GET " + key + "\r\n");
    for (const auto& node : nodes) node->http.send(http_request("GET", "/cache/" + key));
    EXPECT_GE(Clock::now() - asked, 252ms);
    if (held) {
      // A copy would be served at once; whoever knows that it must ask Redis waits for them.
      ASSERT_TRUE(cut_off.resp.is_silent_for(50ms));
      ASSERT_FALSE(cut_off.http.hears_within(1ms)) << cut_off.http.response().body;
      proxy->heal();
    }
    for (const auto& node : nodes) {
      const std::string got = node->resp.reply();
      const auto response = node->http.response();
      EXPECT_EQ(got, "$-1\r\n") << "round " << round;
      EXPECT_EQ(response.status, "404") << "round " << round << ": " << response.body;
    }
  }
}

// A client that does not read holds its own requests up. They are answered as of when their turn comes, not as of when
// they came: by then the lease may be over.
TEST_F(Revoke, RequestsBehindAClientThatDoesNotReadRestOnALeaseThatStillRuns) {
  auto proxy = FaultProxy::start(redis_->endpoint());
  ASSERT_TRUE(proxy) << proxy.error().detail;
  const auto node = start(proxy->endpoint());
  auto direct = redis_->client();
  ASSERT_TRUE(direct.command({"SET", "s:k", "v"}));
  ASSERT_TRUE(direct.command({"SET", "s:large", std::string(2'000'000, 'v')}));
  ASSERT_TRUE(node->heat("s:k"));
  ASSERT_TRUE(node->heat("s:large"));

  constexpr int kLarge = 16;  // more than sockets hold
  std::string requests;
  for (int i = 0; i < kLarge; ++i) requests += http_request("GET", "/cache/s:large");
  requests += http_request("GET", "/cache/s:k");
  HttpClient slow(node->server.http());
  slow.send(requests);
  ASSERT_TRUE(slow.hears_within(5s));
  proxy->hold(Way::to_client, true);
  ASSERT_TRUE(direct.command({"DEL", "s:k"}));
  std::this_thread::sleep_for(600ms);  // more than twice the lease

  int answered = 0;
  while (answered <= kLarge && slow.hears_within(500ms)) {
    EXPECT_EQ(slow.response().status, "200");
    ++answered;
  }
  EXPECT_LT(answered, kLarge) << "without a lease the rest waits for Redis";
  proxy->heal();
  HttpResponse last;
  for (; answered <= kLarge; ++answered) last = slow.response();
  EXPECT_EQ(last.status, "404");
}

TEST_F(Revoke, WaitsLongerThanL2MayTakeAndHoldsNobodyUp) {
  const auto server = start(redis_->endpoint(), {"--lease", "3s"}, "2s");
  RespClient revoker(server->server.resp());
  HttpClient web(server->server.http());
  RespClient other(server->server.resp());
  ASSERT_EQ(revoker.exchange("SET s:1 v"), "+OK\r\n");
  const auto asked = Clock::now();
  revoker.send("NEARLANE.REVOKE s:1\r\nSET a 1\r\nGET s:1\r\nPING\r\n");
  web.send(http_request("DELETE", "/cache/s:none?strict") + http_request("GET", "/cache/b"));
  EXPECT_EQ(other.exchange("PING"), "+PONG\r\n");
  EXPECT_EQ(other.exchange("SET b 1"), "+OK\r\n");
  EXPECT_TRUE(revoker.is_silent_for(5ms)) << "the loop went on meanwhile";
  EXPECT_FALSE(web.hears_within(0ms));
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_GE(Clock::now() - asked, 3030ms);
  EXPECT_EQ(revoker.reply(), "+OK\r\n");
  EXPECT_EQ(revoker.reply(), "$-1\r\n");
  EXPECT_EQ(revoker.reply(), "+PONG\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_GE(Clock::now() - asked, 3030ms) << "a key that is not there may live in a copy";
  EXPECT_EQ(web.response().status, "200");
}

TEST_F(Revoke, AnswersBeforeADrainEnds) {
  const auto server = start(redis_->endpoint(), {"--lease", "3s"});
  RespClient revoker(server->server.resp());
  HttpClient web(server->server.http());
  ASSERT_EQ(revoker.exchange("SET s:1 v"), "+OK\r\n");
  revoker.send("NEARLANE.REVOKE s:1\r\n");
  web.send(http_request("DELETE", "/cache/s:2?strict"));
  expect_deleted("s:1");
  ASSERT_TRUE(server->server.child().signal(SIGTERM));
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_EQ(server->server.child().wait(kPatience).value(), ExitStatus{});
}

TEST_F(Revoke, OverTheCapIsAClearError) {
  const auto server = start(redis_->endpoint(), {"--lease", "3s", "--max-revocations", "1"});
  RespClient first(server->server.resp());
  RespClient second(server->server.resp());
  HttpClient web(server->server.http());
  ASSERT_EQ(first.exchange("SET s:1 v"), "+OK\r\n");
  ASSERT_EQ(first.exchange("SET s:2 v"), "+OK\r\n");
  first.send("NEARLANE.REVOKE s:1\r\n");
  expect_deleted("s:1");
  EXPECT_EQ(second.exchange("NEARLANE.REVOKE s:2"),
            "-ERR nearlane: a cap is reached; nothing was sent: too many strict revocations wait "
            "(max_revocations)\r\n");
  EXPECT_EQ(web.exchange("DELETE", "/cache/s:2?strict").status, "503");
  EXPECT_TRUE(first.is_silent_for(5ms));
  EXPECT_EQ(second.exchange("GET s:2"), "$1\r\nv\r\n");
  EXPECT_EQ(first.reply(), ":1\r\n");
  EXPECT_EQ(web.exchange("DELETE", "/cache/s:2?strict").status, "204");
}

TEST_F(Revoke, IsRefusedWithTheReasonWhereACopyMayBeServedStale) {
  const auto server = start(redis_->endpoint());
  RespClient resp(server->server.resp());
  HttpClient web(server->server.http());
  ASSERT_EQ(resp.exchange("SET t:1 v"), "+OK\r\n");
  EXPECT_TRUE(
      resp.exchange("NEARLANE.REVOKE t:1").starts_with("-ERR nearlane: the key may be served"));
  const auto refused = web.exchange("DELETE", "/cache/t:1?strict");
  EXPECT_EQ(refused.status, "409");
  EXPECT_NE(refused.head.find("application/problem+json"), std::string::npos);
  EXPECT_NE(refused.body.find("max_stale = 0"), std::string::npos) << refused.body;
  EXPECT_EQ(resp.exchange("GET t:1"), "$1\r\nv\r\n");
  EXPECT_EQ(web.exchange("GET", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.exchange("PUT", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.exchange("POST", "/cache/s:1/touch?strict&ttl=1").status, "400");
  EXPECT_EQ(web.exchange("DELETE", "/cache/t:1").status, "204");
}

TEST_F(Revoke, IsUnderstoodHoweverTheBytesArrive) {
  auto server =
      Instance::start({.flags = {"--config", config(), "--l1-bytes", "64MiB", "--threads", "1"}});
  ASSERT_TRUE(server) << server.error().detail;
  const std::string in =
      http_request("PUT", "/cache/s:1") + http_request("DELETE", "/cache/s:1?strict") +
      http_request("DELETE", "/cache/s:1?strict") + http_request("DELETE", "/cache/t:1?strict");
  HttpClient web(server->http());
  for (std::size_t split = 0; split < in.size(); ++split) {
    web.send(in.substr(0, split));
    // One loop: once somebody else is answered, it has read what was sent before.
    if (split % 16 == 0) {
      EXPECT_EQ(RespClient(server->resp()).exchange("PING"), "+PONG\r\n");
    }
    web.send(in.substr(split));
    for (const char* status : {"201", "204", "404", "409"}) {
      ASSERT_EQ(web.response().status, status) << split;
    }
  }
}

}  // namespace
}  // namespace nearlane::harness
