// The report in a real browser, which says on its console what it does not like.
#include <chrono>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/report/files.h"
#include "harness/report/page.h"
#include "harness/report/result.h"
#include "harness/topology/child.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Browser : public testing::Test {
 protected:
  Browser() : directory_(std::filesystem::path(testing::TempDir()) / "nearlane_browser") {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Browser() override { std::filesystem::remove_all(directory_); }

  /// What it made of the page, and its console.
  [[nodiscard]] std::string open(const std::filesystem::path& page) const {
    auto child = Child::start(
        {.name = "chromium",
         .argv = {"chromium", "--headless", "--no-sandbox", "--disable-gpu",
                  "--enable-logging=stderr", "--user-data-dir=" + (directory_ / "profile").string(),
                  "--dump-dom", "file://" + page.string()},
         .log = directory_ / "log"});
    EXPECT_TRUE(child) << child.error().detail;
    if (!child) return "";
    const auto ended = child->wait(90s);
    EXPECT_TRUE(ended) << ended.error().detail;
    return read_file(directory_ / "log").value();
  }

  std::filesystem::path directory_;
};

TEST_F(Browser, ShowsTheReportAndComplainsOfNothing) {
  ScenarioResult result;
  result.scenario = "family/name";
  result.title = "<b>\"bold\"</b>";
  result.label = "trial";
  Measure measure;
  measure.id = "fast";
  Histogram latency;
  for (int n = 1; n <= 1000; ++n) latency.record(std::chrono::microseconds(n));
  measure.repetitions.emplace_back().add("", latency);
  measure.repetitions.back().series =
      TimeSeries{{{.answered = 9, .failed = 1, .max_ns = 1e6}}, {{"killed", 0, 1}}};
  result.measure(std::move(measure));
  ASSERT_TRUE(write_result(result, directory_.string()));
  ASSERT_TRUE(write_page(directory_.string()));
  EXPECT_THAT(
      open(directory_ / "REPORT.html"),
      AllOf(HasSubstr("&lt;b&gt;\"bold\"&lt;/b&gt;"), HasSubstr("<polyline"),
            HasSubstr(">killed</text>"), HasSubstr("</body></html>"), Not(HasSubstr("CONSOLE"))));
}

TEST_F(Browser, WouldSayWhatItDoesNotLike) {
  std::ofstream(directory_ / "bad.html") << "<script>nothing.there</script>";
  EXPECT_THAT(open(directory_ / "bad.html"), HasSubstr("CONSOLE"));
}

}  // namespace
}  // namespace nearlane::harness
