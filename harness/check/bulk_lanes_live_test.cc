// Keys whose values are large on lanes of their own, over a real redis-server: who waits for whom, what is announced over which
// lane, and what is said where such keys have none.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/cache_node.h"
#include "harness/check/http_client.h"
#include "harness/check/succeeded.h"
#include "harness/topology/certificate_authority.h"
#include "harness/topology/eventually.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/topology/sentinel_group.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong
constexpr std::size_t kLarge = 2'000'000;
constexpr std::uint64_t kSlow =
    2'000'000;  // bytes/s, so that a large value is on its way for a second

bool is_blob(std::string_view name) { return name.starts_with("blob:"); }

/// Some lanes, of which the last ones are for blobs.
l2::L2Config lanes(unsigned pool, unsigned bulk) {
  return {.pool = pool, .bulk_lanes = bulk, .is_bulk = is_blob};
}

std::string text_of(const Result<tier::Lookup>& got) {
  if (!got) return got.error().detail;
  return got->entry ? std::string(got->entry->value()) : "no such key";
}

/// Connections of that name to Redis, by their ids.
std::vector<std::string> clients_named(const RedisServer& redis, const std::string& name) {
  const std::string list = redis.client().command({"CLIENT", "LIST"})->text;
  std::vector<std::string> ids;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find('\n', at), list.size());
    const std::string line = list.substr(at, end - at);
    if (line.find(" name=" + name + " ") != std::string::npos)
      ids.push_back(line.substr(3, line.find(' ') - 3));
    at = end + 1;
  }
  return ids;
}

class BulkLanesLive : public testing::Test {
 protected:
  /// Whether a small value was there before a large one that was on its way when it was asked for.
  bool small_overtakes_large(unsigned pool, unsigned bulk) {
    auto link = FaultProxy::start(redis.endpoint()).value();
    EXPECT_TRUE(link.add({.name = "network", .kind = Bandwidth{kSlow}}));
    CacheNode node("redis://" + link.endpoint().to_string(), lanes(pool, bulk));
    node.timeout = kPatience;
    EXPECT_TRUE(node.ready_within(kPatience));
    RedisClient direct = redis.client();
    const std::uint64_t before = direct.calls("get").value();
    std::mutex mutex;
    std::vector<std::string> order;  // in which they were answered
    const auto ask = [&](const std::string& key, std::size_t bytes) {
      node.tier().get(Key(0, key), tier::ReadFrom::l1_first, Clock::now() + kPatience,
                      [&mutex, &order, key, bytes](const Result<tier::Lookup>& got) {
                        EXPECT_EQ(text_of(got).size(), bytes);
                        const std::lock_guard lock(mutex);
                        order.push_back(key);
                      });
    };
    ask("blob:1", kLarge);
    EXPECT_TRUE(eventually([&] { return direct.calls("get").value() > before; }, kPatience));
    ask("small", 1);
    const auto answered = [&] {
      const std::lock_guard lock(mutex);
      return order;
    };
    EXPECT_TRUE(eventually([&] { return answered().size() == 2; }, kPatience));
    return answered().front() == "small";
  }

  const RedisServer redis = RedisServer::start().value();
};

TEST_F(BulkLanesLive, SmallReadsGoOnWhileALargeValueIsOnItsWay) {
  ASSERT_TRUE(redis.client().command({"SET", "blob:1", std::string(kLarge, 'v')}));
  ASSERT_TRUE(redis.client().command({"SET", "small", "v"}));
  EXPECT_TRUE(small_overtakes_large(2, 1));
  EXPECT_FALSE(small_overtakes_large(1, 0)) << "otherwise this would show nothing";
}

