#include "harness/gate/recording.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/workload/random.h"

namespace nearlane::gate {
namespace {

/// `count` blocks of two metrics with normal ratios around `ratio`.
std::vector<Block> blocks(std::size_t count, double ratio, double spread, std::uint64_t seed) {
  harness::Random random(seed);
  std::vector<Block> made;
  for (std::size_t i = 0; i < count; ++i) {
    Block block{.samples = {}, .sentinel = {.before = 1000, .after = 1001}};
    for (const char* id : {"resp_get/cpu_ns", "http_get/cpu_ns"}) {
      block.samples[id] = {.base = 600, .head = 630, .ratio = ratio + spread * random.normal()};
    }
    made.push_back(std::move(block));
  }
  return made;
}

Recording recording(double spread) {
  return {.revision = "abc",
          .cpu = "c",
          .kernel = "k",
          .date = "d",
          .injected = 5,
          .same = blocks(40, 0, spread, 1),
          .slower = blocks(40, 0.0488, spread, 2)};
}

TEST(Recording, IsReadAsItWasWritten) {
  const auto before = recording(0.01);
  const auto after = parse_recording(to_json(before));
  ASSERT_TRUE(after) << after.error().detail;
  EXPECT_EQ(to_json(*after), to_json(before));
  EXPECT_EQ(after->slower.size(), 40U);
  EXPECT_EQ(after->injected, 5U);
}

TEST(Recording, RefusesWhatIsNone) {
  for (const std::string text : {"", "[]", "{}", R"({"schema": "nearlane-result/1"})",
                                 R"({"schema": "nearlane-gate-blocks/1", "same": 3})"}) {
    EXPECT_EQ(parse_recording(text).error().code, Errc::protocol) << text;
  }
  EXPECT_EQ(read_recording("/nowhere/at/all.json").error().code, Errc::invalid_argument);
}

TEST(Recording, MarginsAreWiderWhereBlocksDisagreeMoreAndNeverBelowTheLeast) {
  EXPECT_DOUBLE_EQ(margins(blocks(40, 0, 0.0001, 1)).at("resp_get/cpu_ns"), kLeastMargin);
  const double wide = margins(blocks(40, 0, 0.05, 1)).at("resp_get/cpu_ns");
  EXPECT_GT(wide, 0.025);
  EXPECT_LT(wide, 0.08);
}

TEST(Recording, WhatIsNotRecordedHasAMarginAllTheSame) {
  std::vector<Timed> timed = {{.id = "unheard_of", .what = ""}};
  put_margins(margins(blocks(40, 0, 0.01, 1)), timed);
  EXPECT_DOUBLE_EQ(timed[0].margin, kUnknownMargin);
}

TEST(Recording, AQuietMachinesGateIsRarelyWrong) {
  const auto found = *estimate(recording(0.01), 100);
  EXPECT_LE(found.false_alarms, 0.02);
  for (const auto& [id, share] : found.caught) EXPECT_GE(share, 0.95) << id;
  EXPECT_EQ(found.caught.size(), 2U);
}

TEST(Recording, ANoisyMachinesGateMissesRatherThanAccuses) {
  const auto found = *estimate(recording(0.10), 100);
  EXPECT_LE(found.false_alarms, 0.02);
  EXPECT_LT(found.caught.at("resp_get/cpu_ns"), 0.5);
}

TEST(Recording, SaysNothingOfTheGateFromTooFewBlocks) {
  for (const std::size_t count : {0, 1, 11}) {
    auto few = recording(0.01);
    few.same.resize(count);
    const auto found = estimate(few, 10);
    ASSERT_FALSE(found) << count;
    EXPECT_EQ(found.error().code, Errc::invalid_argument);
    EXPECT_THAT(found.error().detail,
                testing::HasSubstr("too few blocks: " + std::to_string(count)));
    EXPECT_THAT(found.error().detail, testing::EndsWith("needs 12"));
  }
  auto enough = recording(0.01);
  enough.same.resize(kFewestBlocks);
  enough.same[0].sentinel.after = 5000;  // but for this one, which does not count
  EXPECT_FALSE(estimate(enough, 10));
  enough.same[0].sentinel.after = 1001;
  EXPECT_TRUE(estimate(enough, 10));
}

TEST(Recording, DoesNotKnowWhatASlowdownWithoutBlocksComesTo) {
  auto without = recording(0.01);
  for (auto& block : without.slower) block.samples.erase("http_get/cpu_ns");
  EXPECT_THAT(estimate(without, 10)->caught, testing::ElementsAre(testing::Key("resp_get/cpu_ns")));
  without.slower.clear();
  EXPECT_THAT(estimate(without, 10)->caught, testing::IsEmpty());
}

TEST(Recording, DisturbedBlocksDoNotCount) {
  auto all = blocks(10, 0, 0.01, 1);
  all[3].sentinel.after = 2000;
  EXPECT_EQ(undisturbed(all).size(), 9U);
}

}  // namespace
}  // namespace nearlane::gate
