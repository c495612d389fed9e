// Strict revocation between real processes: instances over one redis-server, one of them behind a road
// on which what Redis says can be held up, so that only its lease ends what it serves.
#include <fstream>

#include "servers/nearlane/live_network.h"

namespace nearlane::live {
namespace {

/// A configuration whose keys s:… can be revoked strictly.
class ConfigFile {
 public:
  ConfigFile() { std::ofstream(path) << "[[prefix]]\nmatch = \"s:\"\nmax_stale = 0\n"; }
  ~ConfigFile() { std::remove(path.c_str()); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  const std::string path =
      testing::TempDir() + "nearlane_revoke." + std::to_string(::getpid()) + ".toml";
};

class Revoke : public testing::Test {
 protected:
  std::unique_ptr<Nearlane> start(int l2_port, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--config", config_.path, "--threads", "1", "--pool", "4"});
    return std::make_unique<Nearlane>(redis_url(l2_port), std::move(more));
  }

  Redis redis_;
  ConfigFile config_;
};

/// An instance and a client on each of its doors.
struct Node {
  explicit Node(std::unique_ptr<Nearlane> started)
      : server(std::move(started)), resp(server->resp), http(server->http) {}

  /// Reads until L1 answers; false: it never does.
  bool heat(const std::string& key) {
    const auto until = SteadyClock::now() + kPatience;
    while (SteadyClock::now() < until) {
      if (http.http("GET", "/cache/" + key).from_l1()) return true;
    }
    return false;
  }

  std::unique_ptr<Nearlane> server;
  Client resp;
  Client http;
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
  Road road(redis_.port);
  std::vector<std::unique_ptr<Node>> nodes;
  nodes.push_back(std::make_unique<Node>(start(road.port)));
  while (static_cast<int>(nodes.size()) < count) {
    nodes.push_back(std::make_unique<Node>(start(redis_.port)));
  }
  Node& cut_off = *nodes[0];

  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    const std::string key = "s:" + std::to_string(round);
    const bool held = round % 2 == 1;
    // Whoever is cut off from Redis cannot revoke, so with a held road one of the others does.
    const auto by =
        static_cast<std::size_t>(held ? 1 + round / 2 % (count - 1) : round / 2 % count);
    Node& revoker = *nodes[by];
    ASSERT_EQ(revoker.resp.resp("SET " + key + " secret"), "+OK\r\n");
    bool ready = false;
    for (int attempt = 0; attempt < 20 && !ready; ++attempt) {
      for (const auto& node : nodes) ASSERT_TRUE(node->heat(key));
      if (held) road.hold();
      ready = !held || cut_off.http.http("GET", "/cache/" + key).from_l1();
      if (!ready) road.release();  // the machine was so slow that the lease ran out before
    }
    ASSERT_TRUE(ready);

