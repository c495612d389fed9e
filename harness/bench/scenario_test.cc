#include "harness/bench/scenario.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/bench/scenario_files.h"
#include "harness/report/claims.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kSmall = R"(
kind = "l1_get"
title = "small"
claims = ["A1"]
scale = {smoke = 1.0, standard = 4.0, quick = 0.5}
[in_process]
maps = ["sharded"]
l1_bytes = "16MiB"
[[in_process.case]]
name = "hot"
keys = 100
operations = 20000
value_bytes = 128
)";

TEST_F(ScenarioFiles, AreNamedByTheirPlace) {
  write(kSmall);
  const auto scenarios = load_scenarios(directory_.string());
  ASSERT_TRUE(scenarios.has_value()) << scenarios.error().detail;
  ASSERT_EQ(scenarios->size(), 1U);
  EXPECT_EQ(scenarios->front().name, "family/one");
  EXPECT_EQ(scenarios->front().scale({.suite = "standard", .quick = false}), 4.0);
  EXPECT_EQ(scenarios->front().scale({.suite = "standard", .quick = true}), 2.0);
}

TEST_F(ScenarioFiles, AreRefusedWithFileAndLine) {
  write(std::string(kSmall) + "valeu_bytes = 7\n");
  EXPECT_THAT(load_scenarios(directory_.string()).error().detail,
              AllOf(HasSubstr("family/one.toml:14: unknown key 'valeu_bytes'"),
                    HasSubstr("did you mean 'value_bytes'?")));
  write("kind = \"other\"\n");
  EXPECT_THAT(
      load_scenarios(directory_.string()).error().detail,
      AllOf(HasSubstr("one.toml:1: 'kind' must be one of"), HasSubstr("'title' is missing")));
}

TEST_F(ScenarioFiles, OfTheSourceTreeAllLoad) {
  const auto scenarios = load_scenarios(NEARLANE_SCENARIOS);
  ASSERT_TRUE(scenarios.has_value()) << scenarios.error().detail;
  EXPECT_GE(scenarios->size(), 1U);
}

TEST_F(ScenarioFiles, NameTheClaimsWhoseFiguresTheyMeasure) {
  const auto scenarios = load_scenarios(NEARLANE_SCENARIOS);
  ASSERT_TRUE(scenarios);
  std::map<std::string, std::set<std::string>> named;
  for (const auto& scenario : *scenarios)
    named[scenario.name] = {scenario.claims.begin(), scenario.claims.end()};
  for (const Claim& claim : claims()) {
    for (const ClaimFigure& figure : claim.figures) {
      for (const Place* place : {&figure.at, &figure.over}) {
        if (place->scenario.empty()) continue;
        EXPECT_TRUE(named[std::string(place->scenario)].contains(std::string(claim.id)))
            << claim.id << " is not among the claims of " << place->scenario;
      }
    }
  }
}

TEST_F(ScenarioFiles, RunAndLeaveFiguresInTheResult) {
  write(kSmall);
  const auto scenarios = load_scenarios(directory_.string());
  ASSERT_TRUE(scenarios.has_value());
  Meter meter;
  const auto result =
      run_scenario(scenarios->front(), {.suite = "smoke", .quick = true}, "label", "", meter);
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  ASSERT_FALSE(result.measures.empty());
  for (const auto& measure : result.measures) {
    EXPECT_EQ(measure.repetitions.size(), 2U) << measure.id;
    for (const auto& repetition : measure.repetitions) {
      EXPECT_GT(repetition.values.at("p50_ns").value_or(0), 0) << measure.id;
    }
  }
}

