// Instances over a Redis Cluster of three primaries and three replicas, all real, while slots migrate and primaries are
// killed and replaced, every answer judged.
#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tier/type_sidecar.h"
#include "harness/check/checked.h"
#include "harness/check/history.h"
#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/check/succeeded.h"
#include "harness/check/traffic.h"
#include "harness/topology/cluster_group.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr unsigned kLanes = 9;
constexpr Duration kLease = 250ms;
constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong

class ClusterLive : public testing::Test {
 protected:
  explicit ClusterLive(const ClusterOptions& options = {})
      : group(ClusterGroup::start(options).value()) {}

  static Instance start(const std::string& url, std::vector<std::string> more = {}) {
    std::vector<std::string> flags = {"--threads",   "1", "--pool", std::to_string(kLanes),
                                      "--max-stale", "0"};
    flags.insert(flags.end(), more.begin(), more.end());
    return Instance::start({.l2 = url, .flags = std::move(flags)}).value();
  }
  [[nodiscard]] Instance start() const { return start(group.url()); }
  /// Where a redirection may have to wait for a map that a slow machine is slow to make.
  [[nodiscard]] Instance start_patient() const {
    return start(group.url(), {"--l2-timeout", "10s"});
  }
  static std::string ask(RawClient& client, const std::string& command) {
    EXPECT_TRUE(client.send(command + "\r\n"));
    const auto reply = client.read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// The answer's status. `fields`: of its head, each with its end.
  static std::string put(HttpClient& web, const std::string& target, const std::string& body,
                         const std::string& fields = {}) {
    web.send("PUT " + target + " HTTP/1.1\r\nHost: test\r\n" + fields +
             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return web.response().status;
  }
  static std::string key(int number) { return "key:" + std::to_string(number); }

  ClusterGroup group;
};

TEST_F(ClusterLive, ServesKeysOfAllPrimariesOverBothDoors) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  HttpClient web(nearlane.http());
  std::set<std::size_t> owners;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(ask(client, "SET " + key(i) + " v"), "+OK\r\n");
    const auto stored = group.ask_owner(key(i), {"GET", key(i)});
    ASSERT_TRUE(stored) << stored.error().detail;
    ASSERT_EQ(stored->text, "v") << "the owner of its slot has it";
    owners.insert(group.owner_of(group.slot_of(key(i)).value()).value());
    ASSERT_TRUE(web.exchange("GET", "/cache/" + key(i)).from_l1());
    ASSERT_EQ(put(web, "/cache/" + key(i), "w"), "204");
    ASSERT_EQ(ask(client, "GET " + key(i)), "$1\r\nw\r\n");
  }
  EXPECT_EQ(owners.size(), 3U);
  EXPECT_THAT(web.exchange("GET", "/readyz").body, HasSubstr("\"lanes\""));
}

TEST_F(ClusterLive, HearsOfWhatOthersWriteAtEveryPrimary) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  HttpClient web(nearlane.http());
  for (int i = 0; i < 60; ++i) {
    const std::string path = "/cache/" + key(i);
    ASSERT_TRUE(group.ask_owner(key(i), {"SET", key(i), "one"}));
    ASSERT_EQ(web.exchange("GET", path).body, "one");
    ASSERT_TRUE(web.exchange("GET", path).from_l1());
    ASSERT_TRUE(group.ask_owner(key(i), {"SET", key(i), "two"}));
    ASSERT_TRUE(eventually([&] { return web.exchange("GET", path).body == "two"; }, kPatience));
  }
}

