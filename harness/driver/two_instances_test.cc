// Two servers over one redis-server, through both doors, as an application sees them. What they do under load is
// judged by harness/check/checker_live_test.cc.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/driver/generator.h"
#include "harness/topology/eventually.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"
#include "harness/workload/document.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 20s;

struct Answer {
  Outcome outcome = Outcome::error;
  Failure failure = Failure::none;
  std::string value;
};

class One final : public RequestSource {
 public:
  explicit One(Request request) : request_(std::move(request)) {}
  bool next(Request& into) override {
    into = request_;
    return true;
  }

 private:
  Request request_;
};

/// One request on a connection of its own.
Answer ask(Protocol door, const Instance& instance, Op op, const std::string& key,
           const std::string& value = {}, std::chrono::milliseconds ttl = 0ms) {
  Request request;
  request.kind = op;
  request.key = key;
  request.value = value;
  request.ttl = ttl;
  One source(std::move(request));
  GeneratorOptions options;
  options.protocol = door;
  options.targets = {door == Protocol::resp ? instance.resp() : instance.http()};
  Answer answer;
  RunOptions run{.open_loop = false, .max_operations = 1};
  run.check = [&](const Completion& done) {
    answer = {.outcome = done.outcome, .failure = done.failure, .value = std::string(done.value)};
    return true;
  };
  auto report = generate(source, options, run);
  if (!report) answer.value = report.error().detail;
  return answer;
}

bool is_hit(Outcome outcome) {
  return outcome == Outcome::hit || outcome == Outcome::hit_l1 || outcome == Outcome::hit_l2;
}

class TwoInstances : public ::testing::Test {
 protected:
  void SetUp() override {
    auto redis = RedisServer::start();
    ASSERT_TRUE(redis) << redis.error().detail;
    redis_.emplace(std::move(*redis));
    a_ = start("a");
    b_ = start("b");
  }

  std::optional<Instance> start(const std::string& name) {
    auto instance =
        Instance::start({.name = name, .l2 = redis_->url(), .flags = {"--threads", "1"}});
    EXPECT_TRUE(instance) << instance.error().detail;
    if (!instance) return std::nullopt;
    return std::move(*instance);
  }

  [[nodiscard]] bool up() const { return a_ && b_; }

  std::optional<RedisServer> redis_;
  std::optional<Instance> a_;
  std::optional<Instance> b_;
};

TEST_F(TwoInstances, ReadsWhatTheOtherWroteWhicheverTheDoor) {
  ASSERT_TRUE(up());
  const std::string bytes("a\0b\r\n\xff", 6);
  EXPECT_EQ(ask(Protocol::resp, *a_, Op::set, "r", bytes).outcome, Outcome::ok);
  EXPECT_EQ(ask(Protocol::http, *a_, Op::get, "r").value, bytes);
  EXPECT_EQ(ask(Protocol::http, *b_, Op::get, "r").value, bytes);
  EXPECT_EQ(ask(Protocol::http, *b_, Op::set, "h / %", bytes, 60s).outcome, Outcome::ok);
  EXPECT_EQ(ask(Protocol::resp, *b_, Op::get, "h / %").value, bytes);
  EXPECT_EQ(ask(Protocol::resp, *a_, Op::get, "h / %").value, bytes);
  EXPECT_EQ(redis_->client().command({"GET", "h / %"})->text, bytes) << "raw in L2";
  EXPECT_GT(redis_->client().command({"PTTL", "h / %"})->integer, 1000);
  EXPECT_EQ(ask(Protocol::resp, *a_, Op::get, "none").outcome, Outcome::miss);
  EXPECT_EQ(ask(Protocol::http, *b_, Op::get, "none").outcome, Outcome::miss);
}

TEST_F(TwoInstances, ServesALaterReadFromL1) {
  ASSERT_TRUE(up());
  ASSERT_EQ(ask(Protocol::resp, *a_, Op::set, "k", "v").outcome, Outcome::ok);
  ASSERT_TRUE(is_hit(ask(Protocol::http, *b_, Op::get, "k").outcome));
  EXPECT_TRUE(
      eventually([&] { return ask(Protocol::http, *b_, Op::get, "k").outcome == Outcome::hit_l1; },
                 kPatience));
}

TEST_F(TwoInstances, NeverServesAgainWhatWasErasedOrOverwrittenAnywhere) {
  ASSERT_TRUE(up());
  auto direct = redis_->client();
  for (const auto door : {Protocol::resp, Protocol::http}) {
    const std::string key = door == Protocol::resp ? "resp" : "http";
    ASSERT_EQ(ask(door, *a_, Op::set, key, "1").outcome, Outcome::ok);
    ASSERT_EQ(ask(door, *b_, Op::get, key).value, "1");  // now B may have it in L1
    ASSERT_EQ(ask(door, *a_, Op::set, key, "2").outcome, Outcome::ok);
    EXPECT_EQ(ask(door, *a_, Op::get, key).value, "2") << "at once through the writer";
    EXPECT_TRUE(eventually([&] { return ask(door, *b_, Op::get, key).value == "2"; }));
    ASSERT_TRUE(direct.command({"SET", key, "3"}));
    EXPECT_TRUE(eventually([&] { return ask(door, *a_, Op::get, key).value == "3"; }));
    EXPECT_TRUE(eventually([&] { return ask(door, *b_, Op::get, key).value == "3"; }));
    EXPECT_EQ(ask(door, *b_, Op::erase, key).outcome, Outcome::ok);
    EXPECT_EQ(ask(door, *b_, Op::get, key).outcome, Outcome::miss);
    EXPECT_TRUE(eventually([&] { return ask(door, *a_, Op::get, key).outcome == Outcome::miss; }));
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ(ask(door, *a_, Op::get, key).outcome, Outcome::miss) << "it must stay away";
    }
  }
}

