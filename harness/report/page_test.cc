#include "harness/report/page.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/report/claims.h"
#include "harness/report/drawings.h"
#include "harness/report/files.h"
#include "harness/report/result.h"
#include "harness/report/tables.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Values = std::map<std::string, std::optional<double>>;

class Report : public testing::Test {
 protected:
  Report()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   ("nearlane_page_" +
                    std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Report() override { std::filesystem::remove_all(directory_); }

  static void add(ScenarioResult& result, const std::string& id, const Values& values) {
    Measure measure;
    measure.id = id;
    measure.repetitions.emplace_back().values = values;
    result.measure(std::move(measure));
  }
  static void record(ScenarioResult& result, const std::string& id, const std::string& histogram) {
    Measure measure;
    measure.id = id;
    Histogram all;
    for (int n = 1; n <= 1000; ++n) all.record(std::chrono::microseconds(n));
    measure.repetitions.emplace_back().histograms[histogram] = all.to_text();
    result.measure(std::move(measure));
  }
  static std::vector<std::string> drawn(const ScenarioResult& result) {
    const auto all = draw_all(to_json(result), "one.json");
    EXPECT_TRUE(all) << all.error().detail;
    return all ? *all : std::vector<std::string>();
  }
  [[nodiscard]] std::string page(const ScenarioResult& result) const {
    EXPECT_TRUE(write_result(result, directory_.string()));
    const auto page = render_page(directory_.string());
    EXPECT_TRUE(page) << page.error().detail;
    return page ? *page : "";
  }
  static ScenarioResult named(const std::string& scenario) {
    ScenarioResult result;
    result.scenario = scenario;
    result.title = "A title";
    result.label = "trial";
    return result;
  }

  std::filesystem::path directory_;
};

TEST_F(Report, HoldsVerdictsTablesAndWhereTheyComeFrom) {
  auto result = named("family/name");
  result.claims = {"A1"};
  result.notes = {"a note"};
  add(result, "fast", {{"p50_ns", 1500}});
  Table table{.title = "Reads", .columns = {"what", "p50"}};
  table.rows = {{{Cell::of("hot | cold")}, {Cell::of("fast", "p50_ns")}}};
  result.tables.push_back(table);
  EXPECT_THAT(page(result),
              AllOf(HasSubstr("<h1>Results: trial</h1>"), HasSubstr("Built from "),
                    HasSubstr("<a href=\"#family/name\">family/name</a>: A title <span "
                              "class=\"good\">passed</span>"),
                    HasSubstr("<td>B15</td>"), HasSubstr("<td>missed: not built</td>"),
                    HasSubstr("<tr><td>hot | cold</td><td>1.50 µs (n=1)</td></tr>"),
                    HasSubstr("<li>a note</li>"), HasSubstr("href=\"family/name.json\"")));
}

TEST_F(Report, SaysThatAScenarioFailed) {
  auto result = named("family/name");
  result.failures = {"nothing was served stale"};
  EXPECT_THAT(page(result), AllOf(HasSubstr("<span class=\"bad\">failed</span>"),
                                  HasSubstr("<li>nothing was served stale</li>")));
}

TEST_F(Report, LetsNothingOfADocumentBecomeMarkup) {
  const std::string evil = "\"><script>alert(1)</script>&";
  // Where a document holds text, of which each place in turn is hostile.
  const std::vector<std::function<void(ScenarioResult&)>> places = {
      [&](ScenarioResult& r) { r.title = evil; },
      [&](ScenarioResult& r) { r.label = evil; },
      [&](ScenarioResult& r) { r.claims = {evil}; },
      [&](ScenarioResult& r) { r.hash = evil; },
      [&](ScenarioResult& r) { r.notes = {evil}; },
      [&](ScenarioResult& r) { r.failures = {evil}; },
      [&](ScenarioResult& r) {
        r.inputs = {{evil, "generated"}};
      },
      [&](ScenarioResult& r) {
        r.inputs = {{"day", evil}};
      },
      [&](ScenarioResult& r) {
        r.inputs = {{"day", "generated", evil}};
      },
      [&](ScenarioResult& r) { r.measures[0].boundary = evil; },
      [&](ScenarioResult& r) { r.measures[0].id = evil; },
      [&](ScenarioResult& r) {
        r.measures[0].repetitions[0].series =
            TimeSeries{.seconds = {{.answered = 1}}, .faults = {{evil, 0, 1}}};
      },
      [&](ScenarioResult& r) { r.tables[0].title = evil; },
      [&](ScenarioResult& r) { r.tables[0].columns[0] = evil; },
      [&](ScenarioResult& r) { r.tables[0].rows[0][0][0].text = evil; },
  };
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto result = named("family/name");
    record(result, "fast", "latency");
    result.tables.push_back({"Reads", {"what"}, {{{Cell::of("hot")}}}});
    places[i](result);
    EXPECT_THAT(page(result), AllOf(HasSubstr("&quot;>&lt;script>alert(1)&lt;/script>&amp;"),
                                    Not(HasSubstr("<script")), Not(HasSubstr(evil))))
        << "place " << i;
  }
}

