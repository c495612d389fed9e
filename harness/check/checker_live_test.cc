// Real instances over a real Redis under load, with a direct writer and with everything that goes wrong,
// every answer judged; and whoever breaks the promise is caught.
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/fleet.h"
#include "harness/check/history.h"
#include "harness/check/traffic.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLease = 250ms;

class Checked : public testing::Test {
 protected:
  void start(std::size_t instances, bool watched = true) {
    auto started = Fleet::start({.instances = instances, .lease = kLease});
    ASSERT_TRUE(started) << started.error().detail;
    fleet.emplace(std::move(*started));
    auto options =
        watched ? watched_traffic(fleet->doors()) : TrafficOptions{.doors = fleet->doors()};
    options.keys = 500;
    traffic.emplace(std::move(options), history);
    traffic->start();
    run_for(500ms);
  }

  static void run_for(Duration duration) { std::this_thread::sleep_for(duration); }

  void direct(std::initializer_list<std::string_view> command) {
    const auto reply = fleet->redis.client().command(command);
    ASSERT_TRUE(reply) << reply.error().detail;
    ASSERT_FALSE(reply->is_error()) << reply->text;
  }

  /// What this test is about: nothing was wrong, and nothing stays different.
  void expect_coherent() {
    ASSERT_TRUE(fleet->ready_within(10s));
    run_for(500ms);  // healthy again, under load
    traffic->stop();
    const auto settled = traffic->settle();
    ASSERT_TRUE(settled) << settled.error().detail;
    EXPECT_EQ(settled->different, 0U) << testing::PrintToString(settled->examples);
    EXPECT_GT(settled->from_l1, 0U);
    const auto report = history.take_report();
    EXPECT_EQ(report.violations, std::vector<std::string>{});
    EXPECT_EQ(report.violation_count(), 0U);
    EXPECT_LE(report.lateness.max(), kLease);
    EXPECT_GT(report.reads, 5000U);
    EXPECT_GT(report.writes, 500U);
    const auto counts = traffic->counts();
    RecordProperty("operations", std::to_string(counts.operations));
    RecordProperty("failed", std::to_string(counts.failed));
    EXPECT_GT(counts.l1_hits, 1000U);
  }

  History history{{.bound = kLease}};
  std::optional<Fleet> fleet;
  std::optional<Traffic> traffic;
};

TEST_F(Checked, TwoInstancesAndADirectWriterAgree) {
  start(2, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  expect_coherent();
}

TEST_F(Checked, ThreeInstancesAndADirectWriterAgree) {
  start(3, false);
  if (!traffic) return;
  run_for(2s);
  EXPECT_EQ(traffic->counts().failed, 0U);
  expect_coherent();
}

TEST_F(Checked, NothingOldSurvivesLostConnections) {
  start(2);
  if (!traffic) return;
  for (int round = 0; round < 5; ++round) {
    direct({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    run_for(200ms);
    fleet->proxies[0].cut();
    run_for(200ms);
  }
  expect_coherent();
}

TEST_F(Checked, NothingOldIsServedWhileRedisHangs) {
  start(2);
  if (!traffic) return;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(fleet->redis.stall());
    run_for(700ms);
    ASSERT_TRUE(fleet->redis.resume());
    run_for(300ms);
  }
  expect_coherent();
}

TEST_F(Checked, AnInstanceThatIsKilledComesBackClean) {
  start(3);
  if (!traffic) return;
  for (std::size_t victim = 0; victim < 3; ++victim) {
    fleet->instances[victim].kill();
    run_for(200ms);
    ASSERT_TRUE(fleet->instances[victim].restart());
    run_for(300ms);
  }
  expect_coherent();
}

TEST_F(Checked, ARedisThatForgetsEverythingIsFollowed) {
  start(2);
  if (!traffic) return;
  const TimePoint begin = Clock::now();
  fleet->redis.kill();
  run_for(200ms);
  ASSERT_TRUE(fleet->redis.restart());
  history.flushed(begin, Clock::now());
  expect_coherent();
}

/// One of two instances has a bad network; the other one and the direct writer go on.
class CheckedNetwork : public Checked {
 protected:
  void go_wrong(const std::function<void(FaultProxy&)>& fault, Duration lasting = 800ms) {
    start(2);
    if (!traffic) return;
    FaultProxy& bad = fleet->proxies[0];
    fault(bad);
    run_for(lasting);
    bad.heal();
    bad.cut();
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
TEST_F(CheckedNetwork, BlackholedAndThenHealedWithoutALostConnection) {
  start(2);
  if (!traffic) return;
  for (int round = 0; round < 3; ++round) {
    fleet->proxies[0].hold(Way::to_client, true);
    run_for(350ms);
    fleet->proxies[0].heal();
    run_for(100ms);
  }
  expect_coherent();
}

TEST_F(Checked, AnInstanceWhoseInvalidationsAreTakenAwayIsCaught) {
  start(2);
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