TEST_F(ClusterLive, AsksEveryPrimaryForWhatNamesNoKey) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "RANDOMKEY"), "$-1\r\n");
  std::set<std::string> written;
  for (int i = 0; i < 300; ++i) {
    written.insert(key(i));
    ASSERT_EQ(ask(client, "SET " + key(i) + " v"), "+OK\r\n");
  }
  EXPECT_EQ(ask(client, "DBSIZE"), ":300\r\n");
  const std::string keys = ask(client, "KEYS key:*");
  EXPECT_THAT(keys, StartsWith("*300\r\n"));
  EXPECT_THAT(ask(client, "RANDOMKEY"), HasSubstr("key:"));

  std::multiset<std::string> scanned;
  std::string cursor = "0";
  do {
    ASSERT_TRUE(client.send("SCAN " + cursor + " COUNT 7\r\n"));
    const auto reply = client.read(kPatience);
    ASSERT_TRUE(reply) << reply.error().detail;
    ASSERT_EQ(reply->reply.elements.size(), 2U) << reply->bytes;
    cursor = reply->reply.elements[0].text;
    for (const auto& each : reply->reply.elements[1].elements) scanned.insert(each.text);
  } while (cursor != "0");
  EXPECT_EQ(scanned, std::multiset<std::string>(written.begin(), written.end()))
      << "each once, while nothing changes";

  HttpClient web(nearlane.http());
  ASSERT_TRUE(web.exchange("GET", "/cache/" + key(0)).from_l1());
  EXPECT_EQ(ask(client, "FLUSHALL"), "+OK\r\n");
  for (int i = 0; i < 300; ++i) ASSERT_EQ(ask(client, "GET " + key(i)), "$-1\r\n");
  EXPECT_EQ(ask(client, "DBSIZE"), ":0\r\n");
}

TEST_F(ClusterLive, KeysOfSeveralSlotsGetRedissOwnError) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  const std::string error = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  EXPECT_EQ(ask(client, "MSET a 1 b 2"), error);
  EXPECT_EQ(ask(client, "DEL a b"), error);
  EXPECT_EQ(ask(client, "EXISTS a b"), error);
  EXPECT_EQ(ask(client, "MGET a b"), error);
  EXPECT_EQ(ask(client, "MSET {t}a 1 {t}b 2"), "+OK\r\n");
  EXPECT_EQ(ask(client, "MGET {t}a {t}b"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  EXPECT_EQ(ask(client, "DEL {t}a {t}b"), ":2\r\n");
  EXPECT_EQ(ask(client, "SELECT 0"), "+OK\r\n");
  EXPECT_EQ(ask(client, "SELECT 1"), "-ERR SELECT is not allowed in cluster mode\r\n");
  EXPECT_EQ(ask(client, "GET a"), "$-1\r\n");
}

TEST_F(ClusterLive, RelaysToTheNodeOfTheCommandsKeys) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(ask(client, "LPUSH list:" + key(i) + " a"), ":1\r\n");
    ASSERT_EQ(group.ask_owner("list:" + key(i), {"LLEN", "list:" + key(i)})->integer, 1);
    // Where its keys are, only the node can say.
    ASSERT_EQ(ask(client, "EVAL \"return redis.call('LLEN',KEYS[1])\" 1 list:" + key(i)), ":1\r\n");
    // What is relayed is forgotten here.
    ASSERT_EQ(ask(client, "SET n:" + key(i) + " 1"), "+OK\r\n");
    ASSERT_EQ(ask(client, "GET n:" + key(i)), "$1\r\n1\r\n");
    ASSERT_EQ(ask(client, "BITFIELD n:" + key(i) + " SET u8 0 50"), "*1\r\n:49\r\n");
    ASSERT_EQ(ask(client, "GET n:" + key(i)), "$1\r\n2\r\n");
  }
  RawClient waiting = RawClient::connect(nearlane.resp()).value();
  ASSERT_TRUE(waiting.send("BLPOP later 0\r\n"));
  RawClient listening = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(listening, "SUBSCRIBE c"), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  EXPECT_EQ(ask(client, "RPUSH later v"), ":1\r\n");
  EXPECT_EQ(waiting.read(kPatience)->bytes, "*2\r\n$5\r\nlater\r\n$1\r\nv\r\n");
  EXPECT_THAT(ask(client, "PUBLISH c hello"), StartsWith(":"));
  EXPECT_EQ(listening.read(kPatience)->bytes, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
  for (const std::string command : {"SCRIPT FLUSH", "CONFIG SET save x", "CLUSTER INFO", "MONITOR"})
    EXPECT_THAT(ask(client, command), HasSubstr("not relayed to a Redis Cluster")) << command;
  EXPECT_THAT(ask(client, "CONFIG GET maxmemory"), StartsWith("*2\r\n"));
  EXPECT_THAT(ask(client, "LMOVE list:a list:b LEFT LEFT"), StartsWith("-CROSSSLOT"));
}