TEST_F(ScenarioFiles, CheckEveryAnswerOfAFleet) {
  write(R"(
kind = "invalidation"
title = "small"
[fleet]
instances = 2
[timed]
writes = 20
keys = 5
[checked]
operations = 5000
keys = 50
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  const auto of = [&](const std::string& id, const std::string& metric) {
    return last(result, id, metric);
  };
  EXPECT_GE(of("checked", "operations_count"), 5000);
  EXPECT_EQ(of("checked", "violations_count"), 0);
  EXPECT_EQ(of("settled", "compared_count"), 2 * 2 * 50);
  EXPECT_EQ(of("settled", "different_count"), 0);
  EXPECT_GE(of("stale/direct", "invalidations_per_write_count"), 1);
}

TEST_F(ScenarioFiles, FindWhatCoherenceCosts) {
  write(R"(
kind = "coherence_costs"
title = "small"
[writes]
each = 200
value_bytes = ["100B"]
[loss]
entries = 20_000
[barrier]
each = 5
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const auto* id : {"write/lane/100", "write/lane_blocking/100"})
    EXPECT_GT(last(result, id, "of_bare_share"), 0) << id;
  EXPECT_EQ(last(result, "loss", "entries_count"), 20'000);
  EXPECT_GT(last(result, "commands/warm", "rate_per_s"), 0);
  EXPECT_EQ(last(result, "commands/idle", "rate_per_s"), 0);
  EXPECT_EQ(last(result, "barrier/instance", "count"), 5);
}

TEST_F(ScenarioFiles, AskL2OnceForWhatManyMiss) {
  write(R"(
kind = "stampede"
title = "small"
[stampede]
clients = 50
road = "100ms"
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const auto* id : {"stampede/http", "stampede/resp"}) {
    EXPECT_EQ(last(result, id, "l2_reads_count"), 1) << id;
    EXPECT_EQ(last(result, id, "clients_count"), 50) << id;
  }
  EXPECT_EQ(last(result, "stampede/http", "late_count"), 0);
}

TEST_F(ScenarioFiles, SeeWhetherRedisKeepsWhatOnlyL1IsAskedFor) {
  constexpr std::string_view kFile = R"(
kind = "eviction"
title = "small"
[eviction]
hot_keys = 100
redis_bytes = "6MiB"
turnovers = 1
lasts = "6s"
touch_rate = {}
)";
  write(fmt::format(kFile, 2000));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_LT(last(result, "without", "kept_share"), 0.5);
  write(fmt::format(kFile, 0));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("Redis kept only")));
}

TEST_F(ScenarioFiles, FindWhatOutlivesItsEnd) {
  write(R"(
kind = "expiry"
title = "small"
[sessions]
keys = 300
ttl = "1s"
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  const auto of = [&](const std::string& metric) { return last(result, "expiry", metric); };
  EXPECT_GT(of("hits_count"), 0);
  EXPECT_EQ(of("zombies_count"), 0);
  EXPECT_EQ(of("early_count"), 0);
  EXPECT_EQ(of("violations_count"), 0);
  EXPECT_EQ(of("left_in_l1_count"), 0);
  EXPECT_EQ(of("left_in_l2_count"), 0);
  EXPECT_GT(of("full_used_bytes"), of("before_used_bytes") + 300 * 3500);
}

TEST_F(ScenarioFiles, CountWhatTheServerCounts) {
  write(R"(
kind = "timeline"
title = "small"
[burst]
keys = 20
operations = 45
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_EQ(last(result, "timeline", "operations_count"), 5 + 45);
  EXPECT_EQ(last(result, "timeline", "counted_count"), 5 + 45);
  EXPECT_EQ(last(result, "timeline", "l1_share"), 1);
}

TEST_F(ScenarioFiles, LeaveOutOneOptimisationAtATime) {
  write(R"(
kind = "http_ablation"
title = "small"
[work]
keys = 20
requests = 1000
connections = 2
load_for = "200ms"
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  const auto bytes = [&](const std::string& id) {
    return last(result, id + "/load", "response_bytes");
  };
  EXPECT_GT(bytes("all"), 0);
  EXPECT_LT(bytes("all"), bytes("no_precompression"));
  EXPECT_NEAR(last(result, "no_fast_lane/server", "count"), 1000, 50) << "some may go by L2";
  EXPECT_GT(last(result, "none/load", "cpu_ns_per_op"), 0);
}

// A lease that outlives a machine which has other things to do, here and below: L1 is to answer all.
constexpr const char* kDepth = R"(
kind = "resp_get_depth"
title = "small"
[load]
keys = {}
connections = 4
load_for = "20ms"
lease = "30s"
l1_bytes = "{}"
[[load.values]]
bytes = 1024
misses = true
mget = 10
relayed = true
)";

TEST_F(ScenarioFiles, LoadRespServersInTurn) {
  write(fmt::format(kDepth, 300, "64MiB"));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const char* id : {"hit/1024/16/redis", "hit/1024/16/memcached", "hit/1024/64/canned",
                         "mixed/1024/1/redis", "miss/1024/16/redis", "mget/1024/10/memcached",
                         "mget/1024/10/canned", "relayed/1024/16/nutcracker"}) {
    EXPECT_GT(last(result, id, "cpu_ns_per_op"), 0) << id;
    EXPECT_GT(last(result, id, "nearlane_cpu_share"), 0) << id;
    EXPECT_GT(last(result, id, "nearlane_rate_share"), 0) << id;
  }
  EXPECT_GT(last(result, "hit/1024/64/nearlane", "l1_share"), 0.99);
  EXPECT_EQ(last(result, "hit/1024/1/nearlane", "reply_bytes"), 7 + 1024 + 2);
  EXPECT_EQ(last(result, "miss/1024/1/nearlane", "reply_bytes"), 5);
}

TEST_F(ScenarioFiles, FailWhereL1DoesNotHaveWhatItIsToAnswer) {
  write(fmt::format(kDepth, 20'000, "8MiB"));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("L1 was to answer all")));
}

// Of so few connections what the process does besides is a good part, and under a sanitizer what that adds to each.
constexpr const char* kConnections = R"(
kind = "resp_connections"
title = "small"
[work]
keys = 100
idle = 2000
few = 2
many = 20
load_for = "50ms"
most_bytes = "32KiB"
lease = "30s"
max_connections = {}
)";

TEST_F(ScenarioFiles, FindWhatAConnectionKeeps) {
  write(fmt::format(kConnections, 2100));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const char* who : {"nearlane", "redis"}) {
    const auto idle = fmt::format("idle/{}", who);
    EXPECT_GT(last(result, idle, "opened_bytes"), 0) << who;
    EXPECT_GE(last(result, idle, "asked_bytes"), last(result, idle, "opened_bytes")) << who;
    EXPECT_GT(last(result, fmt::format("active/20/{}", who), "of_few_share"), 0) << who;
  }
}

TEST_F(ScenarioFiles, FailWhereNotAllConnectionsAreTaken) {
  write(fmt::format(kConnections, 1000));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("idle/nearlane")));
}

