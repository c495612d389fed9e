// What the server makes of stores that announce changes and of those that do not: each connection is probed
// before L1 serves what was read over it.
#include "servers/nearlane/live_network.h"

namespace nearlane::live {
namespace {

std::string cli(int port) { return "redis-cli -p " + std::to_string(port) + " "; }

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Reads often enough that L1 would answer if it might, with somebody else writing meanwhile.
void expect_every_read_from_l2(const Nearlane& server, int redis) {
  Client resp(server.resp);
  Client web(server.http);
  Client direct(redis);
  for (int i = 0; i < 50; ++i) {
    const std::string value = std::to_string(100 + i);
    ASSERT_EQ(direct.resp("SET k " + value), "+OK\r\n");
    ASSERT_EQ(resp.resp("GET k"), "$3\r\n" + value + "\r\n") << "at once, not within a lease";
    ASSERT_EQ(resp.resp("GET k"), "$3\r\n" + value + "\r\n");
    const auto read = web.http("GET", "/cache/k");
    ASSERT_EQ(read.body, value);
    ASSERT_FALSE(read.from_l1());
    ASSERT_EQ(resp.resp("SET mine " + value), "+OK\r\n");
    ASSERT_EQ(direct.resp("SET mine xyz"), "+OK\r\n");
    ASSERT_EQ(resp.resp("GET mine"), "$3\r\nxyz\r\n");
  }
}

void expect_mode_none(const Nearlane& server, std::string_view reason) {
  Client web(server.http);
  const auto ready = web.http("GET", "/readyz");
  EXPECT_EQ(ready.status, "200") << "it serves, and nothing stale";
  EXPECT_TRUE(holds(ready.body, "\"mode\": \"none\"")) << ready.body;
  EXPECT_TRUE(holds(ready.body, reason)) << ready.body;
  const auto metrics = web.http("GET", "/metrics").body;
  EXPECT_TRUE(holds(metrics, "nearlane_coherence_mode{mode=\"none\",bound_ms=\"250\"} 1"));
  EXPECT_TRUE(holds(run(cli(server.resp) + "info nearlane"), "coherence_mode:none"));
}

TEST(TrackingLive, RedisIsProvenAndNothingIsLeftBehind) {
  const Redis redis;
  const Nearlane server(redis_url(redis.port));
  Client web(server.http);
  // Ready is more than half of the lanes; the last ones may still be at it.
  EXPECT_EQ(run_until(cli(redis.port) + "dbsize", "0\n"), "0\n");
  const auto ready = web.http("GET", "/readyz").body;
  EXPECT_TRUE(holds(ready, "\"mode\": \"lanes\"")) << ready;
  EXPECT_TRUE(holds(ready, "\"bound_ms\": 250")) << ready;
  EXPECT_FALSE(holds(ready, "reason")) << ready;
  const auto metrics = web.http("GET", "/metrics").body;
  EXPECT_TRUE(holds(metrics, "nearlane_coherence_mode{mode=\"lanes\",bound_ms=\"250\"} 1"));
  EXPECT_TRUE(holds(metrics, "nearlane_coherence_bound_seconds 0.25\n"));
  EXPECT_TRUE(holds(run(cli(server.resp) + "info nearlane"), "coherence_bound_ms:250"));
  ASSERT_EQ(web.http("PUT", "/cache/k").status, "201");
  EXPECT_TRUE(web.http("GET", "/cache/k").from_l1());
}

TEST(TrackingLive, AStoreWithoutTrackingIsReadEveryTime) {
  const Redis redis(0, {"--rename-command", "CLIENT", ""});
  const Nearlane server(redis_url(redis.port));
  expect_mode_none(server, "CLIENT TRACKING ON OPTIN NOLOOP");
  expect_every_read_from_l2(server, redis.port);
}

TEST(TrackingLive, AStoreThatOnlySaysThatItTracksIsReadEveryTime) {
  const Redis redis;
  const Road road(redis.port, true);
  const Nearlane server(redis_url(road.port));
  expect_mode_none(server, "did not announce a change");
  expect_every_read_from_l2(server, redis.port);
}

TEST(TrackingLive, APermissionGivenLaterIsFoundOut) {
  const Redis redis;
  ASSERT_EQ(run(cli(redis.port) + "acl setuser app on '>pw' '~*' '&*' +@all '-client|tracking'"),
            "OK\n");
  const Nearlane server("redis://app:pw@127.0.0.1:" + std::to_string(redis.port), {"--pool", "4"});
  expect_mode_none(server, "NOPERM");
  expect_every_read_from_l2(server, redis.port);
  ASSERT_EQ(run(cli(redis.port) + "acl setuser app '+client|tracking'"), "OK\n");
  Client web(server.http);
  ASSERT_EQ(web.http("PUT", "/cache/k").status, "204");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  bool from_l1 = false;
  while (!from_l1 && std::chrono::steady_clock::now() < until) {
    from_l1 = web.http("GET", "/cache/k").from_l1();
  }
  EXPECT_TRUE(from_l1);
  // The other lanes are probed again at their own time.
  EXPECT_TRUE(holds(
      run_until("curl -s -m 10 " + url(server, "/metrics") + " | grep '^nearlane_coherence_mode'",
                "nearlane_coherence_mode{mode=\"lanes\",bound_ms=\"250\"} 1\n"),
      "lanes"));
}

TEST(TrackingLive, AUserNeedsTheCommandsOfTheListAndNoOthers) {
  const Redis redis;
  // As docs/configuration.md has it.
  ASSERT_EQ(
      run(cli(redis.port) +
          "acl setuser app on '>pw' '~app:*' '~nearlane:probe:*' +get +set +del +exists +pttl "
          "+pexpire +multi +exec +ping +role '+client|tracking' '+client|caching' "
          "'+config|get' '+config|set'"),
      "OK\n");
  const Nearlane server("redis://app:pw@127.0.0.1:" + std::to_string(redis.port), {"--pool", "4"});
  EXPECT_EQ(run_until(cli(redis.port) + "dbsize", "0\n"), "0\n");
  Client web(server.http);
  const auto ready = web.http("GET", "/readyz").body;
  EXPECT_TRUE(holds(ready, "\"mode\": \"lanes\"")) << ready;
  EXPECT_EQ(web.http("PUT", "/cache/app:k?ttl=100").status, "201");
  EXPECT_TRUE(web.http("GET", "/cache/app:k").from_l1());
  EXPECT_EQ(web.http("POST", "/cache/app:k/touch?ttl=50").status, "204");
  EXPECT_EQ(web.http("GET", "/cache/app:none").status, "404");
  EXPECT_EQ(web.http("DELETE", "/cache/app:k").status, "204");
  Client resp(server.resp);
  EXPECT_EQ(resp.resp("SET app:k v"), "+OK\r\n");
  EXPECT_EQ(resp.resp("GET app:k"), "$1\r\nv\r\n");
  // Lanes that serve hits send PING and, once a second, ROLE.
  const auto until = SteadyClock::now() + 1500ms;
  while (SteadyClock::now() < until) EXPECT_EQ(resp.resp("GET app:k"), "$1\r\nv\r\n");
  EXPECT_EQ(resp.resp("DEL app:k"), ":1\r\n");
  EXPECT_EQ(run(cli(redis.port) + "acl log"), "\n") << "nothing was refused";
}

TEST(TrackingLive, AsksForATableOfTrackedKeysWithoutALimit) {
  const Redis redis(0, {"--tracking-table-max-keys", "100"});
  const Nearlane server(redis_url(redis.port));
  const std::string get = cli(redis.port) + "config get tracking-table-max-keys";
  const std::string none = "tracking-table-max-keys\n0\n";
  EXPECT_EQ(run_until(get, none), none);
}

TEST(TrackingLive, WarnsWhereTheTableKeepsItsLimit) {
  const Redis redis(0, {"--rename-command", "CONFIG", ""});
  Child server({"sh", "-c",
                "exec " NEARLANE_BINARY " --resp 127.0.0.1:0 --http off --l1-bytes 64MiB --l2 " +
                    redis_url(redis.port) + " 2>&1"});
  EXPECT_TRUE(holds(server.line_with("tracking-table-max-keys"), "cannot read"));
}

}  // namespace
}  // namespace nearlane::live
