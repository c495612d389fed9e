// Scenarios judge: each of these is run with a product that is broken, and must say so.
//
// Kind of scenario and where it is run with a broken product:
//   here                   l1_get, three_approaches, generations, invalidation, coherence_faults, coherence_costs,
//                          routing, stampede, expiry, timeline, http_ablation, http_get, http_conditional, http_auth,
//                          resp_connections
//   scenario_test.cc       eviction, outage, failover, resp_get_depth, resp_connections, resp_large_values,
//                          large_beside_small
//   l2_scenarios_test.cc   l2_failover, durability
#include <array>
#include <charconv>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/entry/precompress.h"
#include "harness/bench/scenario_files.h"
#include "harness/peers/site.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class BrokenProducts : public ScenarioFiles {};

constexpr const char* kFaults = R"(
kind = "coherence_faults"
title = "small"
scale = {{quick = 1.0}}
[fleet]
coherence = "{}"
[traffic]
keys = 500  # so many that one instance does not soon overwrite by itself what it has not heard of
fault_for = "{}"
recover_for = "100ms"
faults = [{}]
)";

TEST_F(BrokenProducts, FaultsLeaveTheirMarksOverTime) {
  write(fmt::format(kFaults, "lanes", "300ms", R"("none", "reset")"));
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_GT(last(result, "none", "reads_count"), 0);
  EXPECT_GT(last(result, "reset", "reads_count"), 0);
  const auto series = over_time(result);
  ASSERT_EQ(series.faults.size(), 1U);
  EXPECT_EQ(series.faults[0].what, "reset");
  EXPECT_GE(series.faults[0].to_s - series.faults[0].from_s, 0.3);
  ASSERT_FALSE(series.seconds.empty());
  EXPECT_GT(series.seconds[0].answered, 100U);
  EXPECT_GT(series.seconds[0].max_ns, series.seconds[0].p50_ns);
}

TEST_F(BrokenProducts, InstancesThatDoNotHearOfWritesFailUnderFaults) {
  write(fmt::format(kFaults, "none", "600ms", R"("none")"));
  EXPECT_THAT(run_quick().failures, Contains(AllOf(HasSubstr("none: "), HasSubstr(" stale, "))));
}

TEST_F(BrokenProducts, InstancesThatDoNotHearOfWritesFailInInvalidation) {
  write(R"(
kind = "invalidation"
title = "small"
[fleet]
instances = 2
coherence = "none"
[timed]
writes = 2
keys = 1
[checked]
operations = 100
keys = 50
)");
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("still old")));
}

TEST_F(BrokenProducts, SessionsThatAreStaleForLongFailInThreeApproaches) {
  // 100,000 requests take seconds, in which what is stale gets older than the 270 ms which are allowed.
  write(R"(
kind = "three_approaches"
title = "small"
parts = ["scaling"]
[sessions]
coherence = "none"
[[workload]]
name = "few"
operations = 100_000
keys = 200
value_bytes = 200
mix = {get = 0.98, set = 0.02}
)");
  EXPECT_THAT(run_quick().failures, Contains(AllOf(HasSubstr("few: "), HasSubstr("stalest by"))));
}

TEST_F(BrokenProducts, SessionsThatAreGoneFailInThreeApproaches) {
  write(R"(
kind = "three_approaches"
title = "small"
parts = ["scaling"]
[sessions]
redis_bytes = "4MiB"
[[workload]]
name = "more than Redis has room for"
operations = 2_000
keys = 400
value_bytes = "20KB"
mix = {get = 0.98, set = 0.02}
)");
  EXPECT_THAT(run_quick().failures,
              Contains(testing::ContainsRegex("room for: [1-9][0-9]* reads found no session")));
}

TEST_F(BrokenProducts, SessionsThatEndByTheirTtlAreNotGone) {
  // They end while the run goes on, which takes a second or more, and later than kRedisLags, which is how long before their end
  // none need be found.
  write(R"(
kind = "three_approaches"
title = "small"
parts = ["scaling"]
[[workload]]
name = "few"
operations = 60_000
keys = 200
value_bytes = 200
ttl = "300ms"
mix = {get = 0.999, set = 0.001}
)");
  const auto result = run_quick();
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  EXPECT_LT(last(result, "scaling/few/redis", "existing_share"), 0.9);
}

