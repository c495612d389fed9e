// Instances that find their Redis by its sentinels, while masters are killed and replaced, every answer judged.
#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/checked.h"
#include "harness/check/history.h"
#include "harness/check/http_client.h"
#include "harness/check/raw_client.h"
#include "harness/check/succeeded.h"
#include "harness/check/traffic.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/sentinel_group.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr unsigned kLanes = 8;
constexpr Duration kLease = 250ms;
constexpr Duration kPatience = 20s;  // for what takes milliseconds unless something is wrong

class SentinelLive : public testing::Test {
 protected:
  static Instance start(const std::string& url) {
    // What they answer is judged by the lease, and RESP cannot say that an answer is stale.
    return Instance::start(
               {.l2 = url,
                .flags = {"--threads", "1", "--pool", std::to_string(kLanes), "--max-stale", "0"}})
        .value();
  }
  static std::string ask(RawClient& client, const std::string& command) {
    EXPECT_TRUE(client.send(command + "\r\n"));
    const auto reply = client.read(kPatience);
    return reply ? reply->bytes : "no reply: " + reply.error().detail;
  }
  /// How many connections of instances there are, of whatever kind.
  static std::size_t connections_to(const RedisServer& server) {
    const auto list = server.client().command({"CLIENT", "LIST"});
    std::size_t count = 0;
    if (!list) return count;
    for (std::size_t at = 0; (at = list->text.find(" name=nearlane", at)) != std::string::npos;
         ++at)
      ++count;
    return count;
  }
  static std::size_t listeners_of(const RedisServer& sentinel) {
    const auto list = sentinel.client().command({"CLIENT", "LIST"});
    std::size_t count = 0;
    if (!list) return count;
    for (std::size_t at = 0; (at = list->text.find(" sub=1 ", at)) != std::string::npos; ++at)
      ++count;
    return count;
  }
  [[nodiscard]] std::size_t index_of(const Endpoint& endpoint) {
    for (std::size_t i = 0; i < group.servers().size(); ++i) {
      if (group.servers()[i].endpoint() == endpoint) return i;
    }
    throw std::invalid_argument("no such server: " + endpoint.to_string());
  }

  SentinelGroup group = SentinelGroup::start().value();
};

TEST_F(SentinelLive, FindsTheMasterAndSendsEverythingThere) {
  std::string url = group.url();
  url.insert(std::string_view("redis+sentinel://").size(), "app:pw@");
  for (const RedisServer& server : group.servers()) {
    ASSERT_EQ(
        server.client().command({"ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all"})->text,
        "OK");
  }
  const Instance nearlane = start(url + "/2");
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "SET k v"), "+OK\r\n");
  EXPECT_EQ(ask(client, "MSET a 1 b 2"), "+OK\r\n");
  EXPECT_EQ(ask(client, "LPUSH list x"), ":1\r\n");
  auto master = group.servers()[0].client();
  ASSERT_EQ(master.command({"SELECT", "2"})->text, "OK");
  EXPECT_EQ(master.command({"GET", "k"})->text, "v");
  EXPECT_EQ(connections_to(group.servers()[1]), 0U);
  HttpClient web(nearlane.http());
  EXPECT_THAT(web.exchange("GET", "/readyz").body,
              HasSubstr(group.servers()[0].endpoint().to_string()));
}

TEST_F(SentinelLive, ASentinelThatIsDownIsPassedOver) {
  group.sentinels()[0].kill();
  const Instance nearlane = start(group.url());
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  for (const std::size_t other : {1U, 2U}) {
    EXPECT_TRUE(eventually([&] { return listeners_of(group.sentinels()[other]) > 0; }, kPatience));
  }
  group.sentinels()[1].kill();
  RawClient client = RawClient::connect(nearlane.resp()).value();
  EXPECT_EQ(ask(client, "SET k v"), "+OK\r\n") << "the master is where it was";
}

TEST_F(SentinelLive, OneThatHasNotHeardOfTheSwitchHoldsNobodyBack) {
  const Instance nearlane = start(group.url());
  ASSERT_TRUE(succeeded(nearlane.lanes_up_within(kLanes, kPatience)));
  RawClient client = RawClient::connect(nearlane.resp()).value();
  ASSERT_TRUE(group.sentinels()[0].stall());
  ASSERT_EQ(group.sentinels()[1].client().command({"SENTINEL", "FAILOVER", "mymaster"})->text,
            "OK");
  EXPECT_TRUE(eventually([&] { return connections_to(group.servers()[1]) > kLanes; }, kPatience));
  EXPECT_TRUE(eventually([&] { return ask(client, "SET k v") == "+OK\r\n"; }, kPatience));
  ASSERT_TRUE(group.sentinels()[0].resume());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ask(client, "SET k v"), "+OK\r\n") << "it names the old one, and is not believed";
    std::this_thread::sleep_for(10ms);
  }
}

TEST_F(SentinelLive, ANameThatNoSentinelKnowsIsSaid) {
  std::string url = group.url();
  url.replace(url.rfind('/'), std::string::npos, "/nobody");
  const Instance nearlane = start(url);
  RawClient client = RawClient::connect(nearlane.resp()).value();
  const auto says = "no sentinel says where the master 'nobody' is";
  EXPECT_TRUE(
      eventually([&] { return ask(client, "GET k").find(says) != std::string::npos; }, kPatience))
      << ask(client, "GET k");
  EXPECT_THAT(ask(client, "LPUSH list x"), HasSubstr("it knows no master 'nobody'"));
  HttpClient web(nearlane.http());
  EXPECT_THAT(web.exchange("GET", "/readyz").body, HasSubstr("it knows no master 'nobody'"));
}