TEST_F(TwoInstances, TouchKeepsAKeyThatWouldHaveExpired) {
  ASSERT_TRUE(up());
  for (const auto door : {Protocol::resp, Protocol::http}) {
    const std::string kept = door == Protocol::resp ? "kept:resp" : "kept:http";
    const std::string left = door == Protocol::resp ? "left:resp" : "left:http";
    ASSERT_EQ(ask(door, *a_, Op::set, kept, "v", 2s).outcome, Outcome::ok);
    ASSERT_EQ(ask(door, *a_, Op::touch, kept, "", 60s).outcome, Outcome::ok);
    ASSERT_EQ(ask(door, *a_, Op::touch, "absent", "", 60s).outcome, Outcome::miss);
    ASSERT_EQ(ask(door, *a_, Op::set, left, "v", 2s).outcome, Outcome::ok);
    EXPECT_TRUE(eventually([&] { return ask(door, *b_, Op::get, left).outcome == Outcome::miss; }));
    EXPECT_EQ(redis_->client().command({"EXISTS", left})->integer, 0) << "not before L2's own end";
    EXPECT_TRUE(eventually([&] { return ask(door, *a_, Op::get, left).outcome == Outcome::miss; }));
    EXPECT_EQ(ask(door, *a_, Op::get, kept).value, "v");
    EXPECT_EQ(ask(door, *b_, Op::get, kept).value, "v");
  }
}

/// A document of 3.5 KB a key, without end.
class Sessions final : public RequestSource {
 public:
  bool next(Request& into) override {
    into.kind = Op::set;
    into.key = "session:" + std::to_string(made_++);
    write_document(into.key, 1, 3500, into.value);
    return true;
  }

 private:
  std::uint64_t made_ = 0;
};

class GetAll final : public RequestSource {
 public:
  explicit GetAll(const std::vector<std::string>& keys) : keys_(keys) {}
  bool next(Request& into) override {
    if (made_ == keys_.size()) return false;
    into.kind = Op::get;
    into.key = keys_[made_++];
    return true;
  }

 private:
  const std::vector<std::string>& keys_;
  std::size_t made_ = 0;
};

TEST_F(TwoInstances, KeepsEveryAcknowledgedWriteWhenOneIsKilled) {
  ASSERT_TRUE(up());
  std::vector<std::string> acknowledged;
  Sessions writes;
  GeneratorOptions options;
  options.targets = {a_->resp()};
  options.connections = 8;
  options.max_reconnects = 0;
  options.timeout = 500ms;
  std::atomic<bool> stop{false};
  RunOptions run{.open_loop = false, .duration = 60s};
  run.stop = &stop;
  run.check = [&](const Completion& done) {
    if (done.outcome == Outcome::ok) acknowledged.emplace_back(done.key);
    if (acknowledged.size() == 2000) a_->kill();  // in the middle of the others' requests
    if (done.failure != Failure::none) stop = true;
    return true;
  };
  auto report = generate(writes, options, run);
  ASSERT_TRUE(report) << report.error().detail;
  ASSERT_GE(acknowledged.size(), 2000U) << report->failure_texts.front();

  GetAll reads(acknowledged);
  options.targets = {b_->resp()};
  options.timeout = 5s;
  RunOptions back{.open_loop = false, .duration = 60s};
  back.check = [](const Completion& done) {
    return is_hit(done.outcome) && verify_document(done.key, done.value).has_value();
  };
  auto read = generate(reads, options, back);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->answered, acknowledged.size());
  EXPECT_EQ(read->failed, 0U) << (read->failure_texts.empty() ? "" : read->failure_texts.front());
}

TEST_F(TwoInstances, AnswersAnErrorWhileL2IsDownAndRecovers) {
  ASSERT_TRUE(up());
  ASSERT_EQ(ask(Protocol::resp, *a_, Op::set, "k", "v").outcome, Outcome::ok);
  redis_->kill();
  const auto begun = Clock::now();
  EXPECT_EQ(ask(Protocol::resp, *a_, Op::set, "k", "w").failure, Failure::server_error);
  EXPECT_EQ(ask(Protocol::http, *b_, Op::set, "k", "w").failure, Failure::server_error);
  EXPECT_EQ(ask(Protocol::http, *b_, Op::get, "never read").failure, Failure::server_error);
  EXPECT_LT(Clock::now() - begun, 5s);
  EXPECT_TRUE(a_->child().running());
  EXPECT_TRUE(b_->child().running());
  ASSERT_TRUE(redis_->restart());
  for (const auto* instance : {&*a_, &*b_}) {
    EXPECT_TRUE(eventually(
        [&] { return ask(Protocol::resp, *instance, Op::set, "k", "x").outcome == Outcome::ok; }));
  }
}

TEST_F(TwoInstances, DrainsOnSigterm) {
  ASSERT_TRUE(up());
  ASSERT_EQ(ask(Protocol::resp, *a_, Op::set, "k", "v").outcome, Outcome::ok);
  auto status = a_->drain();
  ASSERT_TRUE(status) << status.error().detail;
  EXPECT_EQ(*status, (ExitStatus{.signalled = false, .code = 0})) << a_->child().last_output();
  EXPECT_EQ(ask(Protocol::resp, *b_, Op::get, "k").value, "v");
  ASSERT_TRUE(a_->restart());
  EXPECT_EQ(ask(Protocol::http, *a_, Op::get, "k").value, "v");
}

}  // namespace
}  // namespace nearlane::harness