TEST_F(ClusterLive, ATransactionGoesToTheNodeOfItsFirstKey) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  for (int i = 0; i < 30; ++i) {
    const std::string name = key(i);
    if (i % 2 == 0) {
      ASSERT_EQ(ask(client, "WATCH " + name), "+OK\r\n");
    }
    ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
    ASSERT_EQ(ask(client, "SET " + name + " v"), "+QUEUED\r\n");
    ASSERT_EQ(ask(client, "GET " + name), "+QUEUED\r\n");
    ASSERT_EQ(ask(client, "EXEC"), "*2\r\n+OK\r\n$1\r\nv\r\n");
  }
  // Somebody writes what is watched.
  ASSERT_EQ(ask(client, "WATCH a"), "+OK\r\n");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  ASSERT_EQ(ask(client, "SET a 1"), "+QUEUED\r\n");
  ASSERT_TRUE(group.ask_owner("a", {"SET", "a", "2"}));
  EXPECT_EQ(ask(client, "EXEC"), "*-1\r\n");
  // Two slots of two nodes, and two of one node.
  for (int other = 0; other < 10; ++other) {
    ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
    ASSERT_EQ(ask(client, "SET a 3"), "+QUEUED\r\n");
    const std::string second = ask(client, "SET " + key(other) + " 3");
    EXPECT_TRUE(second == "+QUEUED\r\n" || second.starts_with("-CROSSSLOT")) << second;
    EXPECT_THAT(ask(client, "EXEC"),
                testing::AnyOf(StartsWith("-EXECABORT"), StartsWith("-CROSSSLOT")));
  }
  EXPECT_EQ(ask(client, "GET a"), "$1\r\n2\r\n");
  // SELECT names no key, and so goes to none of the nodes.
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
    ASSERT_EQ(ask(client, "SELECT 0"), "+QUEUED\r\n");
    ASSERT_EQ(ask(client, "SELECT 1"), "+QUEUED\r\n");
    ASSERT_EQ(ask(client, "SET " + key(i) + " w"), "+QUEUED\r\n");
    EXPECT_EQ(ask(client, "EXEC"),
              "*3\r\n+OK\r\n-ERR SELECT is not allowed in cluster mode\r\n+OK\r\n");
    EXPECT_EQ(ask(client, "GET " + key(i)), "$1\r\nw\r\n");
  }
  // What names no key, alone.
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_THAT(ask(client, "MULTI"), StartsWith("-ERR MULTI calls can not be nested"));
  ASSERT_EQ(ask(client, "DISCARD"), "+OK\r\n");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_EQ(ask(client, "EXEC"), "*0\r\n");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_THAT(ask(client, "FLUSHALL"), HasSubstr("not relayed to a Redis Cluster"));
  EXPECT_THAT(ask(client, "EXEC"), StartsWith("-EXECABORT"));
  EXPECT_EQ(ask(client, "GET a"), "$1\r\n2\r\n");
}

TEST_F(ClusterLive, AnInstanceBeginsWithWhatWasHot) {
  {
    Instance before = start(group.url(), {"--warmup", "true"});
    // One that is not warm itself leaves no list.
    ASSERT_TRUE(
        soon([&] { return HttpClient(before.http()).exchange("GET", "/readyz").status == "200"; }));
    RawClient client = RawClient::connect(before.resp()).value();
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(ask(client, "SET " + key(i) + " v"), "+OK\r\n");
      ASSERT_EQ(ask(client, "GET " + key(i)), "$1\r\nv\r\n");
    }
    ASSERT_TRUE(before.drain());
  }
  const Instance after = start(group.url(), {"--warmup", "true"});
  HttpClient web(after.http());
  ASSERT_TRUE(soon([&] { return web.exchange("GET", "/readyz").status == "200"; }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(web.exchange("GET", "/cache/" + key(i)).from_l1()) << key(i);
  }
}