/// Everything that is done with a key goes over its lane, and what others do to it is heard there.
void use_every_way(const std::string& url, RedisClient direct, const l2::L2Config& config) {
  CacheNode node(url, config);
  node.timeout = kPatience;
  ASSERT_TRUE(node.ready_within(kPatience));
  ASSERT_GE(node.tier().lane_of(KeyRef(0, "blob:1")), node.tier().lane_map().shared());
  ASSERT_LT(node.tier().lane_of(KeyRef(0, "small")), node.tier().lane_map().shared());
  for (const char* key : {"blob:1", "small"}) {
    SCOPED_TRACE(key);
    ASSERT_EQ(direct.command({"SET", key, "theirs"})->text, "OK");
    ASSERT_EQ(text_of(node.get(key)), "theirs");
    // Of the epoch of the lane that it came over: they never meet.
    EXPECT_TRUE(
        eventually([&] { return node.get(key).value().source == tier::Source::l1; }, kPatience));
    ASSERT_TRUE(node.set(key, "ours"));
    EXPECT_EQ(text_of(node.get(key)), "ours");
    EXPECT_TRUE(node.touch(key, 60s).value());
    EXPECT_EQ(text_of(node.get(key)), "ours");
    ASSERT_EQ(direct.command({"SET", key, "theirs again"})->text, "OK");
    EXPECT_TRUE(eventually([&] { return text_of(node.get(key)) == "theirs again"; }, kPatience))
        << "it was announced";
    EXPECT_EQ(node.execute({"APPEND", key, "!"}, {key})->integer, 13);
    EXPECT_EQ(text_of(node.get(key)), "theirs again!");
    EXPECT_TRUE(node.remove(key).value());
    EXPECT_EQ(text_of(node.get(key)), "no such key");
  }
}

TEST_F(BulkLanesLive, HearOfWhatOthersWriteAndCarryWhatIsWritten) {
  use_every_way(redis.url(), redis.client(), lanes(6, 2));
  use_every_way(redis.url(), redis.client(), lanes(2, 1));
}

TEST_F(BulkLanesLive, CarryWritesThatDependOnTheValueBesideThem) {
  CacheNode node(redis.url(), lanes(4, 2));
  ASSERT_TRUE(node.ready_within(kPatience));
  for (const char* key : {"blob:1", "small"}) {
    ASSERT_TRUE(node.set(key, "old"));
    std::atomic<int> held{-1};
    node.tier().set_if(
        KeyRef(0, key), "new", {},
        [](std::optional<std::string_view> value) { return value == "old"; },
        Clock::now() + kPatience,
        [&](const Result<tier::CompareOutcome>& got) { held = got && got->held ? 1 : 0; });
    ASSERT_TRUE(eventually([&] { return held != -1; }, kPatience));
    EXPECT_EQ(held, 1) << key;
    EXPECT_EQ(text_of(node.get(key)), "new") << key;
  }
}

TEST_F(BulkLanesLive, AreConnectionsThatRedisKnowsByAnotherName) {
  {
    CacheNode node(redis.url(), lanes(6, 2));
    ASSERT_TRUE(node.ready_within(kPatience));
    EXPECT_EQ(clients_named(redis, "nearlane-bulk").size(), 2U);
    EXPECT_EQ(clients_named(redis, "nearlane").size(), 4U);
  }
  CacheNode node(redis.url(), lanes(6, 0));
  ASSERT_TRUE(node.ready_within(kPatience));
  EXPECT_TRUE(eventually([&] { return clients_named(redis, "nearlane-bulk").empty(); }, kPatience))
      << "but for those that have just ended";
}

