// Checked: the fixture of tests with real instances over a real Redis under load, every answer judged.
//
// Threads:  as Fleet and Traffic. For tests alone.
#pragma once

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/fleet.h"
#include "harness/check/history.h"
#include "harness/check/traffic.h"

namespace nearlane::harness {

/// Once the traffic has stopped: no answer was wrong, none was later than `bound`, and nothing stays different.
inline void expect_nothing_wrong(Traffic& traffic, History& history, Duration bound) {
  const auto settled = traffic.settle();
  ASSERT_TRUE(settled) << settled.error().detail;
  EXPECT_EQ(settled->different, 0U) << testing::PrintToString(settled->examples);
  EXPECT_GT(settled->from_l1, 0U);
  const auto report = history.take_report();
  EXPECT_EQ(report.violations, std::vector<std::string>{});
  EXPECT_EQ(report.violation_count(), 0U);
  EXPECT_LE(report.lateness.max(), bound);
  EXPECT_GT(report.reads, 1000U);
  EXPECT_GT(report.writes, 100U);
}

class Checked : public testing::Test {
 public:
  static constexpr Duration kLease = std::chrono::milliseconds(250);
  static constexpr std::uint64_t kKeys = 500;
  // Of whoever is to be answered although other processes may take the machine away for a while.
  static constexpr Duration kPatience = std::chrono::seconds(20);

 protected:
  /// `bound`: how old an answer may be.
  explicit Checked(Duration bound = kLease) : bound_(bound) {}

  /// `watched`: as is right where things go wrong; else nothing may fail.
  void start(FleetOptions shape, bool watched = true) {
    shape.lease = kLease;
    if (!watched) shape.flags.insert(shape.flags.end(), {"--l2-timeout", "10s"});
    auto started = Fleet::start(shape);
    ASSERT_TRUE(started) << started.error().detail;
    fleet.emplace(std::move(*started));
    const auto ready = fleet->ready_within(kPatience);
    ASSERT_TRUE(ready) << ready.error().detail;
    auto options = watched ? watched_traffic(fleet->doors())
                           : TrafficOptions{.doors = fleet->doors(), .timeout = kPatience};
    options.keys = kKeys;
    options.store_writes = store_writes;
    traffic.emplace(std::move(options), history);
    traffic->start();
    run_for(std::chrono::milliseconds(500));
  }

  static void run_for(Duration duration) { std::this_thread::sleep_for(duration); }

  void direct(std::initializer_list<std::string_view> command) {
    const auto reply = fleet->redis.client().command(command);
    ASSERT_TRUE(reply) << reply.error().detail;
    ASSERT_FALSE(reply->is_error()) << reply->text;
  }

  // What goes wrong, whatever tells instances of changes.

  void lose_connections() {
    for (int round = 0; round < 5; ++round) {
      direct({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
      run_for(std::chrono::milliseconds(200));
      fleet->proxies[0].cut();
      run_for(std::chrono::milliseconds(200));
    }
  }
  /// Nothing comes from Redis to the first instance for longer than a lease, and then what was held does.
  void hold_and_heal() {
    for (int round = 0; round < 3; ++round) {
      fleet->proxies[0].hold(Way::to_client, true);
      run_for(std::chrono::milliseconds(350));
      fleet->proxies[0].heal();
      run_for(std::chrono::milliseconds(100));
    }
  }
  void kill_and_restart(std::size_t victim) {
    fleet->instances[victim].kill();
    run_for(std::chrono::milliseconds(200));
    ASSERT_TRUE(fleet->instances[victim].restart());
    run_for(std::chrono::milliseconds(300));
  }
  void hang_redis() {
    ASSERT_TRUE(fleet->redis.stall());
    run_for(std::chrono::milliseconds(700));
    ASSERT_TRUE(fleet->redis.resume());
    run_for(std::chrono::milliseconds(300));
  }
  void kill_redis() {
    history.begin_flush(Clock::now());
    fleet->redis.kill();
    run_for(std::chrono::milliseconds(200));
    ASSERT_TRUE(fleet->redis.restart());
    history.end_flush(Clock::now());
  }

  /// What such a test is about: nothing was wrong, and nothing stays different.
  void expect_coherent() {
    const auto ready = fleet->ready_within(kPatience);
    ASSERT_TRUE(ready) << ready.error().detail;
    run_for(std::chrono::milliseconds(500));  // healthy again, under load
    traffic->stop();
    run_for(bound_ - kLease);
    ASSERT_NO_FATAL_FAILURE(expect_nothing_wrong(*traffic, history, bound_));
    const auto counts = traffic->counts();
    RecordProperty("operations", std::to_string(counts.operations));
    RecordProperty("failed", std::to_string(counts.failed));
    EXPECT_GT(counts.l1_hits, 10U) << "coherence is not bought by never using L1";
  }

  const Duration bound_;
  bool store_writes = true;  // somebody writes past all instances
  History history{{.bound = bound_}};
  std::optional<Fleet> fleet;
  std::optional<Traffic> traffic;
};

}  // namespace nearlane::harness
