#include "harness/bench/session_app.h"

#include <array>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/bench/server_stats.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

WorkloadSpec sessions() {
  WorkloadSpec spec;
  spec.name = "sessions";
  spec.source = "generated";
  spec.operations = 4000;
  spec.sizes = {{500, 1.0}};
  spec.ttl = std::chrono::minutes(30);
  spec.keys = 200;
  spec.distribution = "uniform";
  spec.mix = {0.6, 0.2, 0.1, 0.1};
  spec.prefix = "sess:";
  return spec;
}

AppCounts run_over(Approach& approach, Balance balance) {
  SessionApp app(approach, balance, 1);
  const auto spec = sessions();
  app.log_in(spec);
  auto opened = open_workload(spec, "");
  EXPECT_TRUE(opened.has_value());
  const auto done = app.run(*opened->stream);
  EXPECT_TRUE(done.has_value());
  return app.counts();
}

/// Does to another approach's answers what a broken cache would.
class Broken final : public Approach {
 public:
  enum class Way { forgets_writes, forgets_all, keeps_for_ever, mixes_keys, fails };
  explicit Broken(Way way) : way_(way), maps_(1) {}

  [[nodiscard]] std::size_t instances() const override { return 2; }
  [[nodiscard]] Answer call(std::size_t, const Request& request) override {
    if (way_ == Way::fails) return {.failure = Failure::lost};
    if (way_ == Way::forgets_writes && request.kind == Op::set && ++writes_ > 300) {
      return {.outcome = Outcome::ok};
    }
    if (way_ == Way::forgets_all && request.kind == Op::get) return {.outcome = Outcome::miss};
    auto asked = request;
    if (way_ == Way::keeps_for_ever) asked.ttl = {};
    if (way_ == Way::mixes_keys && request.kind == Op::get) {
      write_key_name("sess:", 0, asked.key);
    }
    return maps_.call(0, asked);
  }

 private:
  Way way_;
  LocalMaps maps_;
  int writes_ = 0;
};

TEST(SessionApp, FindsEverySessionWhereAffinityHolds) {
  LocalMaps maps(2);
  const auto counts = run_over(maps, Balance::affinity);
  EXPECT_GT(counts.existing, 1000U);
  EXPECT_EQ(counts.found, counts.existing);
  EXPECT_EQ(counts.stale + counts.corrupt + counts.failed + counts.not_found, 0U);
}

TEST(SessionApp, MissesSessionsOnInstancesThatNeverHeardOfThem) {
  LocalMaps maps(2);
  const auto counts = run_over(maps, Balance::random);
  EXPECT_GT(counts.not_found, 100U);
  EXPECT_GT(counts.stale, 0U);  // what one map has replaced the other still holds
  EXPECT_LT(counts.found_share(), 0.9);
}

TEST(SessionApp, SeesAStoreThatForgetsAcknowledgedWrites) {
  Broken broken(Broken::Way::forgets_writes);
  EXPECT_GT(run_over(broken, Balance::random).stale, 0U);
}

TEST(SessionApp, SeesTheDocumentOfAnotherSession) {
  Broken broken(Broken::Way::mixes_keys);
  EXPECT_GT(run_over(broken, Balance::random).corrupt, 0U);
}

TEST(SessionApp, TriesEveryInstanceBeforeARequestHasFailed) {
  Broken broken(Broken::Way::fails);
  const auto counts = run_over(broken, Balance::random);
  EXPECT_EQ(counts.failed, counts.requests);
  EXPECT_EQ(counts.retried, counts.requests);
}

/// An operation on the one session there is.
Operation on_session(Op op, std::chrono::milliseconds ttl = {}) {
  return {.op = op, .key = "sess:0", .value_bytes = 500, .ttl = ttl};
}

TEST(SessionApp, LosesNoSessionThatItsTtlHasEnded) {
  Broken broken(Broken::Way::forgets_all);
  SessionApp app(broken, Balance::random, 1);
  app.send(on_session(Op::set, 1ms));
  app.send(on_session(Op::get));
  EXPECT_EQ(app.counts().existing, 0U);
  EXPECT_EQ(app.counts().not_found, 0U);
  app.send(on_session(Op::set, 1ms));
  const auto read = app.read_back(0);
  EXPECT_EQ(read.acknowledged + read.lost, 0U);
}