TEST_F(ClusterLive, WhatIsNoClusterIsSaid) {
  const RedisServer alone = RedisServer::start().value();
  const Instance nearlane = start("redis+cluster://" + alone.endpoint().to_string());
  RawClient client = RawClient::connect(nearlane.resp()).value();
  const auto says = "cluster support disabled";
  EXPECT_TRUE(
      eventually([&] { return ask(client, "GET k").find(says) != std::string::npos; }, kPatience))
      << ask(client, "GET k");
  HttpClient web(nearlane.http());
  EXPECT_THAT(web.exchange("GET", "/readyz").body, HasSubstr(says));
}

TEST_F(ClusterLive, ASlotOnItsWayIsServedFromBothEnds) {
  const Instance nearlane = start_patient();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  HttpClient web(nearlane.http());
  const unsigned slot = group.slot_of("{t}").value();
  const std::size_t from = group.owner_of(slot).value();
  const std::size_t to = (from + 1) % 3;
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(ask(client, "SET {t}" + key(i) + " v" + std::to_string(i)), "+OK\r\n");
  ASSERT_TRUE(group.begin_migration(slot, from, to));
  ASSERT_EQ(group.migrate_keys(slot, from, to, 5).value(), 5U);
  for (int i = 0; i < 10; ++i) {
    const std::string value = std::to_string(i);
    EXPECT_EQ(ask(client, "GET {t}" + key(i)), "$2\r\nv" + value + "\r\n");
    EXPECT_EQ(ask(client, "APPEND {t}" + key(i) + " +"), ":3\r\n");
    EXPECT_EQ(web.exchange("GET", "/cache/%7Bt%7D" + key(i)).body, "v" + value + "+");
    const std::string head = web.exchange("GET", "/cache/%7Bt%7D" + key(i)).head;
    const std::size_t tag = head.find("ETag: ") + 6;
    EXPECT_EQ(put(web, "/cache/%7Bt%7D" + key(i), "w" + value,
                  "If-Match: " + head.substr(tag, head.find('\r', tag) - tag) + "\r\n"),
              "204");
    EXPECT_EQ(put(web, "/cache/%7Bt%7D" + key(i), "x", "If-Match: \"x\"\r\n"), "412");
  }
  EXPECT_EQ(ask(client, "SET {t}new v"), "+OK\r\n") << "it is made where the slot goes";
  EXPECT_EQ(ask(client, "RPUSH {t}list a"), ":1\r\n") << "so is what is relayed";
  EXPECT_EQ(ask(client, "LLEN {t}list"), ":1\r\n");
  ASSERT_EQ(ask(client, "MULTI"), "+OK\r\n");
  ASSERT_EQ(ask(client, "RPUSH {t}list b"), "+QUEUED\r\n");
  EXPECT_EQ(ask(client, "EXEC"), "*1\r\n:2\r\n");
  EXPECT_THAT(ask(client, "MGET {t}" + key(0) + " {t}" + key(1) + " {t}new"),
              testing::Not(StartsWith("-MOVED")));
  while (group.migrate_keys(slot, from, to, 100).value() != 0) {
  }
  ASSERT_TRUE(group.end_migration(slot, from, to));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(ask(client, "GET {t}" + key(i)), "$2\r\nw" + std::to_string(i) + "\r\n");
  EXPECT_EQ(ask(client, "GET {t}new"), "$1\r\nv\r\n");
  EXPECT_EQ(web.exchange("GET", "/cache/%7Bt%7Dnew").body, "v") << "of whatever type it is";
  EXPECT_TRUE(web.exchange("GET", "/cache/%7Bt%7Dnew").from_l1());
  ASSERT_TRUE(group.ask_owner("{t}new", {"SET", "{t}new", "x"}));
  EXPECT_TRUE(eventually([&] { return ask(client, "GET {t}new") == "$1\r\nx\r\n"; }, kPatience));
}