constexpr const char* kLarge = R"(
kind = "resp_large_values"
title = "small"
[blobs]
bytes = ["300KB", "600KB"]
count = 3
rate = 50
[small]
keys = 100
rate = 1000
[load]
alone_for = "200ms"
beside_for = "200ms"
lease = "30s"
l1_bytes = "{}"
)";

TEST_F(ScenarioFiles, ReadBlobsWholeAndBesideSmallValues) {
  write(fmt::format(kLarge, "64MiB"));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const char* who : {"nearlane", "redis"}) {
    EXPECT_EQ(last(result, fmt::format("whole/{}", who), "whole_count"), 6) << who;
    EXPECT_GT(last(result, fmt::format("alone/600000/{}", who), "a_second_bytes"), 600'000) << who;
    EXPECT_GT(last(result, fmt::format("small_alone/{}", who), "count"), 100) << who;
    EXPECT_GT(last(result, fmt::format("small_beside/{}", who), "blobs_per_s"), 0) << who;
  }
}

constexpr const char* kBeside = R"(
kind = "large_beside_small"
title = "small"
[large]
bytes = ["300KB"]
keys = 2
rate = 4
[small]
keys = 200
connections = 100
rate = 300
[lanes]
pool = 4
bulk = 2
link_bytes_per_s = 1_000_000
apart = {}
[load]
beside_for = "2s"
)";

TEST_F(ScenarioFiles, ReadSmallValuesWithoutWaitingForLargeOnes) {
  write(fmt::format(kBeside, true));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_GT(last(result, "shared", "waiting_share"), 0.01);
  EXPECT_LT(last(result, "bulk", "waiting_share"), last(result, "shared", "waiting_share") / 2);
  EXPECT_GT(last(result, "bulk", "large_per_s"), 0);
  EXPECT_GT(last(result, "bulk", "count"), 300);
  EXPECT_GT(last(result, "bulk", "cpu_share"), 0);
  EXPECT_GT(last(result, "found/shared", "large_in_line_count"), 2);
  EXPECT_EQ(last(result, "found/bulk", "large_in_line_count"), 0);
}

TEST_F(ScenarioFiles, FailWhereSmallValuesWaitForLargeOnesAllTheSame) {
  write(fmt::format(kBeside, false));
  EXPECT_THAT(run_quick().failures,
              AllOf(testing::Contains(HasSubstr("although large values have lanes of their own")),
                    testing::Contains(HasSubstr("bulk: "))));
}