TEST(SessionApp, LosesOneWhoseEndIsYetToCome) {
  Broken broken(Broken::Way::forgets_all);
  SessionApp app(broken, Balance::random, 1);
  app.send(on_session(Op::set, 1h));
  app.send(on_session(Op::get));
  EXPECT_EQ(app.counts().not_found, 1U);
  EXPECT_EQ(app.read_back(0).lost, 1U);
  app.send(on_session(Op::set, 50ms));
  app.send(on_session(Op::touch, 1h));
  app.send(on_session(Op::get));
  EXPECT_EQ(app.counts().not_found, 2U) << "a touch had moved it";
}

/// Its first read finds nothing, all others do; a write takes some time.
class FindsNothingAtFirst final : public Approach {
 public:
  explicit FindsNothingAtFirst(Duration write_takes) : write_takes_(write_takes) {}
  [[nodiscard]] std::size_t instances() const override { return 1; }
  [[nodiscard]] Answer call(std::size_t, const Request& request) override {
    if (request.kind == Op::get && reads_++ == 0) return {.outcome = Outcome::miss};
    if (request.kind == Op::set) std::this_thread::sleep_for(write_takes_);
    return maps_.call(0, request);
  }

 private:
  Duration write_takes_;
  LocalMaps maps_{1};
  int reads_ = 0;
};

TEST(SessionApp, MayFindASessionUntilItsEndHasComeForCertain) {
  // It was written at some time within this half a second, so that it ends now, or half a second later.
  FindsNothingAtFirst broken(500ms);
  SessionApp app(broken, Balance::random, 1);
  app.send(on_session(Op::set, 500ms));
  app.send(on_session(Op::get));
  app.send(on_session(Op::get));
  EXPECT_EQ(app.counts().not_found, 0U);
  EXPECT_EQ(app.counts().stale, 0U);
  EXPECT_EQ(app.counts().existing, 1U);
  EXPECT_EQ(app.counts().found, 1U);
}

TEST(SessionApp, SeesAStoreThatNeverEndsASession) {
  Broken broken(Broken::Way::keeps_for_ever);
  SessionApp app(broken, Balance::random, 1);
  app.send(on_session(Op::set, 1ms));
  const TimePoint until = Clock::now() + 5s;
  while (app.counts().stale == 0 && Clock::now() < until) app.send(on_session(Op::get));
  EXPECT_EQ(app.counts().stale, 1U);
  EXPECT_GT(app.counts().stalest, 0ns);
}

TEST(LocalMaps, EndSessionsByTheirTtl) {
  LocalMaps maps(1);
  const auto call = [&maps](Op kind, std::chrono::milliseconds ttl = {}) {
    return maps.call(0, {.kind = kind, .key = "s", .value = "v", .ttl = ttl}).outcome;
  };
  const auto wait = [] {
    for (const TimePoint until = Clock::now() + 3ms; Clock::now() < until;) {
    }
  };
  EXPECT_EQ(call(Op::set, 2ms), Outcome::ok);
  wait();
  EXPECT_EQ(call(Op::get), Outcome::miss);
  EXPECT_EQ(call(Op::touch, 1h), Outcome::miss) << "it is gone";
  EXPECT_EQ(call(Op::set, 1h), Outcome::ok);
  EXPECT_EQ(call(Op::touch, 2ms), Outcome::ok);
  wait();
  EXPECT_EQ(call(Op::get), Outcome::miss);
  EXPECT_EQ(call(Op::set), Outcome::ok);
  wait();
  EXPECT_EQ(call(Op::get), Outcome::hit);
}

/// Instances with an L1 each that nothing is ever evicted from, over a store that tells the others of every change.
class UnlimitedL1 final : public Approach {
 public:
  [[nodiscard]] std::size_t instances() const override { return copies_.size(); }
  [[nodiscard]] Answer call(std::size_t instance, const Request& request) override {
    Answer answer = store_.call(0, request);
    auto& own = copies_[instance];
    if (request.kind == Op::get) {
      if (found(answer.outcome))
        answer.outcome = own.insert(request.key).second ? Outcome::hit_l2 : Outcome::hit_l1;
      return answer;
    }
    const bool had = own.contains(request.key);
    for (auto& copies : copies_) copies.erase(request.key);
    if (request.kind == Op::set || (request.kind == Op::touch && had)) own.insert(request.key);
    return answer;
  }

 private:
  LocalMaps store_{1};
  std::array<std::set<std::string>, 2> copies_;
};