TEST_F(ClusterLive, ATypeIsInTheSlotOfItsKeyAndGoesWithIt) {
  const Instance nearlane = start();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  HttpClient web(nearlane.http());
  const std::string css = "Content-Type: text/css\r\n";
  const auto get_type = [&](const std::string& path) {
    const std::string head = web.exchange("GET", path).head;
    const std::size_t at = head.find("Content-Type: ") + 14;
    return head.substr(at, head.find('\r', at) - at);
  };
  for (const auto& [path, name] : {std::pair<std::string, std::string>{"plain", "plain"},
                                   {"%7Bt%7Da", "{t}a"},
                                   {"a%7Db", "a}b"},
                                   {"%7B%7Dx", "{}x"}}) {
    ASSERT_EQ(put(web, "/cache/" + path, "v", css), "201") << name;
    EXPECT_EQ(get_type("/cache/" + path), "text/css");
    const std::string side = tier::type_sidecar(name);
    EXPECT_EQ(group.slot_of(side).value(), group.slot_of(name).value()) << side;
    EXPECT_EQ(group.ask_owner(name, {"EXISTS", name, side})->integer, 2);
    ASSERT_TRUE(group.ask_owner(name, {"SET", name, "w"}));
    EXPECT_TRUE(
        soon([&, at = "/cache/" + path] { return get_type(at) == "application/octet-stream"; }));
  }
  ASSERT_EQ(put(web, "/cache/%7Bt%7Da", "v", css), "204");
  ASSERT_EQ(put(web, "/cache/%7Bt%7Db", "v"), "201");
  const unsigned slot = group.slot_of("{t}").value();
  const std::size_t from = group.owner_of(slot).value();
  const std::size_t to = (from + 1) % 3;
  ASSERT_TRUE(group.begin_migration(slot, from, to));
  // One of the three, be it a value or what is said of it.
  ASSERT_EQ(group.migrate_keys(slot, from, to, 1).value(), 1U);
  for (const char* path : {"/cache/%7Bt%7Da", "/cache/%7Bt%7Db"})
    EXPECT_EQ(web.exchange("GET", path).body, "v") << "of whatever type, as long as that lasts";
  EXPECT_EQ(put(web, "/cache/%7Bt%7Db", "w"), "204");
  EXPECT_EQ(put(web, "/cache/%7Bt%7Dnew", "v", css), "503") << "nothing is written by halves";
  EXPECT_EQ(web.exchange("GET", "/cache/%7Bt%7Dnew").status, "404");
  while (group.migrate_keys(slot, from, to, 100).value() != 0) {
  }
  ASSERT_TRUE(group.end_migration(slot, from, to));
  EXPECT_TRUE(soon([&] { return get_type("/cache/%7Bt%7Da") == "text/css"; }));
  EXPECT_TRUE(soon([&] { return put(web, "/cache/%7Bt%7Dnew", "v", css) != "503"; }));
  EXPECT_EQ(get_type("/cache/%7Bt%7Dnew"), "text/css");
}

TEST_F(ClusterLive, ASlotThatReturnsBringsNothingBackThatWasReadBefore) {
  const Instance nearlane = start_patient();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  HttpClient web(nearlane.http());
  const unsigned slot = group.slot_of("k").value();
  const std::size_t home = group.owner_of(slot).value();
  const std::size_t away = (home + 1) % 3;
  ASSERT_TRUE(group.ask_owner("k", {"SET", "k", "old"}));
  ASSERT_EQ(web.exchange("GET", "/cache/k").body, "old");
  ASSERT_TRUE(web.exchange("GET", "/cache/k").from_l1());
  // Without moving its keys, which are lost.
  ASSERT_TRUE(group.begin_migration(slot, home, away));
  // Who has it now refuses to let go of a slot with keys, until it hears from the others that it is another's.
  (void)group.end_migration(slot, home, away);
  ASSERT_TRUE(soon([&] { return group.owner_of(slot).value() == away; }));
  ASSERT_TRUE(soon([&] { return web.exchange("GET", "/cache/k").status == "404"; }));
  ASSERT_TRUE(group.servers()[away].client().command({"SET", "k", "new"}));
  ASSERT_TRUE(soon([&] { return web.exchange("GET", "/cache/k").body == "new"; }));
  ASSERT_TRUE(group.migrate(slot, away, home));
  ASSERT_TRUE(soon([&] { return group.owner_of(slot).value() == home; }));
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(web.exchange("GET", "/cache/k").body, "new");
    std::this_thread::sleep_for(5ms);
  }
}

