// Real instances over a real Redis under load, with a direct writer and with everything that goes wrong,
// every answer judged; and whoever breaks the promise is caught.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/checked.h"
#include "harness/topology/temp_dir.h"
#include "harness/workload/document.h"
#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLease = Checked::kLease;
constexpr std::uint64_t kKeys = Checked::kKeys;
constexpr Duration kPatience = Checked::kPatience;

TEST_F(Checked, TwoInstancesAndADirectWriterAgree) {
  start({.instances = 2}, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  expect_coherent();
}

TEST_F(Checked, ThreeInstancesWithManyLoopsAndNegativeEntriesAgree) {
  start({.instances = 3, .threads = 2, .flags = {"--negative-ttl", "60s"}}, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  expect_coherent();
}

TEST_F(Checked, ThreeInstancesThatReadUnaskedAgree) {
  const auto folder = TempDir::make();
  ASSERT_TRUE(folder) << folder.error().detail;
  const std::string config = folder->path() / "routing.toml";
  std::ofstream(config) << "[[prefix]]\nmatch = \"checked:\"\ntouch_coalescing = true\n"
                           "refresh = true\nprefetch = true\n";
  start({.instances = 3, .threads = 2, .flags = {"--config", config}}, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  for (const Instance& instance : fleet->instances) {
    RedisClient client(instance.resp(), kPatience);
    EXPECT_NE(client.info("nearlane", "refreshes").value(), "0");
    EXPECT_NE(client.info("nearlane", "prefetches").value(), "0");
  }
  expect_coherent();
}

/// Sends what the traffic does not: commands of several keys, conditional ones, and ones that read and
/// write at once. Only keys whose writes may overlap.
class OtherCommands {
 public:
  OtherCommands(Node node, const Endpoint& resp, History& history, std::uint64_t keys)
      : node_(node),
        client_(resp, kPatience),
        history_(history),
        keys_(keys),
        random_(node + 1000U) {
    thread_ = std::thread([this] {
      while (!stopping_) send_one();
    });
  }
  ~OtherCommands() {
    stopping_ = true;
    thread_.join();
  }
  [[nodiscard]] std::uint64_t failed() const noexcept { return failed_; }

 private:
  struct Written {
    std::string key;
    std::uint64_t version = 0;
    std::string value = {};
  };

  std::string draw_key() { return fmt::format("checked:{:06}", random_.below(keys_ / 2) * 2 + 1); }
  Written begin_set(std::string key) {
    Written made{.key = std::move(key)};
    made.version = history_.begin_set(made.key, kWriter, node_, Clock::now());
    write_document(made.key, made.version, 200, made.value);
    return made;
  }
  Written begin_erase(std::string key) {
    Written made{.key = std::move(key)};
    made.version = history_.begin_erase(made.key, kWriter, node_, Clock::now());
    return made;
  }
  void brought(const std::string& key, TimePoint begin, const RedisReply& reply) {
    if (reply.is_nil()) {
      history_.read(key, node_, begin, Clock::now(), std::nullopt);
      return;
    }
    const auto version = verify_document(key, reply.text);
    if (version) {
      history_.read(key, node_, begin, Clock::now(), *version);
    } else {
      history_.read_damaged(key, node_, version.error().detail);
    }
  }

  void send_one() {
    const TimePoint begin = Clock::now();
    std::vector<Written> written;
    std::vector<std::string> keys;
    std::vector<std::string_view> command;
    const auto kind = random_.below(7);
    for (int i = 0; i < (kind < 3 ? 3 : 1); ++i) {
      auto key = draw_key();
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
    }
    const auto set_all = [&] {
      for (const auto& key : keys) written.push_back(begin_set(key));
    };
    const auto erase_all = [&] {
      for (const auto& key : keys) written.push_back(begin_erase(key));
    };
    switch (kind) {
      case 0:
        command = {"MGET"};
        command.insert(command.end(), keys.begin(), keys.end());
        break;
      case 1:
        set_all();
        command = {"MSET"};
        for (const auto& one : written) command.insert(command.end(), {one.key, one.value});
        break;
      case 2:
        erase_all();
        command = {"DEL"};
        command.insert(command.end(), keys.begin(), keys.end());
        break;
      case 3:
        set_all();
        command = {"GETSET", keys[0], written[0].value};
        break;
      case 4:
        erase_all();
        command = {"GETDEL", keys[0]};
        break;
      case 5:
        set_all();
        command = {"SET", keys[0], written[0].value, "XX"};
        break;
      default:
        set_all();
        command = {"SETNX", keys[0], written[0].value};
    }
    const auto reply = client_.command(command);
    const TimePoint end = Clock::now();
    if (!reply || reply->is_error()) {
      ++failed_;
      return;  // what was begun stays without a known end
    }
    for (std::size_t i = 0; i < reply->elements.size(); ++i) {
      brought(keys[i], begin, reply->elements[i]);
    }
    if (kind == 3 || kind == 4) brought(keys[0], begin, *reply);
    const bool refused = (kind == 5 && reply->is_nil()) || (kind == 6 && reply->integer == 0);
    for (const auto& one : written) {
      history_.end_write(one.key, one.version, refused ? Effect::none : Effect::happened, end);
    }
  }

  static constexpr std::uint16_t kWriter = 999;
  const Node node_;
  RedisClient client_;
  History& history_;
  const std::uint64_t keys_;
  Random random_;
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

TEST_F(Checked, CommandsOfSeveralKeysAndConditionalOnesAgreeToo) {
  start({.instances = 2, .threads = 2, .flags = {"--negative-ttl", "60s", "--l2-timeout", "10s"}});
  if (!traffic) return;
  {
    OtherCommands first(0, fleet->instances[0].resp(), history, kKeys);
    OtherCommands second(1, fleet->instances[1].resp(), history, kKeys);
    OtherCommands straight(kStore, fleet->redis.endpoint(), history, kKeys);
    run_for(2s);
    EXPECT_EQ(first.failed() + second.failed() + straight.failed(), 0U);
  }
  expect_coherent();
}

TEST_F(Checked, ATableOfTrackedKeysThatWouldOverflowIsGivenRoom) {
  start({.redis = {"--tracking-table-max-keys", "50"}}, false);
  if (!traffic) return;
  run_for(1s);
  expect_coherent();
}

TEST_F(Checked, SomebodyElsesFlushIsFollowed) {
  start({.flags = {"--negative-ttl", "60s"}});
  if (!traffic) return;
  for (int round = 0; round < 3; ++round) {
    history.begin_flush(Clock::now());
    direct({"FLUSHALL"});
    history.end_flush(Clock::now());
    run_for(400ms);
  }
  expect_coherent();
}

TEST_F(Checked, NothingOldSurvivesLostConnections) {
  start({.instances = 2});
  if (!traffic) return;
  lose_connections();
  expect_coherent();
}

TEST_F(Checked, NothingOldIsServedWhileRedisHangs) {
  start({.instances = 2});
  if (!traffic) return;
  for (int round = 0; round < 2; ++round) ASSERT_NO_FATAL_FAILURE(hang_redis());
  expect_coherent();
}

TEST_F(Checked, AnInstanceThatIsKilledComesBackClean) {
  start({.instances = 3});
  if (!traffic) return;
  for (std::size_t victim = 0; victim < 3; ++victim)
    ASSERT_NO_FATAL_FAILURE(kill_and_restart(victim));
  expect_coherent();
}

TEST_F(Checked, ARedisThatForgetsEverythingIsFollowed) {
  start({.instances = 2});
  if (!traffic) return;
  ASSERT_NO_FATAL_FAILURE(kill_redis());
  expect_coherent();
}

/// One of two instances has a bad network; the other one and the direct writer go on.
class CheckedNetwork : public Checked {
 protected:
  void go_wrong(const std::function<void(FaultProxy&)>& fault, Duration lasting = 800ms) {
    start({.instances = 2});
    if (!traffic) return;
    FaultProxy& bad = fleet->proxies[0];
    fault(bad);
    run_for(lasting);
    // In this order, so that what waited is lost and does not come at last.
    bad.cut();
    bad.heal();
    expect_coherent();
  }
};

TEST_F(CheckedNetwork, BlackholedFromRedis) {
  go_wrong([](FaultProxy& bad) { bad.hold(Way::to_client, true); });
}
TEST_F(CheckedNetwork, BlackholedToRedis) {
  go_wrong([](FaultProxy& bad) { bad.hold(Way::to_server, true); });
}
TEST_F(CheckedNetwork, SlowFromRedis) {
  go_wrong([](FaultProxy& bad) { bad.delay(Way::to_client, 150ms); });
}
TEST_F(CheckedNetwork, SlowerThanTheLease) {
  go_wrong([](FaultProxy& bad) { bad.delay(Way::to_client, 400ms); }, 1500ms);
}
TEST_F(CheckedNetwork, SlowFromTheFirstInvalidationOn) {
  go_wrong([](FaultProxy& bad) { bad.delay_pushes(200ms); }, 1500ms);
}
TEST_F(CheckedNetwork, HalfOpen) {
  go_wrong([](FaultProxy& bad) { bad.strand(); });
}
TEST_F(CheckedNetwork, HalfOpenIsNoticedByTheInstanceItself) {
  start({.instances = 2});
  if (!traffic) return;
  fleet->proxies[0].strand();
  run_for(6s);  // longer than lane_dead
  expect_coherent();
}
TEST_F(CheckedNetwork, BlackholedAndThenHealedWithoutALostConnection) {
  start({.instances = 2});
  if (!traffic) return;
  hold_and_heal();
  expect_coherent();
}

TEST_F(Checked, AnInstanceWhoseInvalidationsAreTakenAwayIsCaught) {
  start({.instances = 2});
  if (!traffic) return;
  // No network does this: replies arrive and the pushes before them do not, so every lease is a lie.
  fleet->proxies[0].drop_pushes(true);
  run_for(1500ms);
  traffic->stop();
  const auto settled = traffic->settle();
  ASSERT_TRUE(settled) << settled.error().detail;
  EXPECT_GT(settled->different, 0U);
  const auto report = history.take_report();
  EXPECT_GT(report.stale, 0U);
  EXPECT_GT(report.lateness.max(), kLease);
  EXPECT_THAT(report.violations, testing::Each(testing::HasSubstr("instance 0")));
  EXPECT_GT(fleet->proxies[0].counts().pushes_dropped, 0U);
}

}  // namespace
}  // namespace nearlane::harness