TEST_F(BrokenProducts, ADeployThatLeavesNobodyToAnswerFailsInThreeApproaches) {
  constexpr std::string_view kRestarts = R"(
kind = "three_approaches"
title = "small"
parts = ["rolling_restart"]
[sessions]
rolling_requests = 200
restarts_all_at_once = {}
[[workload]]
name = "none of it is sent"
operations = 1
keys = 1
mix = {{get = 1.0}}
)";
  write(fmt::format(kRestarts, false));
  EXPECT_EQ(run_quick().failures, std::vector<std::string>{});
  write(fmt::format(kRestarts, true));
  EXPECT_THAT(run_quick().failures,
              Contains(testing::ContainsRegex("0 could not be read, [1-9][0-9]* requests failed")));
}

TEST_F(BrokenProducts, ThePublishedWorkloadsFindEverySession) {
  const auto scenario =
      load_scenario(NEARLANE_SCENARIOS "/sessions/workloads.toml", "sessions/workloads");
  ASSERT_TRUE(scenario) << scenario.error().detail;
  Meter meter;
  const auto result =
      run_scenario(*scenario, {.suite = "standard", .quick = true}, "label", "", meter);
  EXPECT_EQ(result.failures, std::vector<std::string>{});
  std::size_t workloads = 0;
  for (const Measure& measure : result.measures) {
    if (!measure.id.ends_with("/nearlane")) continue;
    ++workloads;
    EXPECT_EQ(last(result, measure.id, "not_found_count"), 0) << measure.id;
    EXPECT_GT(last(result, measure.id, "reads_count"), 10) << measure.id;
  }
  EXPECT_EQ(workloads, 6U);
}

TEST_F(BrokenProducts, AnL1WithoutRoomFailsInReadsThatItIsToAnswer) {
  write(R"(
kind = "l1_get"
title = "small"
quick_repetitions = 1
[server]
keys = 1000
value_bytes = "4KB"
requests = 500
l1_bytes = "1MiB"
)");
  EXPECT_THAT(run_quick().failures,
              AllOf(Contains(HasSubstr("resp: only ")), Contains(HasSubstr("http: only "))));
}

TEST_F(BrokenProducts, AnL1WithoutRoomFailsAsAGeneration) {
  write(R"(
kind = "generations"
title = "small"
profiles = ["v1.0", "head"]
[work]
keys = 1000
value_bytes = "4KB"
hot_requests = 100
l2_requests = 10
connections = 4
load_for = "100ms"
l1_bytes = "1MiB"
)");
  const auto failures = run_quick().failures;
  EXPECT_THAT(failures, Contains(HasSubstr("head over http: L1 was to answer all")));
  EXPECT_THAT(failures, testing::Not(Contains(HasSubstr("v1.0")))) << "it has none";
}

TEST_F(BrokenProducts, AnInstanceThatIsStillWarmCountsAsTalkingInCosts) {
  // The product is sound: half a second is less than the five that lanes stay warm, so that it does what one that never
  // rests would do.
  write(R"(
kind = "coherence_costs"
title = "small"
quick_repetitions = 1
[writes]
each = 100
value_bytes = ["100B"]
[loss]
entries = 1000
[barrier]
each = 1
[heartbeats]
coherence = "pubsub"
window = "1s"
cool_down = "500ms"
)");
  EXPECT_THAT(run_quick().failures,
              Contains(HasSubstr("an instance that nobody asks sends Redis")));
}

TEST_F(BrokenProducts, ATierThatInstallsWhatABareSetWroteFailsInRouting) {
  constexpr std::string_view kRouting = R"(
kind = "routing"
title = "small"
[sessions]
generated = 100
writes_share = 0.2
[fleet]
most_instances = 2
planted = "{}"
)";
  write(fmt::format(kRouting, "none"));
  EXPECT_EQ(run_quick().failures, std::vector<std::string>{});
  write(fmt::format(kRouting, "naive_install"));
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("nothing/2: ")));
}

TEST_F(BrokenProducts, FetchesThatNobodyJoinsFailInAStampede) {
  write(R"(
kind = "stampede"
title = "small"
[stampede]
clients = 1000
road = "100ms"
lease = "1ms"
)");
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr(" reads of L2 for one key")));
}

TEST_F(BrokenProducts, ASessionThatEndsAtAnotherTimeFailsInExpiry) {
  constexpr std::string_view kExpiry = R"(
kind = "expiry"
title = "small"
[sessions]
keys = 100
ttl = "{}"
swept_within = "1s"
planted = "{}"
)";
  write(fmt::format(kExpiry, "1s", "endless"));
  EXPECT_THAT(run_quick().failures, AllOf(Contains("1 keys were left in Redis"),
                                          Contains(HasSubstr(" entries were left in L1")),
                                          Contains(HasSubstr(" a session after its end"))));
  write(fmt::format(kExpiry, "5s", "early"));
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr(" reads found none before its end")));
}