TEST_F(BulkLanesLive, ThatAreLostTakeTheirKeysAndNoOthers) {
  CacheNode node(redis.url(), lanes(3, 1));
  ASSERT_TRUE(node.ready_within(kPatience));
  const std::vector<std::string> small = {"a", "b", "c", "d"};
  for (const std::string& key : small) ASSERT_TRUE(node.set(key, "v"));
  ASSERT_TRUE(node.set("blob:1", "v"));
  const auto epoch_of = [&](std::string_view key) {
    const KeyRef ref(0, key);
    std::promise<Epoch> promise;
    node.tier().explain(ref, Clock::now() + kPatience,
                        [&](const tier::Explanation& seen) { promise.set_value(seen.lane_epoch); });
    return promise.get_future().get();
  };
  const Epoch of_small = epoch_of("a");
  const Epoch of_large = epoch_of("blob:1");
  const auto ids = clients_named(redis, "nearlane-bulk");
  ASSERT_EQ(ids.size(), 1U);
  ASSERT_EQ(redis.client().command({"CLIENT", "KILL", "ID", ids[0]})->integer, 1);
  EXPECT_TRUE(eventually([&] { return epoch_of("blob:1") != of_large; }, kPatience));
  EXPECT_EQ(node.find("blob:1"), std::nullopt);
  EXPECT_EQ(epoch_of("a"), of_small);
  for (const std::string& key : small)
    EXPECT_EQ(node.get(key).value().source, tier::Source::l1) << key;
  ASSERT_TRUE(node.ready_within(kPatience));
  EXPECT_EQ(text_of(node.get("blob:1")), "v") << "over a new one";
}

TEST_F(BulkLanesLive, WorkOverTlsAndBehindSentinel) {
  const CertificateAuthority authority = CertificateAuthority::make().value();
  const RedisServer secured =
      RedisServer::start({.tls = authority.sign("redis", "IP:127.0.0.1").value()}).value();
  l2::L2Config trusting = lanes(4, 2);
  trusting.ca_file = authority.certificate();
  use_every_way("rediss://127.0.0.1:" + std::to_string(secured.tls_endpoint().port),
                secured.client(), trusting);
  auto group = SentinelGroup::start().value();
  use_every_way(group.url(), group.servers()[0].client(), lanes(4, 2));
}

TEST_F(BulkLanesLive, WorkWhereInstancesTellEachOther) {
  const RedisServer silent =
      RedisServer::start({.config = {"--rename-command", "CLIENT", ""}}).value();
  CacheNode one(silent.url(), lanes(4, 2));
  CacheNode other(silent.url(), lanes(4, 2));
  ASSERT_TRUE(one.ready_within(kPatience) && other.ready_within(kPatience));
  ASSERT_TRUE(one.set("blob:1", "first"));
  EXPECT_TRUE(eventually([&] { return other.get("blob:1").value().source == tier::Source::l1; },
                         kPatience));
  ASSERT_TRUE(one.set("blob:1", "second"));
  EXPECT_TRUE(eventually([&] { return text_of(other.get("blob:1")) == "second"; }, kPatience));
}

TEST_F(BulkLanesLive, AreRefusedWhereThereCanBeNone) {
  const auto refusal = [](const std::string& url, l2::L2Config config) {
    config.url = url;
    const auto made = l2::make_l2(config, {});
    return made ? std::string("accepted") : made.error().detail;
  };
  EXPECT_THAT(refusal("redis+cluster://127.0.0.1:1", lanes(4, 1)),
              HasSubstr("over redis+cluster:// no keys have lanes of their own"));
  EXPECT_THAT(refusal("redis://127.0.0.1:1", lanes(4, 4)),
              HasSubstr("4 bulk lanes of 4 leave none for other keys"));
  auto nobody_says = lanes(4, 1);
  nobody_says.is_bulk = {};
  EXPECT_THAT(refusal("redis://127.0.0.1:1", nobody_says), HasSubstr("nobody says which keys"));
}

class BulkLanesServer : public testing::Test {
 protected:
  /// With these lines in its configuration file.
  [[nodiscard]] Result<Instance> start(const std::string& text, const std::string& l2) const {
    std::ofstream(file) << text;
    return Instance::start({.l2 = l2,
                            .flags = {"--config", file, "--threads", "1", "--pool", "6",
                                      "--bulk-lanes", "2", "--l2-timeout", "10s"}});
  }
  static std::string page(const Instance& server, const std::string& target) {
    return HttpClient(server.http()).exchange("GET", target).body;
  }
  static std::size_t count(const std::string& text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
    return found;
  }

