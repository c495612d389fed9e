#include "harness/report/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/report/result.h"

namespace nearlane::harness {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string document(const std::vector<double>& values, const std::string& hash = "h",
                     int processes = 1, const std::string& suite = "standard") {
  ScenarioResult result;
  result.suite = suite;
  result.scenario = "family/name";
  result.hash = hash;
  Measure measure{
      .id = "read", .what = "w", .boundary = "server", .clock_starts = "s", .clock_stops = "e"};
  measure.processes = processes;
  for (const double value : values) measure.repetitions.emplace_back().values["p50_ns"] = value;
  result.measure(std::move(measure));
  return to_json(result);
}

std::string compared(const std::string& a, const std::string& b) {
  const auto page = compare_results(a, "a.json", b, "b.json");
  return page ? *page : "error: " + page.error().detail;
}

TEST(Compare, GivesTheRatioOfTheMediansAndWhetherTheRepetitionsAreApart) {
  const auto slower = compared(document({100, 101, 102}), document({150, 151, 152}));
  EXPECT_THAT(slower, HasSubstr("Same scenario, machine and build"));
  EXPECT_THAT(slower,
              testing::ContainsRegex("read +\\| p50_ns \\| 101 ns \\| 151 ns \\| 1.495 +\\| yes"));
  EXPECT_THAT(compared(document({100, 110, 160}), document({150, 151, 152})), HasSubstr("| no "));
}

TEST(Compare, SaysFirstThatAnotherScenarioMayNotBeCompared) {
  const auto page = compared(document({1}), document({1}, "other"));
  EXPECT_THAT(page, HasSubstr("may not be compared"));
  EXPECT_THAT(page, HasSubstr("- scenario's hash: \"h\" and \"other\""));
  EXPECT_THAT(page, Not(HasSubstr("Same scenario")));
}

TEST(Compare, SaysThatAnotherSuiteIsAnotherSize) {
  const auto smoke = document({1}, "h", 1, "smoke");
  EXPECT_THAT(compared(smoke, smoke), HasSubstr("Same scenario"));
  const auto page = compared(smoke, document({1}, "h", 1, "full"));
  EXPECT_THAT(page, HasSubstr("may not be compared"));
  EXPECT_THAT(page, HasSubstr("- size (suite): \"smoke\" and \"full\""));
}

TEST(Compare, TakesAnUnknownSuiteForThatOfNoDocumentThatNamesOne) {
  const auto standard = document({1});
  auto older = standard;
  const std::string field = "  \"suite\": \"standard\",\n";
  older.erase(older.find(field), field.size());
  EXPECT_THAT(compared(older, older), HasSubstr("Same scenario"));
  EXPECT_THAT(compared(older, standard), HasSubstr("- size (suite): unknown and \"standard\""));
}

TEST(Compare, CallsNothingApartThatWasMeasuredOnce) {
  EXPECT_THAT(compared(document({1.0}), document({1.1})), HasSubstr("| one repetition "));
  EXPECT_THAT(compared(document({1.0, 1.0}), document({1.1})), HasSubstr("| one repetition "));
  EXPECT_THAT(compared(document({1.0, 1.0}), document({1.1, 1.1})), HasSubstr("| yes "));
}

TEST(Compare, CallsFunctionalRowsNoMeasurement) {
  EXPECT_THAT(compared(document({1}), document({9}, "h", 1000)),
              HasSubstr("functional: no measurement"));
}

TEST(Compare, TellsWhenAMeasureWasMeasuredOtherwise) {
  auto other = document({1});
  other.replace(other.find("\"server\""), 8, "\"client\"");
  EXPECT_THAT(compared(document({1}), other), HasSubstr("not comparable: other boundary"));
}

TEST(Compare, NamesWhatOnlyOneHas) {
  EXPECT_THAT(compared(document({1}), document({})), HasSubstr("- read p50_ns: only in A"));
  EXPECT_THAT(compared(document({}), document({1})), HasSubstr("- read p50_ns: only in B"));
}

TEST(Compare, RefusesWhatIsNoResult) {
  for (const std::string text :
       {"", "[]", "{}", R"({"schema": "nearlane-gate/1"})", R"({"schema": "nearlane-result/1"})"}) {
    const auto page = compare_results(document({1}), "a.json", text, "b.json");
    ASSERT_FALSE(page) << text;
    EXPECT_EQ(page.error().code, Errc::protocol);
    EXPECT_THAT(page.error().detail, HasSubstr("b.json"));
  }
}

}  // namespace
}  // namespace nearlane::harness
