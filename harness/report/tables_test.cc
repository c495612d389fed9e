#include "harness/report/tables.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/report/compare.h"
#include "harness/report/result.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Tables : public testing::Test {
 protected:
  Tables()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   ("nearlane_tables_" +
                    std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Tables() override { std::filesystem::remove_all(directory_); }

  static Measure measured(const std::string& id, int repetitions, double base) {
    Measure measure;
    measure.id = id;
    measure.boundary = "client";
    measure.clock_starts = "request due";
    measure.clock_stops = "reply read";
    for (int i = 0; i < repetitions; ++i) {
      Repetition repetition;
      Histogram histogram;
      for (int n = 0; n < 1000; ++n) histogram.record(std::chrono::microseconds(n + 1));
      repetition.add("", histogram);
      repetition.values["p50_ns"] = base + i;
      measure.repetitions.push_back(std::move(repetition));
    }
    return measure;
  }

  static ScenarioResult sample() {
    ScenarioResult result;
    result.scenario = "family/name";
    result.title = "A title";
    result.label = "trial";
    result.claims = {"A1"};
    result.inputs = {{"day", "generated", "nasa-sessions"}};
    result.measure(measured("fast", 5, 100));
    result.measure(measured("rare", 3, 2000));
    result.measures[1].processes = 1000;
    Table table;
    table.title = "Reads";
    table.columns = {"what", "p50", "p99"};
    table.rows = {
        {{Cell::of("fast | hot")}, {Cell::of("fast", "p50_ns")}, {Cell::of("fast", "p99_ns")}},
        {{Cell::of("rare")}, {Cell::of("rare", "p50_ns")}, {Cell::of("in another table")}},
        {{Cell::of("gone")}, {Cell::of("absent", "p50_ns")}, {Cell::of("fast", "absent")}}};
    result.tables.push_back(table);
    return result;
  }

  std::filesystem::path directory_;
};

TEST_F(Tables, AreMadeFromTheDocumentsAlone) {
  ASSERT_TRUE(write_result(sample(), directory_.string()).has_value());
  const auto page = render_tables(directory_.string());
  ASSERT_TRUE(page.has_value()) << page.error().detail;
  EXPECT_THAT(
      *page,
      AllOf(HasSubstr("# Results: trial"), HasSubstr("[102 ns][1] (100 ns to 104 ns)"),
            HasSubstr("n=3"), HasSubstr("functional"), HasSubstr("in another table"),
            HasSubstr("too few samples"), HasSubstr("| failed"), HasSubstr("fast \\| hot"),
            HasSubstr("Not available: trace nasa-sessions"), HasSubstr("[1]: family/name.json"),
            HasSubstr("from request due to reply read")));
  const auto plain = render_tables(directory_.string(), false);
  EXPECT_THAT(*plain, AllOf(HasSubstr("102 ns (100"), Not(HasSubstr("][1]"))));
}

TEST_F(Tables, NameTheSuiteUnlessItIsTheStandardOne) {
  auto result = sample();
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  EXPECT_THAT(*render_tables(directory_.string()), Not(HasSubstr(", suite ")));
  result.scenario = "family/later";
  result.suite = "smoke";
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  // The folder holds both, and says so.
  EXPECT_THAT(*render_tables(directory_.string()),
              ContainsRegex("Built from [^\n]*\nBuilt from [^\n]*, suite smoke\\.\n"));
}

TEST_F(Tables, CallNoRowMeasuredThatHoldsNoFigureOfOurs) {
  auto result = sample();
  result.tables[0].rows.push_back(
      {{Cell::of("published")}, {Cell::of("1 ns")}, {Cell::of("2 ns")}});
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  const auto page = render_tables(directory_.string());
  ASSERT_TRUE(page.has_value()) << page.error().detail;
  EXPECT_THAT(*page, ContainsRegex("\\| published +\\|[^\n]*\\| not measured +\\|"));
  EXPECT_THAT(*page, ContainsRegex("\\| fast [^\n]*\\| measured +\\|"));
  EXPECT_THAT(*page, ContainsRegex("\\| rare +\\|[^\n]*\\| functional +\\|"));
}

TEST_F(Tables, ShowAFailedScenarioAsOne) {
  auto result = sample();
  result.failures = {"redis-server: not installed"};
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  EXPECT_THAT(*render_tables(directory_.string()),
              AllOf(HasSubstr("This scenario failed"), HasSubstr("redis-server: not installed")));
}

TEST_F(Tables, ShowAMeasureWhoseRepetitionsAreAllVoid) {
  auto result = sample();
  for (auto& repetition : result.measures[0].repetitions) repetition.void_reasons = {"lagged"};
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  EXPECT_THAT(*render_tables(directory_.string()), HasSubstr("| void"));
}

