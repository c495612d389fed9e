// A lane to one primary of a Redis Cluster.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cohere/lane_fixture.h"

namespace nearlane::cohere {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Whoever takes back what was not executed.
struct Redirected {
  std::vector<std::string> replies;
  std::vector<std::unique_ptr<Call>> calls;

  LaneConfig config() {
    LaneConfig config;
    config.redirect = [this](std::unique_ptr<Call> call, std::string_view reply) {
      calls.push_back(std::move(call));
      replies.emplace_back(reply);
    };
    return config;
  }
};

class ClusterLane : public Redirected, public LaneTest {
 protected:
  ClusterLane() : LaneTest(config()) {}
  explicit ClusterLane(const LaneConfig& config) : LaneTest(config) {}
  void SetUp() override { make_ready(); }
};

TEST_F(ClusterLane, HandsBackAReadOfASlotThatHasGoneAndVouchesForNothingThatWasRead) {
  const Epoch before = view.epoch();
  fetch("a", "k");
  lane.received("+OK\r\n-MOVED 7629 127.0.0.1:7001\r\n-MOVED 7629 127.0.0.1:7001\r\n", now);
  EXPECT_THAT(replies, ElementsAre("MOVED 7629 127.0.0.1:7001"));
  EXPECT_THAT(journal.events, IsEmpty()) << "neither settled nor completed";
  EXPECT_EQ(view.epoch(), before + 1) << "once, for both replies";
  EXPECT_FALSE(lane.broken()) << "it still has its other slots";
  EXPECT_GT(view.lease_until(), now) << "and vouches for what is read from now on";
}

TEST_F(ClusterLane, HandsBackAWriteWhoseTransactionWasRefused) {
  submit("a", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v"}});
  lane.received(
      "+OK\r\n+OK\r\n-MOVED 7629 127.0.0.1:7001\r\n-MOVED 7629 127.0.0.1:7001\r\n"
      "-EXECABORT Transaction discarded because of previous errors.\r\n",
      now);
  EXPECT_THAT(replies, ElementsAre("MOVED 7629 127.0.0.1:7001"));
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0]->command.args, (Words{"SET", "k", "v"}));
}

TEST_F(ClusterLane, KeepsItsEpochWhereOneKeyIsOnItsWay) {
  const Epoch before = view.epoch();
  fetch("a", "k");
  lane.received("+OK\r\n-ASK 7629 127.0.0.1:7001\r\n-ASK 7629 127.0.0.1:7001\r\n", now);
  EXPECT_THAT(replies, ElementsAre("ASK 7629 127.0.0.1:7001"));
  EXPECT_EQ(view.epoch(), before);
}

TEST_F(ClusterLane, HandsBackWhatIsToBeTriedAgain) {
  submit("a", {.op = Op::raw, .key = Key(0, "k"), .args = {"MGET", "k", "{k}2"}, .wide = true});
  lane.received("-TRYAGAIN Multiple keys request during rehashing of slot\r\n", now);
  EXPECT_THAT(replies, ElementsAre("TRYAGAIN Multiple keys request during rehashing of slot"));
}

TEST_F(ClusterLane, AnswersThatTheClusterIsDownAndStays) {
  const Epoch before = view.epoch();
  submit("a", {.op = Op::raw, .key = Key(0, "k"), .args = {"STRLEN", "k"}});
  lane.received("-CLUSTERDOWN The cluster is down\r\n", now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "CLUSTERDOWN The cluster is down");
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_EQ(view.epoch(), before + 1);
  EXPECT_FALSE(lane.broken());
}

TEST_F(ClusterLane, OtherErrorsAreAnswers) {
  submit("a", {.op = Op::raw, .key = Key(0, "k"), .args = {"STRLEN", "k"}});
  lane.received("-WRONGTYPE MOVED 1 a:1\r\n", now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "WRONGTYPE MOVED 1 a:1");
}

TEST_F(ClusterLane, NeverVouchesForThereBeingNoSuchKey) {
  fetch("nil", "k");
  fetch("value", "l");
  lane.received("+OK\r\n_\r\n:-2\r\n+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers.at("nil").epoch, kNoEpoch);
  EXPECT_EQ(journal.answers.at("value").epoch, view.epoch());
}

TEST_F(ClusterLane, DisownsWhatWasReadAndVouchesForWhatIsReadNow) {
  fetch("a", "k");
  now += milliseconds(1);
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  const Epoch before = view.epoch();
  lane.disown();
  EXPECT_EQ(view.epoch(), before + 1);
  EXPECT_GT(view.lease_until(), now);
}

LaneConfig asking(LaneConfig config) {
  config.asking = true;
  config.tracked = false;
  return config;
}

class AskingLane : public ClusterLane {
 protected:
  AskingLane() : ClusterLane(asking(config())) {}
  void SetUp() override {
    lane.connect();
    lane.connected(now);
    lane.received(std::string(kHello) + std::string(kMaster), now);
    (void)sent();
    ASSERT_TRUE(lane.ready());
  }
};

TEST_F(AskingLane, AsksBeforeEachCommandAndEachTransactionAndVouchesForNothing) {
  fetch("read", "k");
  EXPECT_EQ(sent(), (Words{"ASKING", "MULTI", "GET k", "PTTL k", "EXEC"}));
  submit("write", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v"}});
  EXPECT_EQ(sent(), (Words{"ASKING", "MULTI", "SET k v", "PTTL k", "EXEC"}));
  submit("raw", {.op = Op::raw, .key = Key(0, "k"), .args = {"APPEND", "k", "w"}});
  EXPECT_EQ(sent(), (Words{"ASKING", "APPEND k w"}));
  lane.received(
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nv\r\n:-1\r\n"
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:-1\r\n"
      "+OK\r\n:2\r\n",
      now);
  EXPECT_EQ(journal.answers.at("read").reply.text, "v");
  EXPECT_EQ(journal.answers.at("read").epoch, kNoEpoch);
  EXPECT_TRUE(journal.answers.at("write").reply.is_ok());
  EXPECT_EQ(journal.answers.at("write").epoch, kNoEpoch);
  EXPECT_EQ(journal.answers.at("raw").reply.integer, 2);
}

TEST_F(AskingLane, ComparesWhereTheKeyIsOnItsWay) {
  submit("a", {.op = Op::compare,
               .key = Key(0, "k"),
               .args = {"DEL", "k"},
               .holds = [](std::optional<std::string_view> value) { return value == "v"; }});
  EXPECT_EQ(sent(), (Words{"ASKING", "WATCH k", "ASKING", "GET k"}));
  lane.received("+OK\r\n+OK\r\n+OK\r\n$1\r\nv\r\n", now);
  EXPECT_EQ(sent(), (Words{"ASKING", "MULTI", "DEL k", "EXEC"}));
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n", now);
  EXPECT_TRUE(journal.answers.at("a").held);
  EXPECT_EQ(journal.answers.at("a").reply.integer, 1);
}

}  // namespace
}  // namespace nearlane::cohere