  const RedisServer redis = RedisServer::start().value();
  const TempDir folder = TempDir::make().value();
  const std::string file = (folder.path() / "nearlane.toml").string();
  const std::string large = std::string(300'000, 'v');
};

TEST_F(BulkLanesServer, SaysWhichLanesAKeyHas) {
  auto server = start(
      "[[prefix]]\nmatch = \"blob:\"\nlanes = \"bulk\"\n"
      "[[prefix]]\nmatch = \"blob:small:\"\n",
      redis.url());
  ASSERT_TRUE(server) << server.error().detail;
  ASSERT_TRUE(succeeded(server->lanes_up_within(6, kPatience)));
  EXPECT_THAT(page(*server, "/why/blob:1"), HasSubstr("\"set\": \"bulk\""));
  EXPECT_THAT(page(*server, "/why/blob:small:1"), HasSubstr("\"set\": \"shared\""))
      << "the longest match decides";
  EXPECT_THAT(page(*server, "/why/k"), HasSubstr("\"set\": \"shared\""));
  EXPECT_THAT(page(*server, "/metrics"), AllOf(HasSubstr("nearlane_l2_lanes{set=\"bulk\"} 2\n"),
                                               HasSubstr("nearlane_l2_lanes{set=\"shared\"} 4\n")));
  RedisClient client(server->resp());
  ASSERT_EQ(client.command({"SET", "blob:1", large})->text, "OK");
  ASSERT_EQ(client.command({"GET", "blob:1"})->text, large);
  ASSERT_EQ(redis.client().command({"SET", "blob:1", "theirs"})->text, "OK");
  EXPECT_TRUE(eventually(
      [&] {
        return client.command({"GET", "blob:1"})->text == "theirs";
      },
      kPatience));
  EXPECT_THAT(page(*server, "/metrics"), HasSubstr("nearlane_large_in_line_total 0\n"));
  EXPECT_EQ(count(server->child().last_output(1000), "lanes = \"bulk\""), 0U);
}

TEST_F(BulkLanesServer, AdvisesWhoHasLargeValuesAmongSmallOnesOnceAMinuteForAPrefix) {
  auto server = start(
      "[[prefix]]\nmatch = \"vault:\"\nsecret = true\n"
      "[[prefix]]\nmatch = \"attic:\"\nlanes = \"shared\"\n",
      redis.url());
  ASSERT_TRUE(server) << server.error().detail;
  ASSERT_TRUE(succeeded(server->lanes_up_within(6, kPatience)));
  RedisClient client(server->resp());
  for (const char* key : {"attic:1", "wallet:17", "wallet:18", "vault:hunter2", "vault:hunter3",
                          "5d3f0c1be2a49d76"}) {
    ASSERT_EQ(client.command({"SET", key, large})->text, "OK");
  }
  const auto log = [&] { return server->child().last_output(1000); };
  EXPECT_TRUE(eventually([&] { return count(log(), "a value of 300000 bytes") == 3; }, kPatience));
  EXPECT_THAT(log(),
              AllOf(HasSubstr("the table [[prefix]] with the lines match = \"wallet:\" and "
                              "lanes = \"bulk\""),
                    HasSubstr("to the [[prefix]] table with match = \"vault:\" add the line "
                              "lanes = \"bulk\""),
                    HasSubstr("give such keys names that begin alike"), Not(HasSubstr("attic"))))
      << "whose table says shared has decided";
  EXPECT_THAT(log(), AllOf(Not(HasSubstr("hunter")), Not(HasSubstr("5d3f0c1be2a49d76")),
                           Not(HasSubstr("wallet:1"))))
      << "names may be secrets";
  EXPECT_THAT(page(*server, "/metrics"), HasSubstr("nearlane_large_in_line_total 6\n"));
}

TEST_F(BulkLanesServer, RefusesThemOverAClusterWithKeyFileAndLine) {
  const auto refused =
      start("\n[[prefix]]\nmatch = \"blob:\"\nlanes = \"bulk\"\n", "redis+cluster://127.0.0.1:1");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail,
              HasSubstr(file + ":4: prefix.lanes: over redis+cluster:// slots say which lane"));
}

}  // namespace
}  // namespace nearlane::harness
