// Writes that depend on the value: WATCH, GET, MULTI, and what comes between.
#include "core/cohere/lane_fixture.h"

namespace nearlane::cohere {
namespace {

/// SET k new, if k is "old"; outside the lanes.
class ComparingLane : public LaneTest {
 protected:
  ComparingLane() : LaneTest({.tracked = false}) {
    lane.connect();
    lane.connected(now);
    lane.received(kHello, now);
    lane.received(kMaster, now);
    (void)sent();
    EXPECT_EQ(lane.state(), Lane::State::ready);
  }
  void compare(const std::string& label, const std::string& key = "k") {
    submit(label, {.op = Op::compare,
                   .key = Key(0, key),
                   .args = {"SET", key},
                   .value = Entry::build(KeyRef(0, key), "new", TimePoint{}, 0),
                   .holds = [](std::optional<std::string_view> value) { return value == "old"; }});
  }
};

TEST_F(ComparingLane, WritesWhatHoldsUnderWatch) {
  compare("c");
  EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), (Words{"MULTI", "SET k new", "EXEC"}));
  EXPECT_FALSE(journal.answers.contains("c"));
  lane.received("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", now);
  EXPECT_TRUE(journal.answers["c"].held);
  EXPECT_EQ(journal.answers["c"].existed, true);
  EXPECT_EQ(journal.answers["c"].reply, protocol::Reply::ok());
  EXPECT_EQ(sent(), Words{});
}

TEST_F(ComparingLane, WritesNothingWhereItDoesNotHold) {
  for (const char* there : {"$5\r\nother\r\n", "$-1\r\n", "_\r\n"}) {
    compare("c");
    (void)sent();
    lane.received("+OK\r\n", now);
    lane.received(there, now);
    EXPECT_EQ(sent(), Words{"UNWATCH"});
    EXPECT_FALSE(journal.answers["c"].held);
    EXPECT_FALSE(journal.answers["c"].error);
    lane.received("+OK\r\n", now);
  }
}

TEST_F(ComparingLane, LooksAgainWhereSomebodyElseHasWritten) {
  for (const char* aborted : {"*-1\r\n", "_\r\n"}) {
    compare("c");
    lane.received("+OK\r\n$3\r\nold\r\n+OK\r\n+QUEUED\r\n", now);
    (void)sent();
    lane.received(aborted, now);
    EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
    EXPECT_FALSE(journal.answers.contains("c"));
    lane.received("+OK\r\n$5\r\nother\r\n+OK\r\n", now);
    EXPECT_EQ(sent(), Words{"UNWATCH"});
    EXPECT_FALSE(journal.answers["c"].held);
    journal.answers.clear();
  }
}

TEST_F(ComparingLane, GivesUpWhereTheKeyNeverRests) {
  compare("c");
  int looks = 0;
  while (!journal.answers.contains("c") && looks < 100) {
    lane.received("+OK\r\n$3\r\nold\r\n+OK\r\n+QUEUED\r\n_\r\n", now);
    ++looks;
  }
  EXPECT_EQ(looks, 16);
  EXPECT_EQ(journal.answers["c"].error->code, Errc::busy);
  (void)sent();
  fetch("r", "k");
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k"}));
}

TEST_F(ComparingLane, NothingFollowsBeforeAComparisonIsOver) {
  compare("c");
  compare("d", "l");
  fetch("r", "k");
  EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), (Words{"MULTI", "SET k new", "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", now);
  EXPECT_EQ(sent(), (Words{"WATCH l", "GET l"}));
  lane.received("+OK\r\n_\r\n", now);
  EXPECT_EQ(sent(), (Words{"UNWATCH", "GET k", "PTTL k"}));
}

TEST_F(ComparingLane, AnErrorIsTheAnswerAndNothingIsWritten) {
  for (const char* replies :
       {"+OK\r\n-WRONGTYPE Operation against\r\n", "-NOPERM no watch\r\n$3\r\nold\r\n"}) {
    compare("c");
    (void)sent();
    lane.received(replies, now);
    EXPECT_EQ(sent(), Words{"UNWATCH"});
    EXPECT_TRUE(journal.answers["c"].reply.is_error());
    lane.received("+OK\r\n", now);
  }
  compare("c");
  (void)sent();
  lane.received("+OK\r\n$3\r\nold\r\n+OK\r\n-OOM no room\r\n-EXECABORT because\r\n", now);
  EXPECT_EQ(journal.answers["c"].reply.text, "OOM no room");
}

TEST_F(ComparingLane, WhoeverHasGoneWritesNothing) {
  compare("c");
  (void)sent();
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(journal.answers["c"].error->code, Errc::timeout);
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), Words{"UNWATCH"});
  compare("d");
  EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
}

TEST_F(ComparingLane, ALostConnectionLeavesTheOutcomeUnknown) {
  compare("c");
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  lane.closed({Errc::connection_lost, "gone"}, now);
  EXPECT_EQ(journal.answers["c"].error->code, Errc::connection_lost);
  lane.connect();
  lane.connected(now);
  (void)sent();
  lane.received(kHello, now);
  lane.received(kMaster, now);
  (void)sent();
  fetch("r", "k");
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k"})) << "it is not held up by what is over";
}

}  // namespace
}  // namespace nearlane::cohere