class ClusterThatGrows : public ClusterLive {
 protected:
  ClusterThatGrows() : ClusterLive({.spare = 1}) {}
};

TEST_F(ClusterThatGrows, ANodeWithoutSlotsGetsItsFirst) {
  const Instance nearlane = start_patient();
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  HttpClient web(nearlane.http());
  const unsigned slot = group.slot_of("{t}").value();
  const std::size_t from = group.owner_of(slot).value();
  const std::size_t to = group.servers().size() - 1;
  ASSERT_EQ(ask(client, "SET {t}old v"), "+OK\r\n");
  ASSERT_TRUE(group.begin_migration(slot, from, to));
  EXPECT_EQ(ask(client, "SET {t}new w"), "+OK\r\n") << "at a node that no map names yet";
  EXPECT_EQ(ask(client, "RPUSH {t}list a"), ":1\r\n");
  ASSERT_EQ(group.migrate_keys(slot, from, to, 10).value(), 1U);
  ASSERT_TRUE(group.end_migration(slot, from, to));
  EXPECT_EQ(ask(client, "GET {t}old"), "$1\r\nv\r\n");
  EXPECT_EQ(ask(client, "GET {t}new"), "$1\r\nw\r\n");
  EXPECT_EQ(ask(client, "LLEN {t}list"), ":1\r\n");
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  EXPECT_TRUE(soon([&] {
    return web.exchange("GET", "/cache/%7Bt%7Dnew").body == "w" &&
           web.exchange("GET", "/cache/%7Bt%7Dnew").from_l1();
  }));
  EXPECT_EQ(ask(client, "DBSIZE"), ":3\r\n");
}

/// Two instances under load, and a third without L1, by which somebody writes past them.
class ClusterUnderLoad : public ClusterLive {
 protected:
  using ClusterLive::ClusterLive;

  void SetUp() override {
    for (int i = 0; i < 2; ++i) instances.push_back(start());
    instances.push_back(start(group.url(), {"--l1-map", "none"}));
    std::vector<Door> doors;
    for (std::size_t i = 0; i < instances.size(); ++i) {
      ASSERT_TRUE(succeeded(instances[i].lanes_up_within(kLanes, kPatience)));
      const auto node = static_cast<Node>(i);
      doors.push_back({.node = node, .protocol = Protocol::resp, .endpoint = instances[i].resp()});
      if (i < 2) {
        doors.push_back(
            {.node = node, .protocol = Protocol::http, .endpoint = instances[i].http()});
      }
    }
    doors.push_back({.node = kStore, .protocol = Protocol::resp, .endpoint = instances[2].resp()});
    auto options = watched_traffic(std::move(doors));
    options.keys = kKeys;
    options.store_writes = false;
    traffic.emplace(std::move(options), history);
    traffic->start();
    std::this_thread::sleep_for(1s);
  }

  /// What the primaries have, asked of them alone, is what the last reader of the store was told.
  void expect_settled() {
    traffic->stop();
    expect_nothing_wrong(*traffic, history, kLease);
    RawClient client = RawClient::connect(instances[0].resp()).value();
    for (std::uint64_t i = 0; i < kKeys; i += 7) {
      const auto stored = group.ask_owner(checked_key(i), {"GET", checked_key(i)});
      ASSERT_TRUE(stored) << stored.error().detail;
      ASSERT_TRUE(client.send("GET " + checked_key(i) + "\r\n"));
      const auto told = client.read(kPatience);
      ASSERT_TRUE(told) << told.error().detail;
      EXPECT_EQ(told->reply.text, stored->text) << checked_key(i);
    }
  }

  void survive(const std::function<void(RedisServer&)>& done, Duration within);

  static double ms(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  }

  static constexpr std::uint64_t kKeys = 500;
  std::vector<Instance> instances;
  History history{{.bound = kLease}};
  std::optional<Traffic> traffic;
};