TEST_F(ScenarioFiles, FailWhereBlobsDoNotFitIntoL1) {
  write(fmt::format(kLarge, "1MiB"));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("L1 was to answer all")));
}

TEST_F(ScenarioFiles, LoadOtherServersBesideOurs) {
  write(R"(
kind = "http_get"
title = "small"
scale = {quick = 0.05}
[load]
keys = 20
connections = 4
load_for = "2s"
[[load.case]]
value_bytes = 1024
coding = "br"
pipelined = true
[server]
keys = 2000
requests = 2000
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  for (const char* peer : {"nginx", "h2o", "varnish", "beast", "canned"}) {
    for (const char* depth : {"1", "16"}) {
      const auto id = fmt::format("{}/1024/br/{}", peer, depth);
      EXPECT_GT(last(result, id, "cpu_ns_per_op"), 0) << id;
      EXPECT_LT(last(result, id, "response_bytes"), 1024) << id;
      EXPECT_GT(last(result, id, "nearlane_share"), 0) << id;
    }
  }
  EXPECT_GE(last(result, "server/hit", "count"), 1900)
      << "but those whose lease had to be renewed first";
}

TEST_F(ScenarioFiles, CompareConditionalRequestsWithTheirRules) {
  write(R"(
kind = "http_conditional"
title = "small"
[work]
keys = 10
connections = 4
load_for = "100ms"
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_GT(last(result, "correct", "asked_count"), 200);
  EXPECT_EQ(last(result, "correct", "wrong_count"), 0);
  for (const char* depth : {"1", "16"}) {
    const auto of = [&](const std::string& way, const char* metric) {
      return last(result, fmt::format("{}/{}", way, depth), metric);
    };
    EXPECT_EQ(of("small", "of_small_share"), 1);
    EXPECT_GT(of("not_modified/br", "cpu_ns_per_op"), 0);
    EXPECT_GT(of("not_modified/identity", "saved_share"), 0.9);
    EXPECT_LT(of("head/identity", "response_bytes"), 1000);
  }
}

TEST_F(ScenarioFiles, TimeTheCheckOfAKey) {
  write(R"(
kind = "http_auth"
title = "small"
[auth]
samples = 50_000
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_GT(last(result, "first", "mean_ns"), last(result, "remembered", "mean_ns"));
  EXPECT_GT(last(result, "early_exit", "abs_t"), 10);
}

TEST_F(ScenarioFiles, LeaveAFailureInTheResultWhenTheyCannotRun) {
  auto text = std::string(kSmall);
  text.replace(text.find("sharded"), 7, "nowhere");
  write(text);
  const auto scenarios = load_scenarios(directory_.string());
  ASSERT_TRUE(scenarios.has_value());
  Meter meter;
  const auto result = run_scenario(scenarios->front(), {}, "label", "", meter);
  ASSERT_EQ(result.failures.size(), 1U);
  EXPECT_THAT(result.failures[0], HasSubstr("sharded"));  // it lists the maps that there are
}

constexpr const char* kOutage = R"(
kind = "outage"
title = "small"
scale = {{quick = 0.2}}
[outage]
fault = "{}"
healthy_for = "3s"
recovery_for = "15s"
{}
[work]
rate = 300
keys = 2000
l1_bytes = "1MiB"
max_stale = "{}"
)";

TEST_F(ScenarioFiles, ServeWhatL1HasInAnOutage) {
  write(fmt::format(kOutage, "hung", "outage_for = \"3s\"", "60s"));
  const auto result = run_quick();
  // How long things took is the machine's as well.
  EXPECT_THAT(result.failures, testing::Not(testing::Contains("nothing was served stale")));
  EXPECT_GT(last(result, "outage", "stale_share"), 0);
  EXPECT_EQ(last(result, "outage", "written_count"), 0);
  const auto series = over_time(result);
  ASSERT_EQ(series.faults.size(), 1U);
  EXPECT_GT(failed_during_fault(series), 0U);
}

TEST_F(ScenarioFiles, FailWhereNothingIsServedStale) {
  write(fmt::format(kOutage, "hung", "outage_for = \"3s\"", "0s"));
  EXPECT_THAT(run_quick().failures, testing::Contains("nothing was served stale"));
}

// Away for longer than what is old may be served, while somebody writes past the instance.
constexpr const char* kLongAway = R"(outage_for = "15s"
away_for = "2500ms"
back_for = "500ms")";

TEST_F(ScenarioFiles, JudgeEveryAnswerInAnOutage) {
  write(fmt::format(kOutage, "flapping", kLongAway, "1s") + "direct_rate = 200\n");
  const auto result = run_quick();
  EXPECT_GT(last(result, "outage", "stale_share"), 0);
  EXPECT_GT(last(result, "counts", "reads_count"), 500);
  EXPECT_GT(last(result, "counts", "acknowledged_count"), 0);
  EXPECT_GT(last(result, "counts", "direct_count"), 100);
  EXPECT_GT(last(result, "counts", "oldest_marked_ns"), 0);
  for (const char* metric : {"violations_count", "lost_count", "different_count"}) {
    EXPECT_EQ(last(result, "counts", metric), 0)
        << metric << testing::PrintToString(result.failures);
  }
  EXPECT_EQ(last(result, "counts", "compared_count"), 2 * 2000) << "doors, keys";
  EXPECT_GE(last(result, "control", "lost_count"), 2000) << "it would be noticed";
}

TEST_F(ScenarioFiles, FailWhereAnswersAreOlderThanTheyMayBe) {
  write(fmt::format(kOutage, "flapping", kLongAway, "60s") +
        "promised_max_stale = \"100ms\"\ndirect_rate = 200\n");
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("and said that it may be old")));
}

