#include "harness/report/claims.h"

#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/report/result.h"

namespace nearlane::harness {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Claims : public testing::Test {
 protected:
  Claims()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   ("nearlane_claims_" +
                    std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Claims() override { std::filesystem::remove_all(directory_); }

  struct Figure {
    const char* measure;
    const char* metric;
    std::vector<std::optional<double>> values;
    int processes = 1;
  };
  void put(const char* scenario, const std::vector<Figure>& figures,
           const std::vector<std::string>& failures = {}) const {
    ScenarioResult result;
    result.failures = failures;
    result.scenario = scenario;
    result.label = "trial";
    for (const auto& figure : figures) {
      auto& measure = result.measure({.id = figure.measure,
                                      .what = "a figure",
                                      .boundary = "server",
                                      .clock_starts = "bytes are there",
                                      .clock_stops = "the answer is",
                                      .processes = figure.processes});
      for (const auto& value : figure.values)
        measure.repetitions.emplace_back().values[figure.metric] = value;
    }
    ASSERT_TRUE(write_result(result, directory_.string()));
  }
  [[nodiscard]] std::string page() const {
    const auto page = render_claims(directory_.string());
    EXPECT_TRUE(page.has_value()) << page.error().detail;
    return page ? *page : "";
  }
  /// The row of a claim, its cells without padding.
  [[nodiscard]] std::string row(const std::string& id) const {
    const auto all = page();
    const auto at = all.find("\n| " + id + " ");
    if (at == std::string::npos) return "";
    std::string squeezed;
    for (const char c : all.substr(at + 1, all.find('\n', at + 1) - at - 1)) {
      if (c != ' ' || !squeezed.ends_with(' ')) squeezed += c;
    }
    return squeezed;
  }

  std::filesystem::path directory_;
};

TEST_F(Claims, AreAllThatWerePublishedAndNoneIsBlank) {
  std::set<std::string> wanted;
  for (int i = 1; i <= 20; ++i) wanted.insert(fmt::format("A{}", i));
  for (int i = 1; i <= 15; ++i) wanted.insert(fmt::format("B{}", i));
  std::set<std::string> found;
  for (const auto& claim : claims()) {
    found.insert(std::string(claim.id));
    EXPECT_NE(claim.figures.empty(), claim.otherwise.empty()) << claim.id;
  }
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(claims().size(), wanted.size());
  put("other/scenario", {});
  for (const auto& id : wanted) EXPECT_THAT(row(id), HasSubstr("| missed: ")) << id;
  EXPECT_THAT(page(), HasSubstr("0 beaten, 0 met, 35 missed, 0 in need of hardware"));
}

TEST_F(Claims, AreBeatenMetOrMissedByTheMedian) {
  put("engine/generations", {{"head/l2/http", "p50_ns", {90'000, 100'000, 900'000}}});
  EXPECT_THAT(row("A7"), HasSubstr("| p50, loopback: 100 µs | server, from bytes are there to the "
                                   "answer is, engine/generations | beaten |"));
  put("engine/generations", {{"head/l2/http", "p50_ns", {570'000}}});
  EXPECT_THAT(row("A7"), HasSubstr("| met |"));
  put("engine/generations", {{"head/l2/http", "p50_ns", {580'000}}});
  EXPECT_THAT(row("A7"), HasSubstr("| missed |"));
}

TEST_F(Claims, WithSeveralFiguresHaveTheWorstVerdict) {
  put("sessions/expiry", {{"expiry", "zombies_count", {0}}});
  EXPECT_THAT(row("B6"), HasSubstr("| missed: left_in_l1_count of expiry was not measured |"));
  EXPECT_THAT(row("B6"), HasSubstr("served after the end: 0 (met); left in L1: –"));
  put("coherence/invalidation",
      {{"checked", "violations_count", {0}}, {"settled", "different_count", {0}}});
  EXPECT_THAT(row("A13"), HasSubstr("| met |"));
  put("coherence/invalidation",
      {{"checked", "violations_count", {0}}, {"settled", "different_count", {1}}});
  EXPECT_THAT(row("A13"), HasSubstr("stale for ever: 1 (missed)"));
  EXPECT_THAT(row("A13"), HasSubstr("| missed |"));
}

TEST_F(Claims, OfNothingAreMissedWhereOneRepetitionHadSomething) {
  put("sessions/expiry", {{"expiry", "left_in_l2_count", {0, 0, 0}}});
  EXPECT_THAT(row("A17"), HasSubstr("keys left: 0 | counted, sessions/expiry | met |"));
  put("sessions/expiry", {{"expiry", "left_in_l2_count", {0, 0, 4}}});
  EXPECT_THAT(row("A17"), HasSubstr("keys left: 4 | counted, sessions/expiry | missed |"));
  put("sessions/timeline", {{"timeline", "failed_count", {0, 0, 4}}});
  EXPECT_THAT(row("A16"), HasSubstr("operations failed: 4 (missed)"));
  // A session in a thousand that is not found is one that is lost.
  put("sessions/three_approaches", {{"scaling/generated/nearlane", "not_found_count", {1}}});
  EXPECT_THAT(row("B3"), HasSubstr("not found on any of two instances: 1 (missed)"));
}

TEST_F(Claims, OfAllAreMissedByOne) {
  const auto replies = [&](double same) {
    ScenarioResult result;
    result.scenario = "sessions/three_approaches";
    auto& measure = result.measure(counting("same_code", "replies", 1));
    measure.repetitions.resize(3);
    for (auto& repetition : measure.repetitions)
      repetition.values = {{"same_count", 24}, {"commands_count", 24}};
    measure.repetitions.back().values = {{"same_count", same}, {"commands_count", 24}};
    EXPECT_TRUE(write_result(result, directory_.string()));
    return row("B9");
  };
  EXPECT_THAT(replies(24), HasSubstr("1.00× | counted, sessions/three_approaches | met |"));
  EXPECT_THAT(replies(23), HasSubstr("0.96× | counted, sessions/three_approaches | missed |"));
}

TEST_F(Claims, OfAScenarioThatFailedAreMissed) {
  put("engine/generations", {{"head/l2/http", "p50_ns", {100'000}}}, {"damaged answers"});
  EXPECT_THAT(row("A7"), HasSubstr("| missed: engine/generations failed |"));
  // That more processes ran than there are cores does not excuse it.
  put("engine/generations", {{"head/l2/http", "p50_ns", {100'000}, 1000}}, {"damaged answers"});
  EXPECT_THAT(row("A7"), HasSubstr("| missed: engine/generations failed |"));
}

TEST_F(Claims, HaveAllTheirCellsUnderTheirHeadings) {
  put("http/auth", {{"position", "abs_t", {0.9}}});
  EXPECT_THAT(row("A10"), HasSubstr("Welch's \\|t\\|, first byte wrong or last: 0.9 (beaten)"));
  std::istringstream lines(page());
  std::size_t rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('|')) continue;
    ++rows;
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i)
      bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\') ? 1 : 0;
    EXPECT_EQ(bars, 7U) << line;
  }
  EXPECT_EQ(rows, claims().size() + 2);
}

TEST_F(Claims, MayBeRatios) {
  put("sessions/three_approaches", {{"same_code", "same_count", {23}}});
  EXPECT_THAT(row("B9"), HasSubstr("missed: commands_count of same_code was not measured"));
  ScenarioResult both;
  both.scenario = "sessions/three_approaches";
  both.measure(counting("same_code", "commands", 3)).repetitions.back().values = {
      {"same_count", 23}, {"commands_count", 24}};
  ASSERT_TRUE(write_result(both, directory_.string()));
  EXPECT_THAT(row("B9"), HasSubstr("replies as Redis's, of all: 0.96× |"));
}

TEST_F(Claims, AreNoMultipleOfNothing) {
  ScenarioResult both;
  both.scenario = "http/ablation";
  both.measure(counting("all/load", "all", 2)).repetitions.back().values = {
      {"response_bytes", 500}};
  both.measure(counting("no_precompression/load", "without", 2)).repetitions.back().values = {
      {"response_bytes", 0}};
  ASSERT_TRUE(write_result(both, directory_.string()));
  EXPECT_THAT(row("A12"), HasSubstr("missed: response_bytes of no_precompression/load is 0"));
}

TEST_F(Claims, OfATimeThatIsNoMeasurementNeedHardware) {
  put("engine/generations", {{"head/l2/http", "p50_ns", {100}, 1000}});
  EXPECT_THAT(row("A7"), ContainsRegex("\\| needs hardware: 1000 processes on [0-9]+ cores \\|"));
  put("latency/l1_get", {{"in_process/hot/mutex", "batch_mean_ns", {50}},
                         {"in_process/hot/native", "batch_mean_ns", {10}, 1000}});
  EXPECT_THAT(row("A9"), HasSubstr("hot, against one lock: 5.00× (needs hardware: 1000 processes"));
  // A count is one, however many worked.
  put("coherence/invalidation",
      {{"checked", "violations_count", {0}, 1000}, {"settled", "different_count", {0}, 1000}});
  EXPECT_THAT(row("A13"), HasSubstr("| met |"));
}

TEST_F(Claims, SayWhatIsMissing) {
  EXPECT_EQ(render_claims(directory_.string()).error().code, Errc::invalid_argument);
  put("latency/l1_get", {{"server/http", "p50_ns", {std::nullopt}}});
  EXPECT_THAT(row("A3"), HasSubstr("missed: server/http has too few samples that count"));
  EXPECT_THAT(row("A1"), HasSubstr("missed: latency/l1_get has no in_process/hot/native"));
  EXPECT_THAT(row("A13"), HasSubstr("missed: coherence/invalidation was not run"));
  EXPECT_THAT(row("A20"), HasSubstr("missed: not built"));
  EXPECT_THAT(page(), Not(HasSubstr("quick run")));
}

TEST_F(Claims, AreWrittenBesideTheTables) {
  put("other/scenario", {});
  ASSERT_TRUE(write_claims(directory_.string()));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "CLAIMS.md"));
  EXPECT_FALSE(write_claims((directory_ / "none").string()));
}

}  // namespace
}  // namespace nearlane::harness