TEST(SessionApp, KnowsWhatAnUnlimitedL1CouldAnswer) {
  UnlimitedL1 unlimited;
  const auto counts = run_over(unlimited, Balance::random);
  EXPECT_GT(counts.l1, 500U);
  EXPECT_GT(counts.l2, 500U);
  EXPECT_EQ(counts.could_be_l1, counts.l1);
}

TEST(SessionApp, ReadsBackWhatALostInstanceTookWithIt) {
  LocalMaps maps(2);
  SessionApp app(maps, Balance::affinity, 1);
  app.log_in(sessions());
  maps.lose(0);
  const auto read = app.read_back(1);
  EXPECT_EQ(read.acknowledged, 200U);
  EXPECT_GT(read.lost, 50U);
  EXPECT_LT(read.lost, 150U);
}

TEST(SessionApp, MakesEverySessionAsLargeAsItWillBe) {
  auto spec = sessions();
  spec.sizes = {{200, 0.5}, {400, 0.5}};
  LocalMaps maps(1);
  SessionApp app(maps, Balance::affinity, 1);
  app.log_in(spec);
  std::size_t large = 0;
  Request request;
  for (std::uint64_t number = 0; number < spec.keys; ++number) {
    write_key_name(spec.prefix, number, request.key);
    const auto bytes = maps.call(0, request).value.size();
    EXPECT_EQ(bytes, value_bytes_of(spec, number));
    if (bytes == 400) ++large;
  }
  EXPECT_GT(large, 50U);
  EXPECT_LT(large, 150U);
}

TEST(SessionApp, FindsEverySessionInARealRedis) {
  const auto redis = RedisServer::start();
  ASSERT_TRUE(redis.has_value()) << redis.error().detail;
  Remote remote(Protocol::resp, {redis->endpoint(), redis->endpoint()});
  const auto counts = run_over(remote, Balance::random);
  EXPECT_EQ(counts.found, counts.existing);
  EXPECT_EQ(counts.stale + counts.corrupt + counts.failed + counts.not_found, 0U);
  EXPECT_GT(counts.found_took.quantile(0.5), Duration::zero());
}

TEST(Caller, SaysThatAConnectionWasLostAndConnectsAnew) {
  auto redis = RedisServer::start();
  ASSERT_TRUE(redis.has_value()) << redis.error().detail;
  Caller caller(Protocol::resp, redis->endpoint());
  Request request;
  request.key = "k";
  EXPECT_EQ(caller.call(request).outcome, Outcome::miss);
  redis->kill();
  const auto lost = caller.call(request);
  EXPECT_EQ(lost.outcome, Outcome::error);
  EXPECT_EQ(caller.call(request).failure, Failure::not_sent);
  ASSERT_TRUE(redis->restart().has_value());
  EXPECT_EQ(caller.call(request).outcome, Outcome::miss);
}

TEST(Caller, GivesUpOnAServerThatStalls) {
  const auto redis = RedisServer::start();
  ASSERT_TRUE(redis.has_value()) << redis.error().detail;
  Caller caller(Protocol::resp, redis->endpoint(), std::chrono::milliseconds(50));
  ASSERT_TRUE(redis->stall().has_value());
  Request request;
  request.key = "k";
  EXPECT_EQ(caller.call(request).failure, Failure::timeout);
  ASSERT_TRUE(redis->resume().has_value());
}

TEST(ServerStats, RefusesAPageThatIsNotAsAgreed) {
  for (const auto* page : {"", "[]", "{}", "{\"l1\": 7}", "{\"l1\": {\"hits\": \"x\"}}"}) {
    const auto read = parse_stats(page);
    ASSERT_FALSE(read.has_value()) << page;
    EXPECT_EQ(read.error().code, Errc::protocol);
  }
  const auto bad = parse_stats(
      R"({"l1":{"hits":1,"misses":0,"entries":0,"bytes":0,"precompressed":0},"l2":{"hits":0,"misses":0,"confirmations":0,"invalidations":0,"large_in_line":0},"resident_bytes":1,)"
      R"("doors":{"resp":{"l1_latency":{"histogram":"nonsense"}}}})");
  ASSERT_FALSE(bad.has_value());
  EXPECT_THAT(bad.error().detail, HasSubstr("histogram"));
}

TEST(HttpGet, SaysWhatAnsweredInsteadOfAPage) {
  const auto redis = RedisServer::start();
  ASSERT_TRUE(redis.has_value()) << redis.error().detail;
  EXPECT_FALSE(http_get(redis->endpoint(), "/stats").has_value());
}

}  // namespace
}  // namespace nearlane::harness