/// Two instances under load, with a writer that goes past them.
class SentinelUnderLoad : public SentinelLive {
 protected:
  void SetUp() override {
    for (int i = 0; i < 2; ++i) instances.push_back(start(group.url()));
    std::vector<Door> doors;
    for (std::size_t i = 0; i < instances.size(); ++i) {
      ASSERT_TRUE(succeeded(instances[i].lanes_up_within(kLanes, kPatience)));
      const auto node = static_cast<Node>(i);
      doors.push_back({.node = node, .protocol = Protocol::resp, .endpoint = instances[i].resp()});
      doors.push_back({.node = node, .protocol = Protocol::http, .endpoint = instances[i].http()});
    }
    doors.push_back(
        {.node = kStore, .protocol = Protocol::resp, .endpoint = group.servers()[0].endpoint()});
    auto options = watched_traffic(std::move(doors));
    options.keys = 500;
    traffic.emplace(std::move(options), history);
    traffic->start();
    run_for(1s);
  }

  static void run_for(Duration duration) { std::this_thread::sleep_for(duration); }

  /// Returns when a sentinel says that another server is the master.
  TimePoint wait_for_another_master(const Endpoint& old) {
    EXPECT_TRUE(soon([&] {
      return std::ranges::any_of(group.sentinels(), [&](RedisServer& sentinel) {
        const auto now = group.master_of(sentinel);
        if (now) master = *now;
        return now && *now != old;
      });
    })) << group.sentinels()[0].child().last_output(40);
    return Clock::now();
  }

  /// Every instance has taken `wanted` writes in a row; returns when.
  TimePoint wait_for_service() {
    for (const Instance& instance : instances) {
      RawClient client = RawClient::connect(instance.resp()).value();
      int in_a_row = 0;
      EXPECT_TRUE(eventually(
          [&] {
            in_a_row = ask(client, "SET probe x") == "+OK\r\n" ? in_a_row + 1 : 0;
            return in_a_row == 20;
          },
          kPatience));
    }
    return Clock::now();
  }

  /// The master answers nobody any more once this was `done` to it.
  void survive(const std::function<void(RedisServer&)>& done) {
    RedisServer& old = group.servers()[0];
    const TimePoint before = Clock::now();
    done(old);
    const TimePoint gone = Clock::now();
    // What the replica had not got is lost. It lags by what one turn of the master's event loop executes.
    history.lose(before - 500ms, gone + 2 * kLease);
    const TimePoint replaced = wait_for_another_master(old.endpoint());
    traffic->turn_store_to(master);
    const TimePoint served = wait_for_service();
    // It takes less than a second where nothing else wants the machine; without knowing of the switch, several.
    EXPECT_LE(served - replaced, 2s);
    RecordProperty("failover_ms", std::to_string(ms(replaced - gone)));
    RecordProperty("service_after_failover_ms", std::to_string(ms(served - replaced)));
    run_for(1s);
    EXPECT_GT(connections_to(group.servers()[index_of(master)]), 0U);
    traffic->stop();
    expect_nothing_wrong(*traffic, history, kLease);
  }

  static double ms(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  }

  std::vector<Instance> instances;
  Endpoint master;
  History history{{.bound = kLease}};
  std::optional<Traffic> traffic;
};

TEST_F(SentinelUnderLoad, AMasterThatIsKilledIsReplaced) {
  survive([](RedisServer& old) { old.kill(); });
}

TEST_F(SentinelUnderLoad, AMasterThatHangsIsLeftByEverybody) {
  RawClient pinned = RawClient::connect(instances[0].resp()).value();
  ASSERT_EQ(ask(pinned, "WATCH k"), "+OK\r\n");
  survive([](RedisServer& old) { ASSERT_TRUE(old.stall()); });
  EXPECT_TRUE(pinned.read_to_end(kPatience)) << "what Redis kept for it is gone";
}

TEST_F(SentinelUnderLoad, AMasterThatIsDeposedIsLeftAtOnceAndByEverybody) {
  RawClient pinned = RawClient::connect(instances[0].resp()).value();
  ASSERT_EQ(ask(pinned, "WATCH k"), "+OK\r\n");
  RedisServer& old = group.servers()[0];
  const TimePoint before = Clock::now();
  ASSERT_EQ(group.sentinels()[0].client().command({"SENTINEL", "FAILOVER", "mymaster"})->text,
            "OK");
  wait_for_another_master(old.endpoint());
  traffic->turn_store_to(master);
  wait_for_service();
  EXPECT_TRUE(soon([&] { return connections_to(old) == 0; }));
  EXPECT_TRUE(pinned.read_to_end(kPatience)) << "what Redis kept for it is gone";
  // While there are two masters, both take writes, and those of one are lost: what is promised holds again once
  // everybody has turned.
  history.lose(before, Clock::now() + 2 * kLease);
  run_for(2 * kLease);
  (void)history.take_report();
  run_for(2s);
  traffic->stop();
  expect_nothing_wrong(*traffic, history, kLease);
}

}  // namespace
}  // namespace nearlane::harness