TEST_F(Tables, PlotEveryMeasureThatHasAHistogram) {
  ASSERT_TRUE(write_result(sample(), directory_.string()).has_value());
  ASSERT_TRUE(write_tables(directory_.string()).has_value());
  std::ifstream in(directory_ / "family/name.svg");
  const std::string svg((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_THAT(svg, AllOf(HasSubstr("<polyline"), HasSubstr("fast (n = 5000)"),
                         HasSubstr("rare (n = 3000)")));
}

TEST_F(Tables, PlotEveryMeasureWhereOnePlotCannotTellThemApart) {
  auto result = sample();
  for (int i = 0; i < 13; ++i) result.measure(measured("many/" + std::to_string(i), 1, 100));
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  const auto page = write_tables(directory_.string());
  ASSERT_TRUE(page.has_value());
  const auto drawn = [&](const std::string& file) {
    EXPECT_THAT(*page, HasSubstr("(" + file + ")"));
    std::ifstream in(directory_ / file);
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  };
  EXPECT_THAT(drawn("family/name.svg"),
              AllOf(HasSubstr("A title (1 of 2)"), HasSubstr("fast (n = 5000)"),
                    HasSubstr("many/9 ("), Not(HasSubstr("many/10 ("))));
  EXPECT_THAT(drawn("family/name.percentiles-2.svg"),
              AllOf(HasSubstr("A title (2 of 2)"), HasSubstr("many/10 ("), HasSubstr("many/12 (")));
  EXPECT_THAT(*page, HasSubstr("![Latency percentiles of family/name.json, 2 of 2]"));
}

TEST_F(Tables, DrawTheRowsOfATableThatAsksForIt) {
  auto result = sample();
  for (const char* id : {"low", "high"}) {
    for (const char* n : {"1", "4"}) {
      Measure measure;
      measure.id = std::string(id) + "/" + n;
      measure.repetitions.push_back({.values = {{"hit_share", id[0] == 'l' ? 0.25 : 0.75}}});
      result.measure(measure);
    }
  }
  Table table{.title = "Hits", .columns = {"of", "1", "4"}, .plot_x = "instances"};
  for (const char* id : {"low", "high"}) {
    const std::string row(id);
    table.rows.push_back({{Cell::of(row)},
                          {Cell::of(row + "/1", "hit_share")},
                          {Cell::of(row + "/4", "hit_share")}});
  }
  result.tables.push_back(table);
  const auto curves = render_curves(to_json(result), "name");
  ASSERT_TRUE(curves) << curves.error().detail;
  ASSERT_EQ(curves->size(), 1U) << "the other table does not ask";
  EXPECT_THAT(curves->front(), AllOf(HasSubstr("Hits"), HasSubstr("instances"), HasSubstr("low"),
                                     HasSubstr("high"), HasSubstr("<polyline")));
  ASSERT_TRUE(write_result(result, directory_.string()).has_value());
  EXPECT_THAT(*write_tables(directory_.string()), HasSubstr("(family/name.1.svg)"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "family/name.1.svg"));

  result.tables.back().columns = {"of", "one", "four"};
  EXPECT_EQ(render_curves(to_json(result), "name").error().code, Errc::protocol);
}

TEST_F(Tables, RefuseARowThatIsNotAsLongAsItsHeadings) {
  auto result = sample();
  const auto whole = to_json(result);
  auto& columns = result.tables[0].columns;
  columns.pop_back();
  const auto written = write_result(result, directory_.string());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::invalid_argument);
  EXPECT_THAT(written.error().detail,
              HasSubstr("family/name: a row of 3 cells under 2 headings in the table 'Reads'"));
  // Written by an older program, it is refused by whoever reads it.
  const auto older = to_json(result);
  std::ofstream(directory_ / "older.json") << older;
  for (const auto& refused :
       {render_tables(directory_.string()), compare_results(whole, "whole", older, "older.json")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::protocol);
    EXPECT_THAT(refused.error().detail,
                HasSubstr("older.json: a table has a row of 3 cells under 2 headings"));
  }
}

TEST_F(Tables, RefuseWhatIsNoResult) {
  EXPECT_THAT(render_tables(directory_.string()).error().detail, HasSubstr("no results"));
  for (const auto* text :
       {"", "[]", "{\"schema\": \"other/1\"}", "{\"a\": 1}", "{\"schema\": \"nearlane-result/1\"}",
        "{\"schema\": \"nearlane-result/1\", \"provenance\": 7, \"measures\": []}"}) {
    std::ofstream(directory_ / "bad.json") << text;
    const auto page = render_tables(directory_.string());
    ASSERT_FALSE(page.has_value()) << text;
    EXPECT_EQ(page.error().code, Errc::protocol);
    EXPECT_THAT(page.error().detail, HasSubstr("bad.json"));
  }
}

}  // namespace
}  // namespace nearlane::harness