TEST_F(BrokenProducts, AServerWithoutL1FailsInTheTimeline) {
  write(R"(
kind = "timeline"
title = "small"
[burst]
keys = 20
operations = 45
l1 = false
)");
  EXPECT_THAT(run_quick().failures, Contains("L1 answered 0.0 % of the reads of a warm set"));
}

TEST_F(BrokenProducts, AServerThatAsksForNoKeyFailsInTheAblation) {
  write(R"(
kind = "http_ablation"
title = "small"
[work]
keys = 1
authorises = false
)");
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("all: answers without an API key")));
}

TEST_F(BrokenProducts, AServerWithoutL1FailsBesideOthers) {
  write(R"(
kind = "http_get"
title = "small"
[load]
keys = 20
connections = 4
load_for = "50ms"
peers = []
l1 = false
[[load.case]]
value_bytes = 1024
)");
  EXPECT_THAT(run_quick().failures,
              Contains(HasSubstr("L1 was to answer all, and answered 0.0 %")));
}

TEST_F(BrokenProducts, AComparisonThatStopsEarlyFailsInAuth) {
  write(R"(
kind = "http_auth"
title = "small"
[auth]
samples = 50_000
stops_early = true
)");
  EXPECT_THAT(run_quick().failures, Contains(HasSubstr("tells where a wrong byte is")));
}

TEST_F(BrokenProducts, ConnectionsThatKeepTooMuchFail) {
  write(R"(
kind = "resp_connections"
title = "small"
quick_repetitions = 1
[work]
keys = 10
idle = 2000
few = 2
many = 4
load_for = "20ms"
most_bytes = 1
)");
  EXPECT_THAT(run_quick().failures,
              Contains(AllOf(HasSubstr("idle/nearlane"), HasSubstr("each keeps"))));
}

/// Stores and serves a value in all codings, and knows of no condition. One connection.
class Unconditional {
 public:
  Unconditional() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    (void)::bind(listener_, generic, size);
    (void)::listen(listener_, 1);
    (void)::getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    serving_ = std::thread([this] { serve(); });
  }
  ~Unconditional() {
    ::shutdown(listener_, SHUT_RDWR);
    serving_.join();
    ::close(listener_);
  }
  Unconditional(const Unconditional&) = delete;
  Unconditional& operator=(const Unconditional&) = delete;

  [[nodiscard]] int port() const noexcept { return port_; }

 private:
  void serve() {
    const int peer = ::accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    std::string in;
    std::array<char, 65536> chunk{};
    for (ssize_t got = 0; (got = ::recv(peer, chunk.data(), chunk.size(), 0)) > 0;) {
      in.append(chunk.data(), static_cast<std::size_t>(got));
      const auto head = in.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      std::size_t length = 0;
      if (const auto at = in.find("Content-Length: "); at < head)
        std::from_chars(in.data() + at + 16, in.data() + head, length);
      if (in.size() < head + 4 + length) continue;
      const auto out = answer(in.substr(0, head), in.substr(head + 4, length));
      (void)::send(peer, out.data(), out.size(), MSG_NOSIGNAL);
      in.clear();  // it asks one after the other
    }
    ::close(peer);
  }

  std::string answer(const std::string& head, const std::string& body) {
    const auto with = [](std::string_view status, std::string_view coding, std::string_view sent,
                         bool whole) {
      return fmt::format(
          "HTTP/1.1 {}\r\nETag: \"{}\"\r\nVary: Accept-Encoding\r\nContent-Length: {}\r\n\r\n{}",
          status, coding, sent.size(), whole ? sent : "");
    };
    if (head.starts_with("PUT")) {
      page_ = {.key = {}, .value = body, .forms = precompress(body)};
      return with("201 Created", "identity", "", true);
    }
    if (head.starts_with("DELETE")) return with("204 No Content", "identity", "", true);
    Coding coding = Coding::identity;
    for (const Coding each : {Coding::gzip, Coding::br}) {
      if (head.find(fmt::format("Accept-Encoding: {}", name_of(each))) != std::string::npos)
        coding = each;
    }
    return with("200 OK", name_of(coding), page_.form(coding), !head.starts_with("HEAD"));
  }

  const int listener_;
  int port_ = 0;
  Page page_;
  std::thread serving_;
};

TEST_F(BrokenProducts, AServerThatKnowsOfNoConditionsFailsInThem) {
  const Unconditional server;
  write(fmt::format(R"(
kind = "http_conditional"
title = "small"
[work]
other_port = {}
)",
                    server.port()));
  const auto failures = run_quick().failures;
  for (const char* group : {"other/none_match: ", "other/match: ", "other/writes: "})
    EXPECT_THAT(failures, Contains(HasSubstr(group)));
}

}  // namespace
}  // namespace nearlane::harness
