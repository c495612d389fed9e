#include "harness/gate/verdict.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "harness/workload/random.h"

namespace nearlane::gate {
namespace {

using testing::HasSubstr;

Counted counted(double base, double head) {
  return {.id = "resp_get/instructions",
          .what = "instructions",
          .base = base,
          .head = head,
          .tolerance = 0.01};
}

Timed timed(std::size_t blocks, double ratio, double spread = 0.01, std::uint64_t seed = 1) {
  Timed made{.id = "resp_get/cpu_ns", .what = "CPU", .margin = 0.02};
  harness::Random random(seed);
  for (std::size_t i = 0; i < blocks; ++i) {
    made.blocks.push_back(
        {.base = 600, .head = 600 * std::exp(ratio), .ratio = ratio + spread * random.normal()});
  }
  return made;
}

Outcome outcome(const Measured& measured) { return judge(measured).outcome; }

TEST(Verdict, PassesWhatIsTheSame) {
  const auto verdict = judge({.counted = {counted(3290, 3291)}, .timed = {timed(kFirstLook, 0)}});
  EXPECT_EQ(verdict.outcome, Outcome::pass);
  EXPECT_TRUE(verdict.reasons.empty());
  EXPECT_FALSE(undecided(verdict));
}

TEST(Verdict, FailsTwoPercentMoreInstructions) {
  const auto verdict =
      judge({.counted = {counted(3290, 3290 * 1.02)}, .timed = {timed(kFirstLook, 0)}});
  EXPECT_EQ(verdict.outcome, Outcome::fail);
  ASSERT_EQ(verdict.reasons.size(), 1U);
  EXPECT_THAT(verdict.reasons[0], HasSubstr("resp_get/instructions: fail"));
}

TEST(Verdict, PassesLessOfEverything) {
  EXPECT_EQ(outcome({.counted = {counted(3290, 2000)}, .timed = {timed(kFirstLook, -0.3)}}),
            Outcome::pass);
}

TEST(Verdict, FailsTheFirstOfWhatBaseHadNoneOf) {
  auto allocations = counted(0, 1);
  allocations.slack = 0.01;
  EXPECT_EQ(outcome({.counted = {allocations}, .timed = {timed(kFirstLook, 0)}}), Outcome::fail);
  allocations.head = 0.005;
  EXPECT_EQ(outcome({.counted = {allocations}, .timed = {timed(kFirstLook, 0)}}), Outcome::pass);
}

TEST(Verdict, FailsWhatIsFivePercentSlower) {
  EXPECT_EQ(outcome({.counted = {counted(1, 1)}, .timed = {timed(kFirstLook, 0.05)}}),
            Outcome::fail);
}

TEST(Verdict, CallsWhatLiesOnTheMarginInconclusive) {
  auto metric = timed(kFirstLook, 0);
  for (std::size_t i = 0; i < metric.blocks.size(); ++i)
    metric.blocks[i].ratio = i % 2 == 0 ? 0.012 : 0.026;
  const auto verdict = judge({.counted = {counted(1, 1)}, .timed = {metric}});
  ASSERT_EQ(verdict.findings.size(), 2U);
  EXPECT_LT(*verdict.findings[1].low, verdict.findings[1].limit);
  EXPECT_GT(*verdict.findings[1].high, verdict.findings[1].limit);
  EXPECT_EQ(verdict.outcome, Outcome::inconclusive);
  EXPECT_TRUE(undecided(verdict));
}

TEST(Verdict, CallsTooFewBlocksInconclusiveHoweverSlow) {
  EXPECT_EQ(outcome({.counted = {counted(1, 1)}, .timed = {timed(kFirstLook - 1, 0.5)}}),
            Outcome::inconclusive);
}

TEST(Verdict, CallsAHostInvalidWhenAFifthOfItsBlocksWereDisturbed) {
  Measured measured{.counted = {counted(1, 1)}, .timed = {timed(16, 0.5)}, .voided = 5};
  const auto verdict = judge(measured);
  EXPECT_EQ(verdict.outcome, Outcome::invalid_host);  // its times prove nothing
  EXPECT_THAT(verdict.reasons.front(), HasSubstr("5 of 21 blocks"));
  measured.voided = 4;
  EXPECT_EQ(outcome(measured), Outcome::fail);
  measured.voided = 5;
  measured.counted = {counted(1, 2)};
  EXPECT_EQ(outcome(measured), Outcome::fail);  // what was counted is still so
}

TEST(Verdict, SaysWhatCannotBeComparedAndDecidesWithoutIt) {
  Counted lacking{
      .id = "micro/instructions", .what = "", .head = 60, .absent = {.base = "no --draws"}};
  const auto verdict =
      judge({.counted = {counted(1, 1), lacking}, .timed = {timed(kFirstLook, 0)}});
  EXPECT_EQ(verdict.outcome, Outcome::pass);
  ASSERT_EQ(verdict.reasons.size(), 1U);
  EXPECT_THAT(verdict.reasons[0], HasSubstr("not comparable: base: no --draws"));
  lacking.head = {};
  lacking.absent.head = "no --draws";
  auto neither = timed(0, 0);
  neither.absent = {.base = "no such program", .head = "no such program"};
  EXPECT_EQ(
      outcome({.counted = {counted(1, 1), lacking}, .timed = {timed(kFirstLook, 0), neither}}),
      Outcome::pass);
}

TEST(Verdict, FailsWhatBaseHasAndHeadHasNot) {
  Counted crashed{.id = "l1_get/instructions",
                  .what = "",
                  .base = 60,
                  .absent = {.head = "nearlane-micro: killed by signal 11"}};
  auto verdict = judge({.counted = {counted(1, 1), crashed}, .timed = {timed(kFirstLook, 0)}});
  EXPECT_EQ(verdict.outcome, Outcome::fail);
  ASSERT_EQ(verdict.reasons.size(), 1U);
  EXPECT_THAT(verdict.reasons[0],
              HasSubstr("l1_get/instructions: fail: base has a figure and head has none: "
                        "nearlane-micro: killed by signal 11"));
  auto untimed = timed(0, 0);
  untimed.absent.head = "killed by signal 11";
  // A crash is no time: it counts on a disturbed host, too.
  for (const std::size_t voided : {0, 12}) {
    verdict = judge(
        {.counted = {counted(1, 1)}, .timed = {timed(kFirstLook, 0), untimed}, .voided = voided});
    EXPECT_EQ(verdict.outcome, Outcome::fail);
    EXPECT_THAT(verdict.reasons, testing::Contains(HasSubstr("killed by signal 11")));
  }
}

TEST(Verdict, CannotTellWhatHeadTookTooLongFor) {
  Counted late{.id = "resp_get/l2_commands",
               .what = "",
               .base = 1,
               .absent = {.head = "3 of 32 lanes are up", .head_timed_out = true}};
  const auto verdict = judge({.counted = {counted(1, 1), late}, .timed = {timed(kFirstLook, 0)}});
  EXPECT_EQ(verdict.outcome, Outcome::inconclusive);
  EXPECT_THAT(verdict.reasons[0],
              HasSubstr("inconclusive: base has a figure and head has none: 3"));
}

TEST(Verdict, NeverPassesWhatShouldHaveBeenTimedAndWasNot) {
  EXPECT_EQ(outcome({.counted = {counted(1, 1)}, .timed = {timed(kFirstLook, 0), timed(0, 0)}}),
            Outcome::inconclusive);
}

TEST(Verdict, NeverPassesWhereNothingWasCountedOrTimed) {
  EXPECT_EQ(outcome({}), Outcome::inconclusive);
  EXPECT_EQ(outcome({.counted = {counted(1, 1)}}), Outcome::inconclusive);
  EXPECT_EQ(outcome({.counted = {}, .timed = {timed(kFirstLook, 0)}}), Outcome::inconclusive);
}

RC_GTEST_PROP(Verdict, MoreOfAnythingIsNeverJudgedBetter, ()) {
  const auto rank = [](Outcome o) {
    return o == Outcome::fail ? 2 : o == Outcome::inconclusive ? 1 : 0;
  };
  const double slower = *rc::gen::inRange(-50, 100) / 1000.0;
  const double more = *rc::gen::inRange(0, 50) / 1000.0;
  const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
  const auto at = [&](double ratio) {
    return outcome(
        {.counted = {counted(100, 100)}, .timed = {timed(kFirstLook, ratio, 0.015, seed)}});
  };
  RC_ASSERT(rank(at(slower + more)) >= rank(at(slower)));
}

TEST(Sentinel, VoidsWhatDiffersFromTheRunAndNotASlowRun) {
  std::vector<Sentinel> sentinels(6, {.before = 1000, .after = 1010});
  EXPECT_THAT(disturbed(sentinels), testing::Each(false));
  sentinels[1].after = 1300;
  sentinels[4].before = 700;
  EXPECT_THAT(disturbed(sentinels), testing::ElementsAre(false, true, false, false, true, false));
  for (auto& each : sentinels) each = {.before = each.before * 3, .after = each.after * 3};
  EXPECT_EQ(std::ranges::count(disturbed(sentinels), true), 2);
  EXPECT_TRUE(disturbed({}).empty());
}

}  // namespace
}  // namespace nearlane::gate