TEST_F(ClusterUnderLoad, SlotsThatMigrateCostNoAnswer) {
  std::set<unsigned> slots;
  for (std::uint64_t i = 0; i < 40; ++i) slots.insert(group.slot_of(checked_key(i)).value());
  const auto before = traffic->counts();
  for (const unsigned slot : slots) {
    const std::size_t from = group.owner_of(slot).value();
    const auto gone = group.migrate(slot, from, (from + 1) % 3);
    ASSERT_TRUE(gone) << gone.error().detail;
  }
  std::this_thread::sleep_for(1s);
  const auto during = traffic->counts() - before;
  EXPECT_EQ(during.failed, 0U);
  RecordProperty("slots", std::to_string(slots.size()));
  RecordProperty("operations", std::to_string(during.operations));
  RecordProperty("failed", std::to_string(during.failed));
  expect_settled();
}

/// The primary of one slot answers nobody any more once this was `done` to it; how long it takes from the moment when
/// its replica is a primary until every instance has taken writes in a row.
void ClusterUnderLoad::survive(const std::function<void(RedisServer&)>& done, Duration within) {
  const std::string probe = "probe";
  const unsigned slot = group.slot_of(probe).value();
  const std::size_t victim = group.owner_of(slot).value();
  // What the replica had not got is lost. It lags by what one turn of the primary's event loop executes.
  const TimePoint before = Clock::now();
  done(group.servers()[victim]);
  const TimePoint gone = Clock::now();
  history.lose(before - 500ms, gone + 2 * kLease);

  RedisServer& replica = group.replica_of(victim);
  TimePoint replaced{};
  ASSERT_TRUE(soon([&] {
    const auto role = replica.client().info("replication", "role");
    const auto set = replica.client().command({"SET", probe, "x"});
    replaced = Clock::now();
    return role && *role == "master" && set && !set->is_error();
  })) << replica.child().last_output(40);
  std::string last;
  for (const Instance& instance : instances) {
    RawClient client = RawClient::connect(instance.resp()).value();
    int in_a_row = 0;
    ASSERT_TRUE(eventually(
        [&] {
          const std::string said = ask(client, "SET " + probe + " x");
          if (said != "+OK\r\n") last = said;
          in_a_row = said == "+OK\r\n" ? in_a_row + 1 : 0;
          return in_a_row == 20;
        },
        kPatience))
        << last;
  }
  const TimePoint served = Clock::now();
  EXPECT_LE(served - replaced, within);
  RecordProperty("failover_ms", std::to_string(ms(replaced - gone)));
  RecordProperty("service_after_failover_ms", std::to_string(ms(served - replaced)));
  std::this_thread::sleep_for(1s);
  const auto healthy = traffic->counts();
  std::this_thread::sleep_for(1s);
  EXPECT_EQ((traffic->counts() - healthy).failed, 0U) << "errors end with the failover";
  group.servers()[victim].kill();  // so that asking it takes no time
  expect_settled();
}

TEST_F(ClusterUnderLoad, APrimaryThatIsKilledIsReplaced) {
  survive([](RedisServer& old) { old.kill(); }, 1s);
}

TEST_F(ClusterUnderLoad, APrimaryThatHangsIsLeft) {
  survive([](RedisServer& old) { ASSERT_TRUE(old.stall()); }, 3s);
}

TEST_F(ClusterUnderLoad, APrimaryThatHandsOverIsLeft) {
  const std::size_t old = group.owner_of(0).value();
  const TimePoint before = Clock::now();
  ASSERT_EQ(group.replica_of(old).client().command({"CLUSTER", "FAILOVER"})->text, "OK");
  ASSERT_TRUE(soon([&] {
    const auto role = group.replica_of(old).client().info("replication", "role");
    return role && *role == "master";
  }));
  // A lane to the old primary may go on for a second, until it asks whether that is one.
  std::this_thread::sleep_for(1500ms);
  history.lose(before, Clock::now());
  (void)history.take_report();
  std::this_thread::sleep_for(2s);
  expect_settled();
}

}  // namespace
}  // namespace nearlane::harness