TEST_F(ScenarioFiles, FailWhereAnInstanceDoesNotHearOfWritesInAnOutage) {
  write(fmt::format(kOutage, "slow", "outage_for = \"3s\"\ncoherence = \"none\"", "60s") +
        "direct_rate = 200\n");
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("under load: ")));
}

constexpr const char* kFailover = R"(
kind = "failover"
title = "small"
[failover]
fault = "{}"
instances = 2
steady_for = "1500ms"
down_for = "100ms"
watch_for = "1500ms"
asked_every = "20ms"
drain_delay = "300ms"
{}
[work]
rate = 300
keys = 500
connections = 64
writes_share = {}
)";

TEST_F(ScenarioFiles, LoseNothingWithAnInstanceThatIsKilled) {
  write(fmt::format(kFailover, "killed", "", 0.02));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_GT(last(result, "counts", "operations_count"), 500);
  EXPECT_GT(last(result, "counts", "acknowledged_count"), 0);
  EXPECT_EQ(last(result, "counts", "lost_count"), 0);
  EXPECT_EQ(last(result, "counts", "violations_count"), 0);
  const auto series = over_time(result);
  ASSERT_EQ(series.faults.size(), 1U);
  EXPECT_EQ(series.faults[0].what, "instance 0 away");
  EXPECT_GT(series.faults[0].from_s, 1.5) << "not before it was told to end";
  EXPECT_LT(series.faults[0].from_s, series.faults[0].to_s);
  EXPECT_LE(series.faults[0].to_s, series.seconds.size());
  EXPECT_GE(last(result, "control", "lost_count"), 500) << "it would be noticed";
}

TEST_F(ScenarioFiles, FailWhereMoreIsCutOffThanTheKillExplains) {
  // The other instance is killed after it: its connections are nobody's excuse.
  write(fmt::format(kFailover, "killed", "kills = true\nroad = \"100ms\"", 0.5));
  const auto result = run_quick();
  EXPECT_THAT(result.failures,
              testing::Contains(HasSubstr("requests failed that no kill had cut")));
  EXPECT_GT(last(result, "counts", "cut_off_count"), 0);
  EXPECT_GT(last(result, "counts", "other_failed_count"), 0);
}

TEST_F(ScenarioFiles, FailWhereAnInstanceIsReadyAndCold) {
  write(fmt::format(kFailover, "killed", "warmup = false", 0.02));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("ready, and cold")));
}

TEST_F(ScenarioFiles, RestartAllInTurnAndNoRequestFails) {
  write(fmt::format(kFailover, "rolling", "", 0.02));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_EQ(last(result, "counts", "failed_count"), 0);
  for (const auto* id : {"instance/0", "instance/1"})
    EXPECT_GT(last(result, id, "first_l1_share"), 0.5) << id;
}

TEST_F(ScenarioFiles, FailWhereADeploymentCutsRequestsOff) {
  write(fmt::format(kFailover, "rolling", "kills = true\nroad = \"100ms\"", 0.5));
  EXPECT_THAT(run_quick().failures, testing::Contains(HasSubstr("requests failed; such as")));
}

}  // namespace
}  // namespace nearlane::harness
