#include "harness/gate/tool_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::gate {
namespace {

TEST(ToolOutput, CallgrindsTotal) {
  const auto total =
      callgrind_total("version: 1\nevents: Ir\nfn=(1) x\n+1 5\n\ntotals: 24156656\n");
  ASSERT_TRUE(total) << total.error().detail;
  EXPECT_EQ(*total, 24156656U);
  EXPECT_EQ(callgrind_total("events: Ir\ntotals: many\n").error().code, Errc::protocol);
}

TEST(ToolOutput, DhatsTotalWithItsCommas) {
  const auto total = dhat_total(
      "==9== Command: x\n==9== Total:     2,760,558 bytes in 7,108 blocks\n==9== At t-gmax: 1 "
      "bytes in 1 blocks\n");
  ASSERT_TRUE(total) << total.error().detail;
  EXPECT_EQ(total->bytes, 2760558U);
  EXPECT_EQ(total->blocks, 7108U);
  EXPECT_EQ(dhat_total("==9== Total: 5 bytes\n").error().code, Errc::protocol);
}

TEST(ToolOutput, StracesTotalWithAndWithoutErrors) {
  constexpr std::string_view kHead = "% time     seconds  usecs/call     calls    errors syscall\n";
  const auto some = strace_total(std::string(kHead) +
                                 "100.00    0.321755          14     22000        59 total\n");
  ASSERT_TRUE(some) << some.error().detail;
  EXPECT_EQ(*some, 22000U);
  const auto none = strace_total(std::string(kHead) +
                                 "100.00    0.000000           0        17           total\n");
  ASSERT_TRUE(none) << none.error().detail;
  EXPECT_EQ(*none, 17U);
  EXPECT_EQ(strace_total("strace: attach: Operation not permitted\n").error().code, Errc::protocol);
}

TEST(ToolOutput, RedisCommandsWithoutThoseThatPassByTime) {
  EXPECT_EQ(redis_commands(
                "# Commandstats\r\ncmdstat_get:calls=3,usec=1\r\ncmdstat_ping:calls=90,usec=1\r\n"
                "cmdstat_client|caching:calls=4,usec=2\r\ncmdstat_config|resetstat:calls=1\r\n"
                "cmdstat_role:calls=7,usec=1\r\ncmdstat_info:calls=1,usec=1\r\n"),
            7U);
}

TEST(ToolOutput, TimesOfRepetitionsWithoutTheirAggregates) {
  const auto times = benchmark_ns(
      "Running x\n{\n \"benchmarks\": [{\"run_type\": \"iteration\", \"cpu_time\": 19.5},"
      "{\"run_type\": \"iteration\", \"cpu_time\": 2e1}, {\"run_type\": \"aggregate\", "
      "\"cpu_time\": 3}]}");
  ASSERT_TRUE(times) << times.error().detail;
  EXPECT_THAT(*times, testing::ElementsAre(19.5, 20));
  EXPECT_EQ(benchmark_ns("{\n\"benchmarks\": []}").error().code, Errc::protocol);
  EXPECT_EQ(benchmark_ns("{\n\"benchmarks\": [{\"run_type\": \"iteration\"}]}").error().code,
            Errc::protocol);
}

}  // namespace
}  // namespace nearlane::gate
