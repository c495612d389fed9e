#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "harness/micro/ratios.h"

namespace nearlane::micro {
namespace {

using testing::HasSubstr;
using testing::Not;

/// One map against two others that did not fit beside each other.
RatioTable two_groups(Metric metric, Limits limits = {}) {
  RatioTable table;
  table.options.map = "ours";
  table.options.rounds = 3;
  table.others = {"near", "far"};
  const TableCase asked{"a case", {.fill = {10, 64}}, metric, limits};
  Group first{.names = {"ours", "near"}};
  first.rounds = {{{10, 20}, 0}, {{20, 60}, 0}, {{30, 30}, 0}};
  Group second{.names = {"ours", "far"}};
  second.rounds = {{{100, 400}, 0}, {{100, 500}, 0.25}, {{100, 600}, 0}};
  second.disturbed = 1;
  table.cases.push_back({asked, {first, second}});
  return table;
}

TEST(RatiosPage, MakesRatiosWithinARoundAndThenTheMedian) {
  const auto document = nlohmann::json::parse(ratios_json(two_groups(Metric::ns_per_op)));
  const auto& rows = document["cases"][0]["rows"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0]["map"], "ours");
  EXPECT_FALSE(rows[0].contains("times_as_fast"));
  EXPECT_EQ(rows[1]["row"], "L1Get/near/keys:10/value:64/uniform/ref/threads:1");
  EXPECT_EQ(rows[1]["times_as_fast"]["rounds"], nlohmann::json({2.0, 3.0, 1.0}));
  EXPECT_EQ(rows[1]["times_as_fast"]["median"], 2.0);
  EXPECT_EQ(rows[1]["times_as_fast"]["mad"], 1.0);
  EXPECT_EQ(rows[2]["times_as_fast"]["median"], 5.0) << "against ours in its own group";
}

TEST(RatiosPage, SaysWhatThePolicyCosts) {
  RatioTable table = two_groups(Metric::ns_per_op);
  table.options.policy = "lru";
  EXPECT_THAT(ratios_markdown(table), Not(HasSubstr("costs a hit")));
  Group group{.names = {"ours", std::string(kNoPolicy)}};
  group.rounds = {{{10, 8}, 0}, {{20, 14}, 0}, {{30, 23}, 0}};
  table.cases[0].groups.push_back(group);
  EXPECT_THAT(ratios_markdown(table), HasSubstr("| a case | 6.0 ± 1.0 ns |"));
  EXPECT_EQ(nlohmann::json::parse(ratios_json(table))["cases"][0]["policy_ns"]["median"], 6.0);
}

TEST(RatiosPage, ShowsPausesBesideThoseOfTheMachine) {
  RatioTable table = two_groups(Metric::ns_per_op);
  Pauses pauses{.map = "ours"};
  for (int i = 0; i < 9; ++i) pauses.finds.all.record(std::chrono::nanoseconds(100));
  pauses.finds.all.record(std::chrono::microseconds(250));
  for (const int us : {250, 100, 30}) pauses.finds.longest.push_back(std::chrono::microseconds(us));
  table.pauses.push_back(pauses);
  EXPECT_THAT(ratios_markdown(table), HasSubstr("| ours | find | 10 | 0.10 µs |"));
  EXPECT_THAT(ratios_markdown(table), HasSubstr("| 100, 250 µs |"));
  EXPECT_EQ(nlohmann::json::parse(ratios_json(table))["pauses"][0]["find"]["longest_ns"][0],
            250000);
}

TEST(RatiosPage, SaysWhatAnEntryTakes) {
  RatioTable table = two_groups(Metric::ns_per_op);
  EXPECT_THAT(ratios_markdown(table), Not(HasSubstr("an entry takes")));
  table.overheads.push_back({"ours", {10'000'000, 64}, 90.25});
  EXPECT_THAT(ratios_markdown(table), HasSubstr("| ours | 10000000 | 64 B | 90.2 |"));
  EXPECT_EQ(nlohmann::json::parse(ratios_json(table))["overheads"][0]["bytes_per_entry"], 90.25);
}

TEST(RatiosPage, MoreOperationsASecondAreFaster) {
  const auto document = nlohmann::json::parse(ratios_json(two_groups(Metric::ops_per_s)));
  EXPECT_EQ(document["cases"][0]["rows"][2]["times_as_fast"]["median"], 0.2);
  EXPECT_EQ(document["cases"][0]["best_other"], "far");
}

TEST(RatiosPage, NamesTheBestOtherAndWhatWasNotBuilt) {
  const auto page = ratios_markdown(two_groups(Metric::ns_per_op));
  EXPECT_THAT(page,
              HasSubstr("| a case | 20.0 ± 10.0 ns | not built | not built | near 2.00 ± 1.00 |"));
  EXPECT_THAT(page,
              HasSubstr("| a case | far | 500.0 ± 100.0 ns | 100.0 ± 0.0 ns | 5.00 ± 1.00 |"));
  EXPECT_THAT(page, HasSubstr("| a case | ours, far | 1 | 25 % |"));
  EXPECT_THAT(page, Not(HasSubstr("limit")));
}

TEST(RatiosPage, SaysWhetherALimitIsMet) {
  EXPECT_THAT(ratios_markdown(two_groups(Metric::ns_per_op, {.best_other = 1.5})),
              HasSubstr("near 2.00 ± 1.00 (limit 1.50: met)"));
  EXPECT_THAT(ratios_markdown(two_groups(Metric::ns_per_op, {.best_other = 2.5})),
              HasSubstr("near 2.00 ± 1.00 (limit 2.50: missed)"));
}

TEST(RatiosPage, AQuickRunDoesNotSpeakOfKeysThatItHasNot) {
  auto table = two_groups(Metric::ns_per_op);
  table.options.quick = true;
  EXPECT_THAT(ratios_markdown(table), Not(HasSubstr("a case")));
}

}  // namespace
}  // namespace nearlane::micro