TEST_F(Report, LoadsNothing) {
  auto result = named("family/name");
  record(result, "fast", "latency");
  const auto all = page(result);
  for (const char* loads : {"src=", "@import", "url(", "<script", "<iframe", "<object"})
    EXPECT_THAT(all, Not(HasSubstr(loads)));
  EXPECT_THAT(all, HasSubstr("default-src 'none'"));
}

TEST_F(Report, IsTheSameWheneverItIsMade) {
  auto result = named("family/name");
  record(result, "fast", "latency");
  const auto first = page(result);
  ASSERT_TRUE(write_page(directory_.string()));
  EXPECT_EQ(*read_file(directory_ / "REPORT.html"), first);
  ASSERT_TRUE(write_page(directory_.string()));
  EXPECT_EQ(*read_file(directory_ / "REPORT.html"), first);
}

TEST_F(Report, DrawsPercentilesOfAtMostTwelveMeasuresAtOnce) {
  auto result = named("family/name");
  record(result, "a/x", "latency");
  EXPECT_THAT(drawn(result), ElementsAre(HasSubstr("a/x (n = 1000)")));
  for (int i = 0; i < 13; ++i) record(result, "b/" + std::to_string(i), "latency");
  EXPECT_THAT(drawn(result), ElementsAre(AllOf(HasSubstr("percentile: a<"), HasSubstr("a/x (")),
                                         AllOf(HasSubstr("percentile: b<"), HasSubstr("b/11 ("),
                                               Not(HasSubstr("b/12 ("))),
                                         HasSubstr("b/12 (")));
}

TEST_F(Report, DrawsHowLateOldAnswersWere) {
  auto result = named("family/name");
  record(result, "checked", "late");
  record(result, "checked/other", "something");
  EXPECT_THAT(drawn(result),
              ElementsAre(AllOf(HasSubstr("How late"), HasSubstr("checked (n = 1000)"),
                                HasSubstr("lateness in µs"), Not(HasSubstr("other")),
                                // The longest of all is within the whole.
                                HasSubstr("700.0,40.0 \"/>"))));
}

TEST_F(Report, DrawsWhoAnswered) {
  auto result = named("family/name");
  add(result, "healthy", {{"l1_share", 0.75}, {"l2_share", 0.25}});
  add(result, "outage", {{"l1_share", 0.0}, {"l2_share", 0.0}, {"stale_share", 0.5}});
  add(result, "other", {{"l1_share", 0.5}});
  EXPECT_THAT(drawn(result),
              ElementsAre(AllOf(HasSubstr("healthy"), HasSubstr("width=\"300.0\""),
                                HasSubstr("width=\"100.0\""), HasSubstr("width=\"200.0\""),
                                HasSubstr("L1 75.0 %"), Not(HasSubstr("other")))));
}

TEST_F(Report, DrawsLatencyOverTimeAndWhereSomethingWasBroken) {
  auto result = named("family/name");
  add(result, "load", {});
  auto& repetition = result.measures[0].repetitions[0];
  const Second well{.answered = 300, .p50_ns = 1e6, .max_ns = 1e7};
  // One second in which half fails, one in which nothing is answered, and one that stands alone.
  repetition.series = TimeSeries{{well, well, {.answered = 1, .failed = 1}, {.failed = 7}, well},
                                 {{"killed", 2, 4.5}}};
  EXPECT_THAT(
      drawn(result),
      ElementsAre(AllOf(
          HasSubstr("Over time: load"),
          HasSubstr("class=\"fault\" x=\"328.0\" y=\"40\" width=\"310.0\" height=\"340\""),
          HasSubstr(">killed</text>"),
          HasSubstr("class=\"failed\" x=\"328.0\" y=\"350.0\" width=\"124.0\" height=\"30.0\""),
          HasSubstr("class=\"failed\" x=\"452.0\" y=\"320.0\" width=\"124.0\" height=\"60.0\""),
          HasSubstr("points=\"142.0,300.0 266.0,300.0 \""),  // p50, a second each
          HasSubstr("points=\"142.0,40.0 266.0,40.0 \""),    // the longest
          HasSubstr("<circle cx=\"638.0\" cy=\"300.0\""))));
  repetition.void_reasons = {"the generator lagged"};
  EXPECT_THAT(drawn(result), IsEmpty());
}

