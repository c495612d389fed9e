#include "harness/driver/load.h"

#include <charconv>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/driver/workload_source.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Load : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis_.emplace(std::move(*started));
  }

  [[nodiscard]] LoadSpec spec() const {
    LoadSpec spec;
    spec.target = "resp://" + redis_->endpoint().to_string();
    spec.connections = 8;
    spec.keys = 500;
    spec.value_bytes = 256;
    spec.warmup = 100ms;
    spec.duration = 1s;
    return spec;
  }

  [[nodiscard]] GeneratorOptions generator() const {
    GeneratorOptions options;
    options.targets = {redis_->endpoint()};
    return options;
  }

  std::optional<RedisServer> redis_;
};

std::uint64_t failures(const RunReport& run, Failure failure) {
  return run.failures[static_cast<std::size_t>(failure)];
}

/// Requests at a constant rate: `make` fills each.
class Even final : public RequestSource {
 public:
  Even(double rate, std::function<void(std::uint64_t, Request&)> make)
      : gap_(static_cast<std::int64_t>(1e9 / rate)), make_(std::move(make)) {}
  bool next(Request& into) override {
    into.at = gap_ * made_;
    make_(made_++, into);
    return true;
  }

 private:
  Duration gap_;
  std::function<void(std::uint64_t, Request&)> make_;
  std::uint64_t made_ = 0;
};

TEST_F(Load, ClosedLoopIsOfTheOrderOfRedisBenchmark) {
  auto asked = spec();
  asked.mix = {1, 0, 0, 0};
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  const auto& run = report->run;
  EXPECT_EQ(run.failed, 0U) << to_text(*report);
  EXPECT_FALSE(run.open_loop);
  EXPECT_DOUBLE_EQ(run.hit_rate(), 1.0) << "every key was set before";

  auto other =
      Child::start({.name = "redis-benchmark",
                    .argv = {"redis-benchmark", "-p", std::to_string(redis_->endpoint().port), "-c",
                             "8", "-n", "50000", "-d", "256", "-t", "get", "--csv"}});
  ASSERT_TRUE(other) << other.error().detail;
  auto line = other->wait_line("\"GET\",\"", 60s);
  ASSERT_TRUE(line) << line.error().detail;
  const double theirs = std::stod(line->substr(line->find(",\"") + 2));
  // Two cores that others use too: only the order of magnitude can be asserted.
  EXPECT_GT(run.achieved_rate, theirs / 6) << to_text(*report);
  EXPECT_LT(run.achieved_rate, theirs * 6) << to_text(*report);
}

TEST_F(Load, OpenLoopKeepsALowRateExactly) {
  auto asked = spec();
  asked.rate = 500;
  asked.poisson = false;
  asked.warmup = 200ms;
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  const auto& run = report->run;
  EXPECT_NEAR(run.achieved_rate, 500, 5) << to_text(*report);
  EXPECT_NEAR(static_cast<double>(run.scheduled), 500, 1);
  EXPECT_EQ(run.answered, run.scheduled);
  EXPECT_GT(run.service_time.quantile(0.5), 1us);
  EXPECT_GE(run.response_time.quantile(0.5), run.service_time.quantile(0.5));
  EXPECT_GT(run.bytes_in, run.answered * 200);
  EXPECT_GT(run.generator_user + run.generator_system, 0us);
  EXPECT_THAT(to_text(*report), HasSubstr("response_time"));
}

TEST_F(Load, SetsTouchesAndErasesToo) {
  auto asked = spec();
  asked.mix = {0.4, 0.3, 0.2, 0.1};
  asked.ttl = 30s;
  asked.connections = 2;
  asked.pipeline = 8;
  asked.duration = 300ms;
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  const auto& run = report->run;
  EXPECT_EQ(run.failed, 0U) << to_text(*report);
  for (const auto op : {Op::set, Op::touch, Op::erase}) {
    EXPECT_GT(run.count(op, Outcome::ok), 0U) << to_string(op);
  }
  EXPECT_GT(run.count(Op::get, Outcome::miss), 0U) << "some keys are erased";
  auto ttl = redis_->client().command(
      {"EVAL", "local k=redis.call('RANDOMKEY'); return redis.call('PTTL',k)", "0"});
  ASSERT_TRUE(ttl);
  EXPECT_GT(ttl->integer, 0);
}

