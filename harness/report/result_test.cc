#include "harness/report/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/report/provenance.h"

namespace nearlane::harness {
namespace {

using Json = nlohmann::ordered_json;

Histogram filled(int count) {
  Histogram histogram;
  for (int i = 1; i <= count; ++i) histogram.record(std::chrono::microseconds(i));
  return histogram;
}

TEST(Repetition, ReportsAQuantileOnlyWithAHundredSamplesBeyondIt) {
  Repetition repetition;
  repetition.add("", filled(10'000));
  EXPECT_TRUE(repetition.values.at("p99_ns").has_value());
  EXPECT_FALSE(repetition.values.at("p999_ns").has_value());
  Repetition small;
  small.add("", filled(9'999));
  EXPECT_TRUE(small.values.at("p90_ns").has_value());
  EXPECT_FALSE(small.values.at("p99_ns").has_value());
  Repetition none;
  none.add("read", Histogram());
  EXPECT_FALSE(none.values.at("read_mean_ns").has_value());
}

TEST(Summarise, IsMedianAndSpreadOfWhatCounts) {
  const auto summary =
      summarise({5.0, 1.0, std::nullopt, 3.0, 1000.0}, {false, false, false, false, true});
  EXPECT_EQ(summary.median, 3.0);
  EXPECT_EQ(summary.mad, 2.0);
  EXPECT_EQ(summary.least, 1.0);
  EXPECT_EQ(summary.most, 5.0);
  EXPECT_EQ(summary.count, 3U);
  EXPECT_EQ(summary.voided, 1U);
  EXPECT_FALSE(summarise({std::nullopt}, {false}).median.has_value());
}

TEST(ResultJson, BeginsWithItsSchemaAndKeepsEveryRepetitionWhole) {
  ScenarioResult result;
  result.scenario = "family/name";
  result.failures = {"bytes that are no UTF-8: \xff"};
  Measure measure;
  measure.id = "a";
  measure.processes = 1000;
  for (int i = 0; i < 2; ++i) {
    Repetition repetition;
    repetition.add("", filled(500));
    repetition.values["failed_count"] = std::nullopt;
    measure.repetitions.push_back(repetition);
  }
  measure.repetitions[1].void_reasons = {"the generator lagged"};
  result.measure(measure);
  const auto text = to_json(result);
  const auto document = Json::parse(text);
  EXPECT_EQ(document.begin().key(), "schema");
  EXPECT_EQ(document.begin().value(), "nearlane-result/1");
  EXPECT_EQ(document.at("passed"), false);
  const auto& written = document.at("measures").at(0);
  EXPECT_EQ(written.at("kind"), "functional");
  EXPECT_EQ(written.at("summary").at("p50_ns").at("repetitions"), 1);
  EXPECT_TRUE(written.at("repetitions").at(1).at("void").get<bool>());
  EXPECT_TRUE(written.at("repetitions").at(0).at("values").at("failed_count").is_null());
  const auto read = Histogram::from_text(
      written.at("repetitions").at(0).at("histograms").at("latency").get<std::string>());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, filled(500));
}

TEST(ResultJson, KeepsASeriesSecondBySecond) {
  ScenarioResult result;
  Measure measure;
  measure.repetitions.emplace_back();
  measure.repetitions.emplace_back().series =
      TimeSeries{{{.answered = 5, .max_ns = 7e6}, {.failed = 2}}, {{"killed", 0.5, 1.5}}};
  result.measure(std::move(measure));
  const auto document = Json::parse(to_json(result));
  const auto& repetitions = document.at("measures").at(0).at("repetitions");
  EXPECT_FALSE(repetitions.at(0).contains("series"));
  EXPECT_EQ(repetitions.at(1).at("series"), Json::parse(R"({
    "answered_count": [5, 0], "failed_count": [0, 2], "p50_ns": [null, null], "p99_ns": [null, null],
    "max_ns": [7e6, null], "faults": [{"what": "killed", "from_s": 0.5, "to_s": 1.5}]})"));
}

TEST(ResultJson, NamesWhatItWasBuiltFromAndOn) {
  const auto document = Json::parse(to_json({}));
  const auto& provenance = document.at("provenance");
  for (const auto* key : {"revision", "build_type", "compiler", "flags", "date", "scenario_hash",
                          "library_build_type"}) {
    EXPECT_TRUE(provenance.contains(key)) << key;
  }
  EXPECT_EQ(provenance.at("suite"), "standard");
  EXPECT_GE(provenance.at("machine").at("cores").get<int>(), 1);
  EXPECT_NE(provenance.at("machine").at("kernel"), "unknown");
}

TEST(WriteResult, SaysWhichFileCannotBeWritten) {
  ScenarioResult result;
  result.scenario = "family/name";
  const auto written = write_result(result, "/proc/nearlane");
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().detail, testing::HasSubstr("family/name.json: cannot be written"));
}

TEST(ShowMetric, ReadsTheUnitOffTheName) {
  EXPECT_EQ(show_metric("p50_ns", 12.345), "12 ns");
  EXPECT_EQ(show_metric("p50_ns", 1240), "1.24 µs");
  EXPECT_EQ(show_metric("p99_ns", 18.3e6), "18.3 ms");
  EXPECT_EQ(show_metric("rate_per_s", 18'300), "18.3k/s");
  EXPECT_EQ(show_metric("hit_share", 0.9905), "99.05 %");
  EXPECT_EQ(show_metric("lost_count", 0), "0");
  EXPECT_EQ(show_metric("rss_bytes", 2097152), "2.0 MiB");
}

}  // namespace
}  // namespace nearlane::harness