TEST_F(Report, RefusesATimeSeriesWhoseColumnsDiffer) {
  auto result = named("family/name");
  add(result, "load", {});
  result.measures[0].repetitions[0].series = TimeSeries{.seconds = {{.answered = 1}}};
  auto document = nlohmann::ordered_json::parse(to_json(result));
  document["measures"][0]["repetitions"][0]["series"]["max_ns"].clear();
  EXPECT_EQ(draw_all(document.dump(), "one.json").error().code, Errc::protocol);
}

TEST_F(Report, DrawsLatencyAgainstThroughputWhereOnlyTheLoadDiffers) {
  auto result = named("family/name");
  for (const char* depth : {"1", "16"}) {
    add(result, std::string("hit/64/") + depth + "/ours",
        {{"rate_per_s", depth[1] == 0 ? 1000 : 10'000}, {"p99_ns", 1e6}});
  }
  add(result, "hit/64/1/theirs", {{"rate_per_s", 1000}, {"p99_ns", 1e6}});
  EXPECT_THAT(drawn(result), ElementsAre(AllOf(HasSubstr("hit/64/ours"), HasSubstr("80.0,"),
                                               HasSubstr("700.0,"), Not(HasSubstr("theirs")))));
}

TEST_F(Report, DrawsABarAGeneration) {
  const auto with = [](const char* scenario) {
    auto result = named(scenario);
    add(result, "v3.0/server/http", {{"p50_ns", 14'500}});
    add(result, "v4.3/server/http", {{"p50_ns", 1450}});
    return drawn(result);
  };
  EXPECT_THAT(
      with("engine/generations"),
      ElementsAre(AllOf(HasSubstr("server/http, p50_ns"), HasSubstr("v3.0"), HasSubstr("14.5 µs"),
                        HasSubstr("width=\"400.0\""), HasSubstr("width=\"40.0\""))));
  EXPECT_THAT(with("engine/other"), IsEmpty());
}

TEST_F(Report, SaysOfWhatItDrawsThatItsTimesAreNoMeasurement) {
  auto result = named("engine/generations");
  record(result, "v4.3/a", "latency");
  record(result, "v4.3/b", "late");
  for (const char* id : {"v4.3/hit/1", "v4.3/hit/16"})
    add(result, id, {{"rate_per_s", 1000}, {"p99_ns", 1e6}});
  for (const auto& svg : drawn(result)) EXPECT_THAT(svg, Not(HasSubstr("functional")));
  for (auto& measure : result.measures) measure.processes = 1000;
  const auto all = drawn(result);
  EXPECT_THAT(all, SizeIs(7));
  for (const auto& svg : all) EXPECT_THAT(svg, HasSubstr(" [functional]"));
}

TEST_F(Report, OfEachLabelWithTablesIsMadeOfItsDocumentsAlone) {
  int labels = 0;
  for (const auto& label : std::filesystem::directory_iterator(NEARLANE_RESULTS)) {
    if (!std::filesystem::exists(label.path() / "TABLES.md")) continue;
    ++labels;
    const auto copy = directory_ / label.path().filename();
    std::filesystem::copy(label.path(), copy, std::filesystem::copy_options::recursive);
    std::filesystem::remove(copy / "TABLES.md");
    ASSERT_TRUE(write_tables(copy.string()));
    EXPECT_EQ(*read_file(copy / "TABLES.md"), *read_file(label.path() / "TABLES.md")) << copy;
    const auto page = render_page(copy.string());
    ASSERT_TRUE(page) << page.error().detail;
    EXPECT_EQ(*page, *render_page(label.path().string())) << "of where it lies";
    // Of a scenario that was run every claimed figure is there.
    EXPECT_THAT(*render_claims(copy.string()),
                AllOf(Not(HasSubstr(" has no ")), Not(HasSubstr(" was not measured"))))
        << copy;
  }
  EXPECT_GT(labels, 0);
}

TEST_F(Report, IsNotMadeOfWhatIsNoResult) {
  EXPECT_EQ(render_page(directory_.string()).error().code, Errc::invalid_argument);
  std::ofstream(directory_ / "bad.json") << "{\"schema\": \"nearlane-result/1\"}";
  EXPECT_EQ(render_page(directory_.string()).error().code, Errc::protocol);
  EXPECT_EQ(draw_all("{\"schema\": \"nearlane-result/1\"}", "bad.json").error().code,
            Errc::protocol);
}

}  // namespace
}  // namespace nearlane::harness
