#include "harness/driver/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/driver/in_process.h"
#include "harness/driver/workload_source.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Gets, evenly spaced.
class Even final : public RequestSource {
 public:
  Even(Duration gap, std::uint64_t count) : gap_(gap), count_(count) {}
  bool next(Request& into) override {
    if (made_ == count_) return false;
    into.at = gap_ * made_++;
    into.key.assign(1, 'k');
    into.tag = made_;
    return true;
  }

 private:
  Duration gap_;
  std::uint64_t count_;
  std::uint64_t made_ = 0;
};

RunReport report_with(Duration lag, Duration response, double achieved_share) {
  RunReport report;
  report.elapsed = 10s;
  report.offered_rate = 100;
  report.answered = static_cast<std::uint64_t>(1000 * achieved_share);
  report.send_lag.record_n(lag, 1000);
  report.response_time.record_n(response, 1000);
  judge(report);
  return report;
}

TEST(Judge, LetsARunCountThatIsAsItShouldBe) {
  EXPECT_THAT(report_with(900us, 100us, 1).void_reasons, IsEmpty()) << "1 ms is always allowed";
  EXPECT_THAT(report_with(4ms, 10ms, 0.995).void_reasons, IsEmpty()) << "less than half of p99";
}

TEST(Judge, VoidsARunWhoseGeneratorLagged) {
  EXPECT_THAT(report_with(1100us, 2ms, 1).void_reasons, ElementsAre(HasSubstr("lagged")));
  EXPECT_THAT(report_with(6ms, 10ms, 1).void_reasons, ElementsAre(HasSubstr("lagged")));
}

TEST(Judge, VoidsARunThatDidNotReachItsRate) {
  const auto report = report_with(1us, 10us, 0.98);
  EXPECT_THAT(report.void_reasons, ElementsAre(HasSubstr("achieved 98.0 of 100.0")));
  EXPECT_FALSE(report.valid());
}

TEST(Judge, LetsTheLastRepliesTakeAsLongAsRepliesTake) {
  RunReport report;
  report.elapsed = 5100ms;  // all was due within 5 s
  report.offered_rate = 100;
  report.scheduled = report.answered = 500;
  report.response_time.record_n(100ms, 500);
  report.service_time.record_n(100ms, 500);
  judge(report);
  EXPECT_THAT(report.void_reasons, IsEmpty());
  // What waited for a connection was not under way.
  report.service_time = {};
  report.service_time.record_n(1ms, 500);
  judge(report);
  EXPECT_THAT(report.void_reasons, ElementsAre(HasSubstr("achieved 98.0 of 100.0")));
  // Nor is it enough to have sent everything.
  report.service_time.record_n(100ms, 500);
  report.answered = 490;
  judge(report);
  EXPECT_THAT(report.void_reasons, ElementsAre(HasSubstr("achieved 96.1 of 100.0")));
}

TEST(Judge, VoidsAnOverloadThatQueuesInTheServer) {
  RunReport report;
  report.elapsed = 10s;  // all was due within 5 s
  report.offered_rate = 100;
  report.scheduled = report.answered = 500;
  for (int i = 0; i < 500; ++i) {
    report.response_time.record(10ms * i);
    report.service_time.record(10ms * i);
  }
  judge(report);
  EXPECT_THAT(report.void_reasons, ElementsAre(HasSubstr("achieved 50.0 of 100.0")));
}

TEST(Judge, VoidsARunWithoutAnswersAndAsksNoRateOfAClosedLoop) {
  RunReport report;
  judge(report);
  EXPECT_THAT(report.void_reasons, ElementsAre("nothing was answered"));
  report.open_loop = false;
  report.answered = 1;
  report.elapsed = 1s;
  judge(report);
  EXPECT_TRUE(report.valid());
}