    const auto asked = SteadyClock::now();
    if (over_resp) {
      ASSERT_EQ(revoker.resp.resp("NEARLANE.REVOKE " + key), ":1\r\n");
    } else {
      ASSERT_EQ(revoker.http.http("DELETE", "/cache/" + key + "?strict").status, "204");
    }
    for (const auto& node : nodes) node->resp.send("GET " + key + "\r\n");
    for (const auto& node : nodes) node->http.send(Client::request("GET", "/cache/" + key));
    EXPECT_GE(SteadyClock::now() - asked, 252ms);
    if (held) {
      // A copy would be served at once; whoever knows that it must ask Redis waits for the road.
      ASSERT_FALSE(cut_off.resp.hears_within(50ms)) << cut_off.resp.reply();
      ASSERT_FALSE(cut_off.http.hears_within(1ms)) << cut_off.http.response().body;
      road.release();
    }
    for (const auto& node : nodes) {
      const std::string got = node->resp.reply();
      const auto response = node->http.response();
      if (held && node.get() == &cut_off && got.starts_with("-ERR nearlane: L2 did not")) continue;
      EXPECT_EQ(got, "$-1\r\n") << "round " << round;
      EXPECT_EQ(response.status, "404") << "round " << round << ": " << response.body;
    }
  }
}

TEST_F(Revoke, WaitsLongerThanL2MayTakeAndHoldsNobodyUp) {
  const auto server = start(redis_.port, {"--lease", "1s", "--l2-timeout", "500ms"});
  Client revoker(server->resp);
  Client web(server->http);
  Client other(server->resp);
  ASSERT_EQ(revoker.resp("SET s:1 v"), "+OK\r\n");
  const auto asked = SteadyClock::now();
  revoker.send("NEARLANE.REVOKE s:1\r\nSET a 1\r\nGET s:1\r\nPING\r\n");
  web.send(Client::request("DELETE", "/cache/s:none?strict") + Client::request("GET", "/cache/a"));
  EXPECT_EQ(other.resp("PING"), "+PONG\r\n");
  EXPECT_EQ(other.resp("SET b 1"), "+OK\r\n");
  EXPECT_FALSE(revoker.hears_within(0ms)) << "the loop went on meanwhile";
  EXPECT_FALSE(web.hears_within(0ms));
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_GE(SteadyClock::now() - asked, 1010ms);
  EXPECT_EQ(revoker.reply(), "+OK\r\n");
  EXPECT_EQ(revoker.reply(), "$-1\r\n");
  EXPECT_EQ(revoker.reply(), "+PONG\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_GE(SteadyClock::now() - asked, 1010ms) << "a key that is not there may live in a copy";
  EXPECT_EQ(web.response().status, "200");
}

TEST_F(Revoke, AnswersBeforeADrainEnds) {
  const auto server = start(redis_.port, {"--lease", "1s"});
  Client revoker(server->resp);
  Client web(server->http);
  ASSERT_EQ(revoker.resp("SET s:1 v"), "+OK\r\n");
  revoker.send("NEARLANE.REVOKE s:1\r\n");
  web.send(Client::request("DELETE", "/cache/s:2?strict"));
  run_until("redis-cli -p " + std::to_string(redis_.port) + " exists s:1", "0\n");
  server->child->signal(SIGTERM);
  EXPECT_EQ(revoker.reply(), ":1\r\n");
  EXPECT_EQ(web.response().status, "404");
  EXPECT_EQ(server->child->wait(), 0);
}

TEST_F(Revoke, OverTheCapIsAClearError) {
  const auto server = start(redis_.port, {"--lease", "1s", "--max-revocations", "1"});
  Client first(server->resp);
  Client second(server->resp);
  Client web(server->http);
  ASSERT_EQ(first.resp("SET s:1 v"), "+OK\r\n");
  ASSERT_EQ(first.resp("SET s:2 v"), "+OK\r\n");
  first.send("NEARLANE.REVOKE s:1\r\n");
  run_until("redis-cli -p " + std::to_string(redis_.port) + " exists s:1", "0\n");
  EXPECT_EQ(second.resp("NEARLANE.REVOKE s:2"),
            "-ERR nearlane: a cap is reached; nothing was sent: too many strict revocations wait "
            "(max_revocations)\r\n");
  EXPECT_EQ(web.http("DELETE", "/cache/s:2?strict").status, "503");
  EXPECT_FALSE(first.hears_within(0ms));
  EXPECT_EQ(second.resp("GET s:2"), "$1\r\nv\r\n");
  EXPECT_EQ(first.reply(), ":1\r\n");
  EXPECT_EQ(web.http("DELETE", "/cache/s:2?strict").status, "204");
}

TEST_F(Revoke, IsRefusedWithTheReasonWhereACopyMayBeServedStale) {
  const auto server = start(redis_.port);
  Client resp(server->resp);
  Client web(server->http);
  ASSERT_EQ(resp.resp("SET t:1 v"), "+OK\r\n");
  EXPECT_TRUE(resp.resp("NEARLANE.REVOKE t:1").starts_with("-ERR nearlane: the key may be served"));
  const auto refused = web.http("DELETE", "/cache/t:1?strict");
  EXPECT_EQ(refused.status, "409");
  EXPECT_NE(refused.head.find("application/problem+json"), std::string::npos);
  EXPECT_NE(refused.body.find("max_stale = 0"), std::string::npos) << refused.body;
  EXPECT_EQ(resp.resp("GET t:1"), "$1\r\nv\r\n");
  EXPECT_EQ(web.http("GET", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.http("PUT", "/cache/s:1?strict").status, "400");
  EXPECT_EQ(web.http("POST", "/cache/s:1/touch?strict&ttl=1").status, "400");
  EXPECT_EQ(web.http("DELETE", "/cache/t:1").status, "204");
}

TEST_F(Revoke, IsUnderstoodHoweverTheBytesArrive) {
  const Nearlane server("memory:", {"--config", config_.path, "--threads", "1"});
  const std::string in = Client::request("PUT", "/cache/s:1") +
                         Client::request("DELETE", "/cache/s:1?strict") +
                         Client::request("DELETE", "/cache/s:1?strict") +
                         Client::request("DELETE", "/cache/t:1?strict");
  Client web(server.http);
  for (std::size_t split = 0; split < in.size(); ++split) {
    web.send(in.substr(0, split));
    // One loop: once somebody else is answered, it has read what was sent before.
    if (split % 16 == 0) {
      EXPECT_EQ(Client(server.resp).resp("PING"), "+PONG\r\n");
    }
    web.send(in.substr(split));
    for (const char* status : {"201", "204", "404", "409"}) {
      ASSERT_EQ(web.response().status, status) << split;
    }
  }
}

}  // namespace
}  // namespace nearlane::live