TEST_F(Load, SendsWholeBurstsWhereAskedTo) {
  auto options = generator();
  options.connections = 4;
  options.pipeline = 16;
  options.in_bursts = true;
  // So large that a burst's replies come piece by piece.
  ASSERT_TRUE(redis_->client().command({"SET", "large", std::string(30'000, 'v')}));
  std::map<std::pair<std::uint32_t, Duration>, int> sent;
  RunOptions run{.open_loop = false, .duration = 5s, .max_operations = 4ULL * 16 * 10};
  run.check = [&](const Completion& done) { return ++sent[{done.connection, done.sent}] <= 16; };
  Even source(1, [](std::uint64_t, Request& into) { into.key = "large"; });
  const auto report = generate(source, options, run);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->failed, 0U);
  EXPECT_EQ(sent.size(), 4U * 10) << "each send was of sixteen";

  run.open_loop = true;
  EXPECT_EQ(generate(source, options, run).error().code, Errc::invalid_argument);
}

TEST_F(Load, AStallCountsForEveryRequestThatWasDueInIt) {
  constexpr double kRate = 2000;
  auto options = generator();
  options.connections = 4;
  std::vector<Duration> response;
  std::vector<Duration> service;
  RunOptions run{.duration = 1200ms};
  run.check = [&](const Completion& done) {
    response.push_back(done.done - done.intended);
    service.push_back(done.done - done.sent);
    return true;
  };
  std::atomic<std::uint64_t> made{0};
  Even source(kRate, [&](std::uint64_t number, Request& into) {
    into.key.assign(1, 'k');
    made = number;
  });
  std::thread fault([&] {
    while (made < static_cast<std::uint64_t>(kRate) / 2) std::this_thread::yield();
    EXPECT_TRUE(redis_->stall());
    const auto until = Clock::now() + 200ms;
    std::this_thread::sleep_until(until);
    EXPECT_TRUE(redis_->resume());
  });
  auto report = generate(source, options, run);
  fault.join();
  ASSERT_TRUE(report) << report.error().detail;
  ASSERT_EQ(report->failed, 0U);
  const auto slow = [](const std::vector<Duration>& times) {
    return std::count_if(times.begin(), times.end(), [](Duration time) { return time > 100ms; });
  };
  EXPECT_GE(static_cast<double>(slow(response)), kRate * 0.1 * 0.95);
  EXPECT_LE(slow(service), 4) << "the send times would have hidden it: one a connection";
  EXPECT_GT(report->connection_wait.quantile(0.99), 50ms);
  EXPECT_LT(report->send_lag.quantile(0.5), 50ms) << "the wait was not the generator's";
}

TEST_F(Load, ComesBackAfterAServerThatWasKilled) {
  auto options = generator();
  options.connections = 4;
  options.timeout = 1s;
  Even source(1000, [](std::uint64_t, Request& into) { into.key.assign(1, 'k'); });
  std::atomic<std::uint64_t> answered{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> restarted{false};
  RunOptions run{.duration = 60s};
  run.stop = &stop;
  std::uint64_t after = 0;
  run.check = [&](const Completion& done) {
    if (done.failure == Failure::none) ++answered;
    if (restarted && done.failure == Failure::none && ++after == 200) stop = true;
    return true;
  };
  std::thread fault([&] {
    while (answered < 100) std::this_thread::yield();
    redis_->kill();
    EXPECT_TRUE(redis_->restart());
    restarted = true;
  });
  auto report = generate(source, options, run);
  fault.join();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_GE(after, 200U);
  EXPECT_GE(report->reconnects, 4U);
  EXPECT_LT(report->elapsed, 50s);
  EXPECT_EQ(report->failed,
            failures(*report, Failure::lost) + failures(*report, Failure::not_sent));
}

TEST_F(Load, EndsInTimeWhenNothingIsAnswered) {
  auto options = generator();
  options.connections = 2;
  options.timeout = 100ms;
  options.max_waiting = 50;
  ASSERT_TRUE(redis_->client().command({"PING"}));
  ASSERT_TRUE(redis_->stall());
  Even source(2000, [](std::uint64_t, Request& into) { into.key.assign(1, 'k'); });
  const auto begun = Clock::now();
  auto report = generate(source, options, {.duration = 300ms});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_LT(Clock::now() - begun, 5s);
  EXPECT_FALSE(report->valid());
  EXPECT_EQ(report->answered, 0U);
  EXPECT_GE(failures(*report, Failure::timeout), 2U);
  EXPECT_GT(failures(*report, Failure::not_sent), 100U) << "the queue has a cap";
  EXPECT_EQ(report->failed, report->scheduled) << "every request ends once";
}

TEST_F(Load, KeepsTheOrderOfANamedConnection) {
  auto options = generator();
  options.connections = 4;
  options.pipeline = 16;
  // A set of a fresh key, and right behind it the get: they only meet in order if they share a connection.
  Even source(1e9, [](std::uint64_t number, Request& into) {
    into.kind = number % 2 == 0 ? Op::set : Op::get;
    into.key = "order:" + std::to_string(number / 2);
    into.value = into.key;
    into.connection = static_cast<std::uint32_t>(number / 2);
  });
  RunOptions run{.open_loop = false, .max_operations = 20'000};
  run.check = [](const Completion& done) { return done.kind == Op::set || done.value == done.key; };
  auto report = generate(source, options, run);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->count(Op::get, Outcome::hit), 10'000U);
  EXPECT_EQ(report->failed, 0U);
}

TEST_F(Load, FindsAValueThatIsNotOfItsKey) {
  auto asked = spec();
  asked.keys = 1;
  asked.mix = {1, 0, 0, 0};
  asked.fill = false;
  asked.duration = 200ms;
  std::string name;
  write_key_name(asked.prefix, 0, name);
  ASSERT_TRUE(redis_->client().command({"SET", name, "somebody else's"}));
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_GT(report->run.answered, 0U);
  EXPECT_EQ(failures(report->run, Failure::wrong_value), report->run.answered);
  EXPECT_THAT(to_text(*report), HasSubstr("wrong_value"));
}

TEST_F(Load, CountsErrorRepliesAndKeepsTheirText) {
  auto asked = spec();
  asked.keys = 1;
  asked.mix = {1, 0, 0, 0};
  asked.fill = false;
  asked.duration = 200ms;
  std::string name;
  write_key_name(asked.prefix, 0, name);
  ASSERT_TRUE(redis_->client().command({"LPUSH", name, "x"}));
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(failures(report->run, Failure::server_error), report->run.answered);
  EXPECT_THAT(report->run.failure_texts.front(), HasSubstr("WRONGTYPE"));
}

TEST_F(Load, ReadsLargeValuesWhole) {
  auto asked = spec();
  asked.keys = 4;
  asked.value_bytes = 2 << 20;
  asked.mix = {0.5, 0.5, 0, 0};
  asked.connections = 2;
  asked.duration = 500ms;
  auto report = run_load(asked);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->run.failed, 0U) << to_text(*report);
  EXPECT_GT(report->run.count(Op::get, Outcome::hit), 0U);
}

TEST_F(Load, RefusesWhatItCannotDo) {
  const auto refused = [&](auto change) {
    auto asked = spec();
    change(asked);
    auto report = run_load(asked);
    EXPECT_FALSE(report);
    return report ? Errc::protocol : report.error().code;
  };
  const auto bad = Errc::invalid_argument;
  EXPECT_EQ(refused([](auto& s) { s.target = "ftp://x:1"; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.target = "resp://x"; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.target = "resp://not-a-number:1"; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.connections = 0; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.pipeline = 5000; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.mix = {0.5, 0.1, 0, 0}; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.value_bytes = 1; }), bad);
  EXPECT_EQ(refused([](auto& s) { s.keys = 0; }), bad);
  redis_->kill();
  EXPECT_EQ(refused([](auto&) {}), Errc::unavailable);
}

}  // namespace
}  // namespace nearlane::harness