TEST(InProcess, CountsOutcomesAndHitsByTier) {
  Even source(0s, 100);
  const auto report =
      run_in_process(source, {.open_loop = false}, [](const Request& request, std::string_view&) {
        if (request.tag % 10 == 0) return Outcome::miss;
        return request.tag % 2 == 0 ? Outcome::hit_l1 : Outcome::hit_l2;
      });
  EXPECT_EQ(report.answered, 100U);
  EXPECT_EQ(report.offered_rate, 0);
  EXPECT_EQ(report.count(Outcome::hit_l1), 40U);
  EXPECT_EQ(report.count(Op::get, Outcome::hit_l2), 50U);
  EXPECT_EQ(report.count(Outcome::miss), 10U);
  EXPECT_DOUBLE_EQ(report.hit_rate(), 0.9);
  EXPECT_EQ(report.response_by_cell.size(), 3U) << "only what happened";
}

TEST(InProcess, ShowsAStallToAllThatWereDueInIt) {
  Even source(1ms, 200);
  const auto report =
      run_in_process(source, {.duration = 200ms}, [](const Request& request, std::string_view&) {
        if (request.tag == 50) {
          for (const auto until = Clock::now() + 60ms; Clock::now() < until;) {
          }
        }
        return Outcome::hit;
      });
  EXPECT_EQ(report.answered, 200U);
  EXPECT_GT(report.response_time.max(), 59ms);
  // Of the 60 that were due in the stall, 30 waited for 30 ms and more, though only one call was slow.
  EXPECT_GT(report.response_time.quantile(1 - 28.0 / 200), 29ms);
  EXPECT_LT(report.service_time.quantile(0.95), 29ms);
  EXPECT_NEAR(report.offered_rate, 1000, 10);
}

TEST(InProcess, LeavesTheWarmupOut) {
  Even source(100us, 1000);
  std::uint64_t seen = 0;
  RunOptions options{.duration = 100ms, .warmup = 50ms};
  options.check = [&](const Completion&) { return ++seen > 0; };
  const auto report = run_in_process(source, options, [](auto&, auto&) { return Outcome::ok; });
  EXPECT_EQ(seen, 1000U) << "checked all the same";
  EXPECT_EQ(report.answered, 500U);
  EXPECT_EQ(report.scheduled, 500U);
}

TEST(InProcess, EndsEarlyWhenToldTo) {
  Even source(1ms, 100'000);
  std::atomic<bool> stop{false};
  RunOptions options{.duration = 1h};
  options.stop = &stop;
  const auto report =
      run_in_process(source, options, [&](const Request& request, std::string_view&) {
        stop = request.tag == 20;
        return Outcome::ok;
      });
  EXPECT_EQ(report.answered, 20U);
}

TEST(InProcess, CallsAWrongValueAFailure) {
  WorkloadSpec spec;
  spec.source = "generated";
  spec.operations = 50;
  spec.sizes = {{200, 1.0}};
  spec.keys = 10;
  spec.distribution = "uniform";
  spec.mix = {0.5, 0.5, 0, 0};
  auto opened = open_workload(spec, {});
  ASSERT_TRUE(opened);
  WorkloadSource source(*opened->stream);
  RunOptions options{.open_loop = false};
  options.check = document_of_its_key;
  std::string stored;
  std::uint64_t broken = 0;
  const auto report =
      run_in_process(source, options, [&](const Request& request, std::string_view& value) {
        if (request.kind == Op::set) {
          EXPECT_TRUE(verify_document(request.key, request.value));
          return Outcome::ok;
        }
        write_document(request.key, 7, 200, stored);
        if (++broken % 5 == 0) stored[150] = static_cast<char>(stored[150] ^ 1);
        value = stored;
        return Outcome::hit;
      });
  ASSERT_GT(broken, 5U);
  EXPECT_EQ(report.failures[static_cast<std::size_t>(Failure::wrong_value)], broken / 5);
  EXPECT_EQ(report.count(Outcome::error), broken / 5);
  EXPECT_THAT(report.failure_texts.front(), HasSubstr("wrong_value"));
}

}  // namespace
}  // namespace nearlane::harness
