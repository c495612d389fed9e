#include <string>

#include <gtest/gtest.h>

#include "core/base/key.h"
#include "core/tier/sim/random.h"
#include "harness/bench/routing_fleet.h"

namespace nearlane::harness {
namespace {

/// 60 sessions at a time: each is asked for every few seconds for some minutes, pauses, and comes back.
SessionLog busy_log() {
  constexpr std::uint32_t kSessions = 60;
  constexpr std::uint64_t kSeconds = 1200;
  SessionLog log;
  for (std::uint32_t i = 0; i < kSessions; ++i) log.names.push_back("s:" + std::to_string(i));
  sim::Random random(7);
  for (std::uint64_t second = 0; second < kSeconds; ++second) {
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t session = random.below(kSessions);
      if ((second / 150 + session) % 3 == 0) continue;
      log.requests.push_back({.second = second, .session = session, .bytes = 1000});
    }
  }
  return log;
}

class RoutingFleetTest : public testing::Test {
 protected:
  RoutingFleetTest() { set_hash_seed(1); }

  RoutingCounts run(std::size_t instances, const tier::KeyRules& rules = {},
                    sim::ModelRedis::Form store = sim::ModelRedis::Form::proper) {
    const RoutingCounts counts =
        run_routing(log_, {.instances = instances, .rules = rules, .store = store});
    EXPECT_EQ(counts.requests, log_.requests.size());
    EXPECT_EQ(counts.failed, 0U);
    EXPECT_EQ(counts.not_allowed, 0U);
    EXPECT_EQ(counts.ended_early, 0U);
    EXPECT_EQ(counts.began, log_.names.size());
    // What was not answered by L1 was read, and so was what nobody had asked for; a read in vain begins a session.
    EXPECT_EQ(counts.l2_reads,
              counts.requests - counts.l1_hits + counts.refreshes + counts.prefetches);
    EXPECT_EQ(counts.l2_bytes, 1000 * (counts.l2_reads - counts.began));
    return counts;
  }

  const SessionLog log_ = busy_log();
};

const tier::KeyRules kAll{.touch_coalescing = true, .refresh = true, .prefetch = true};

TEST_F(RoutingFleetTest, OneInstanceMissesNothingButTheFirst) {
  const RoutingCounts counts = run(1);
  EXPECT_EQ(counts.l1_hits, counts.requests - counts.began);
  EXPECT_EQ(counts.pushes, 0U);
}

TEST_F(RoutingFleetTest, CountsTheSameTwice) {
  const RoutingCounts once = run(4, kAll);
  const RoutingCounts again = run(4, kAll);
  EXPECT_EQ(once.l1_hits, again.l1_hits);
  EXPECT_EQ(once.l2_reads, again.l2_reads);
  EXPECT_EQ(once.pushes, again.pushes);
}

TEST_F(RoutingFleetTest, TouchesThatPushLeaveEachInstanceItsPart) {
  const RoutingCounts counts = run(4);
  const double share =
      static_cast<double>(counts.l1_hits) / static_cast<double>(counts.requests - counts.began);
  EXPECT_NEAR(share, 0.25, 0.03) << "1/N";
  EXPECT_EQ(counts.l2_touches, counts.requests - counts.began);
}

TEST_F(RoutingFleetTest, EachMeasureDoesItsPart) {
  const RoutingCounts plain = run(4);
  const RoutingCounts coalesced = run(4, {.touch_coalescing = true});
  EXPECT_LT(coalesced.l2_touches, plain.l2_touches / 4);
  EXPECT_GT(coalesced.l1_hits, plain.l1_hits * 2);
  EXPECT_LT(coalesced.l2_reads, plain.l2_reads);
  EXPECT_EQ(coalesced.refreshes + coalesced.prefetches + coalesced.hints, 0U);

  const RoutingCounts refreshed = run(4, {.touch_coalescing = true, .refresh = true});
  EXPECT_GT(refreshed.refreshes, 0U);
  EXPECT_GT(refreshed.l1_hits, coalesced.l1_hits);

  const RoutingCounts all = run(4, kAll);
  EXPECT_EQ(all.hints, all.began);
  EXPECT_EQ(all.prefetches, 3 * all.began);
  EXPECT_GT(all.l1_hits, refreshed.l1_hits);
  EXPECT_GT(all.l1_hits, (all.requests - all.began) * 9 / 10);
}

TEST_F(RoutingFleetTest, AStoreThatAnnouncesNoTouchesIsTheBestThatPlainCanDo) {
  const RoutingCounts silent = run(4, {}, sim::ModelRedis::Form::quiet_touches);
  EXPECT_EQ(silent.pushes, 0U);
  EXPECT_GT(silent.l1_hits, run(4).l1_hits * 2);
}

TEST_F(RoutingFleetTest, ABudgetBoundsWhatIsReadUnasked) {
  const RoutingCounts counts = run_routing(
      log_, {.instances = 4, .rules = kAll, .refresh = {.reads_per_s = 1, .most_waiting = 2}});
  const RoutingCounts free = run(4, kAll);
  EXPECT_LT(counts.refreshes + counts.prefetches, free.refreshes + free.prefetches);
  EXPECT_LE(counts.refreshes + counts.prefetches, 4 * 1210U);
  EXPECT_EQ(counts.failed, 0U);
  EXPECT_EQ(counts.not_allowed, 0U);
}

}  // namespace
}  // namespace nearlane::harness
