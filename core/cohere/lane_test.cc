// The lane over plain bytes: what it writes, what it makes of what it reads, and what it does when
// time passes or the connection ends. A real Redis is met in core/tier/tiered_cache_live_test.cc.
#include "core/cohere/lane.h"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/protocol/command_parser.h"

namespace nearlane::cohere {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr std::string_view kMaster =
    "=51\r\ntxt:# Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n";
constexpr std::string_view kHello = "%1\r\n+server\r\n+redis\r\n";
constexpr std::string_view kHandshake =
    "%1\r\n+server\r\n+redis\r\n+OK\r\n+OK\r\n=51\r\ntxt:# "
    "Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n";

/// Records in which order a lane settled calls and announced invalidations.
struct Journal final : Listener {
  void invalidate(std::string_view name) noexcept override {
    events.push_back("invalidate " + std::string(name));
  }
  void hinted(std::string_view hint) noexcept override {
    events.push_back("hinted " + std::string(hint));
  }
  std::vector<std::string> events;
  std::map<std::string, Answer> answers;
};

class Recorded final : public Call {
 public:
  Recorded(Journal& journal, std::string label, Command what)
      : Call(std::move(what)), journal_(journal), label_(std::move(label)) {}
  void settle(const Answer&) noexcept override { journal_.events.push_back("settle " + label_); }
  void complete(Answer answer) noexcept override { journal_.answers[label_] = std::move(answer); }

 private:
  Journal& journal_;
  std::string label_;
};

class LaneTest : public testing::Test {
 protected:
  explicit LaneTest(const LaneConfig& config = {}) : lane(config, view, journal) {}

  void make_ready() {
    lane.connect();
    lane.connected(now);
    (void)sent();
    lane.received(kHandshake, now);
    (void)sent();
    ASSERT_EQ(lane.state(), Lane::State::ready);
  }

  void submit(const std::string& label, Command command) {
    if (command.deadline == kForever) command.deadline = now + milliseconds(500);
    lane.submit(std::make_unique<Recorded>(journal, label, std::move(command)), now);
  }
  void fetch(const std::string& label, const std::string& key) {
    submit(label, {.op = Op::fetch, .key = Key(0, key)});
  }

  /// The commands that the lane has written since the last call, each as words joined by spaces.
  std::vector<std::string> sent() {
    std::vector<std::string> commands;
    std::string bytes = std::exchange(lane.output(), {});
    std::string_view rest = bytes;
    protocol::CommandParser parser;
    while (!rest.empty()) {
      const auto status = parser.parse(rest);
      EXPECT_TRUE(status && *status == protocol::CommandParser::Status::complete);
      std::string line;
      for (const std::string_view word : parser.args()) {
        if (!line.empty()) line += ' ';
        line += word;
      }
      commands.push_back(line);
      rest.remove_prefix(parser.consumed());
    }
    return commands;
  }

  TimePoint now = kStart;
  LaneView view;
  Journal journal;
  Lane lane;
};

using Words = std::vector<std::string>;

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

TEST_F(LaneTest, ShakesHandsBeforeItIsReadable) {
  const auto before = view.epoch();
  lane.connect();
  lane.connected(now);
  EXPECT_EQ(sent(), Words{"HELLO 3 SETNAME nearlane"});
  EXPECT_EQ(view.lease_until(), TimePoint::min());
  lane.received(kHandshake.substr(0, kHello.size()), now);
  EXPECT_EQ(sent(), (Words{"CONFIG SET tracking-table-max-keys 0",
                           "CLIENT TRACKING ON OPTIN NOLOOP", "INFO replication"}));
  lane.received(kHandshake.substr(kHello.size()), now + milliseconds(3));
  EXPECT_EQ(lane.state(), Lane::State::ready);
  EXPECT_EQ(lane.form(), Lane::Form::tracked);
  EXPECT_GT(view.epoch(), before);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250))
      << "the lease counts from when INFO was sent";
}

TEST_F(LaneTest, AsksForNoAnnouncementOfWhatL1WillNotHold) {
  make_ready();
  submit("r", {.op = Op::fetch, .key = Key(0, "k"), .announced = false});
  submit("w", {.op = Op::transact,
               .key = Key(0, "k"),
               .args = {"SET", "k"},
               .value = Entry::build(KeyRef(0, "k"), "v", TimePoint{}, 0),
               .announced = false});
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k", "MULTI", "SET k v", "PTTL k", "EXEC"}));
  lane.received("$1\r\no\r\n:-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["r"].reply, protocol::Reply::bulk("o"));
  EXPECT_EQ(journal.answers["w"].reply, protocol::Reply::ok());
}

TEST_F(LaneTest, RefusesAReplica) {
  lane.connect();
  lane.connected(now);
  lane.received("%0\r\n+OK\r\n+OK\r\n*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n+connected\r\n:0\r\n",
                now);
  ASSERT_TRUE(lane.broken());
  EXPECT_EQ(lane.broken()->detail, "L2 is not a master");
}

TEST_F(LaneTest, LivesWithAnL2ThatKeepsItsTableOfTrackedKeysLimited) {
  lane.connect();
  lane.connected(now);
  lane.received(
      "%0\r\n-NOPERM this user has no permissions to run the 'config|set' command\r\n+OK\r\n"
      "=51\r\ntxt:# Replication\r\nrole:master\r\nmaster_replid:one\r\n\r\n",
      now);
  EXPECT_EQ(lane.state(), Lane::State::ready);
}

TEST_F(LaneTest, SaysWhyTheHandshakeFailed) {
  lane.connect();
  lane.connected(now);
  lane.received("-NOAUTH HELLO must be called with the client already authenticated\r\n", now);
  ASSERT_TRUE(lane.broken());
  EXPECT_THAT(lane.broken()->detail, testing::HasSubstr("NOAUTH"));
}

TEST_F(LaneTest, ReadsInTheFormThatRegistersTheKey) {
  make_ready();
  fetch("a", "k");
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$5\r\nvalue\r\n:1500\r\n", now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "value");
  EXPECT_EQ(journal.answers.at("a").pttl, 1500);
  EXPECT_EQ(journal.answers.at("a").epoch, view.epoch());
}

TEST_F(LaneTest, WritesInTheTransactionThatRegistersTheKeyAgain) {
  make_ready();
  submit("s", {.op = Op::transact,
               .key = Key(0, "k"),
               .args = {"SET", "k", "PX", "1000"},
               .value = Entry::build(KeyRef(0, "k"), "v", {}, 0),
               .ask_existed = true});
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "MULTI", "EXISTS k", "SET k v PX 1000", "PTTL k",
                           "EXEC"}));
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n+OK\r\n:1000\r\n", now);
  const Answer& answer = journal.answers.at("s");
  EXPECT_TRUE(answer.reply.is_ok());
  EXPECT_EQ(answer.pttl, 1000);
  EXPECT_EQ(answer.existed, true);
}

TEST_F(LaneTest, TellsWhyACommandWasNotQueuedInsteadOfExecAbort) {
  make_ready();
  submit("s", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v", "PX", "0"}});
  lane.received(
      "+OK\r\n+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n+QUEUED\r\n"
      "-EXECABORT Transaction discarded because of previous errors.\r\n",
      now);
  EXPECT_EQ(journal.answers.at("s").reply,
            protocol::Reply::error("OOM command not allowed when used memory > 'maxmemory'."));
}

TEST_F(LaneTest, AnnouncesInvalidationsAtTheirPlaceInTheStream) {
  make_ready();
  fetch("first", "a");
  fetch("second", "b");
  lane.received(
      "+OK\r\n$1\r\n1\r\n:-1\r\n"
      ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
      "+OK\r\n$1\r\n2\r\n:-1\r\n",
      now);
  EXPECT_EQ(journal.events, (Words{"settle first", "invalidate a", "settle second"}));
}

TEST_F(LaneTest, ReadsRepliesThatArriveByteByByte) {
  make_ready();
  fetch("a", "k");
  for (const char byte : std::string_view("+OK\r\n$5\r\nva\r\ne\r\n:7\r\n"))
    lane.received({&byte, 1}, now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "va\r\ne");
}

TEST_F(LaneTest, BumpsItsEpochWhenL2ForgetsWhatItTracked) {
  make_ready();
  const auto before = view.epoch();
  lane.received(">2\r\n$10\r\ninvalidate\r\n_\r\n", now);
  EXPECT_EQ(view.epoch(), before + 1);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250)) << "the connection itself is sound";
}

TEST_F(LaneTest, CountsTheLeaseFromWhenTheCommandWasSent) {
  make_ready();
  now += milliseconds(100);
  fetch("a", "k");
  lane.received("+OK\r\n_\r\n:-2\r\n", now + milliseconds(90));
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
}

TEST_F(LaneTest, KeepsAWarmLanesLeaseAliveAndLeavesAnIdleOneAlone) {
  make_ready();
  now += milliseconds(60);
  lane.tick(now);
  EXPECT_EQ(sent(), Words{}) << "nothing was served, so nothing is sent";
  view.note_hit();
  lane.tick(now);
  EXPECT_EQ(sent(), Words{"PING"});
  lane.tick(now + milliseconds(10));
  EXPECT_EQ(sent(), Words{}) << "at most one every fifth of the lease";
  lane.received("+PONG\r\n", now + milliseconds(10));
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(sent(), Words{"INFO replication"})
      << "once a second the heartbeat also asks who is master";
  lane.tick(now + seconds(6));
  EXPECT_EQ(sent(), Words{}) << "seconds after the last hit it falls silent";
}

TEST_F(LaneTest, GivesUpOnAMasterThatWasDemoted) {
  make_ready();
  view.note_hit();
  lane.tick(now + seconds(1));
  EXPECT_EQ(sent(), Words{"INFO replication"});
  lane.received("=36\r\ntxt:# Replication\r\nrole:slave\r\nx:y\r\n\r\n", now);
  ASSERT_TRUE(lane.broken());
  EXPECT_EQ(lane.broken()->detail, "L2 is not a master");
}

// It was a replica between two heartbeats, and may have taken another's data.
TEST_F(LaneTest, DisownsWhatItReadOfAMasterThatHasAnotherHistory) {
  make_ready();
  const auto before = view.epoch();
  view.note_hit();
  lane.tick(now + seconds(1));
  std::string same(kMaster);
  lane.received(same, now + seconds(1));
  EXPECT_FALSE(lane.broken()) << "the same as in the handshake";
  lane.tick(now + seconds(2));
  lane.received(same.replace(same.find("one"), 3, "two"), now + seconds(2));
  EXPECT_FALSE(lane.broken()) << "writes under way have an answer to come";
  EXPECT_GT(view.epoch(), before) << "but what was read is disowned";
  EXPECT_GT(view.lease_until(), now + seconds(2));
  const auto changed = view.epoch();
  lane.tick(now + seconds(3));
  lane.received(same, now + seconds(3));
  EXPECT_EQ(view.epoch(), changed) << "the new history is now its own";
}

TEST_F(LaneTest, ReadsTheRoleInWhicheverFormInfoComes) {
  for (const std::string_view info : {"$11\r\nrole:master\r\n", "=15\r\ntxt:role:master\r\n",
                                      "$25\r\nx:role:slave\r\nrole:master\r\n"}) {
    lane.connect();
    lane.connected(now);
    lane.received("%1\r\n+server\r\n+redis\r\n+OK\r\n+OK\r\n" + std::string(info), now);
    EXPECT_EQ(lane.state(), Lane::State::ready) << info;
    lane.closed({Errc::connection_lost, "gone"}, now);
  }
}

TEST_F(LaneTest, SaysSoWhereItMayNotAskWhoIsMaster) {
  lane.connect();
  lane.connected(now);
  lane.received("%1\r\n+server\r\n+redis\r\n+OK\r\n+OK\r\n-NOPERM no permission for 'info'\r\n",
                now);
  ASSERT_TRUE(lane.broken());
  EXPECT_EQ(lane.broken()->detail, "INFO replication: NOPERM no permission for 'info'");
}

TEST_F(LaneTest, GivesUpAfterAnErrorThatDeniesAuthorityButHandsItOn) {
  make_ready();
  const auto before = view.epoch();
  submit("s", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v"}});
  lane.received(
      "+OK\r\n+OK\r\n-READONLY You can't write against a read only "
      "replica.\r\n+QUEUED\r\n-EXECABORT x\r\n",
      now);
  EXPECT_EQ(journal.answers.at("s").reply.text,
            "READONLY You can't write against a read only replica.");
  EXPECT_GT(view.epoch(), before);
  EXPECT_TRUE(lane.broken());
}

TEST_F(LaneTest, LetsCallsTimeOutButKeepsTheOrderOfReplies) {
  make_ready();
  fetch("late", "a");
  now += milliseconds(400);
  fetch("punctual", "b");
  now += milliseconds(100);
  lane.tick(now);
  ASSERT_TRUE(journal.answers.at("late").error);
  EXPECT_EQ(journal.answers.at("late").error->code, Errc::timeout);
  EXPECT_FALSE(journal.answers.contains("punctual"));
  lane.received("+OK\r\n$3\r\nold\r\n:-1\r\n+OK\r\n$3\r\nnew\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers.at("punctual").reply.text, "new");
}

TEST_F(LaneTest, DeclaresAPeerDeadThatAnswersNothing) {
  make_ready();
  submit("a", {.op = Op::fetch, .key = Key(0, "k"), .deadline = now + seconds(60)});
  lane.tick(now + seconds(5));
  EXPECT_FALSE(lane.broken());
  lane.tick(now + seconds(5) + milliseconds(1));
  EXPECT_TRUE(lane.broken());
}

TEST_F(LaneTest, RepeatsReadsOnTheNextConnectionAndDisownsWrites) {
  make_ready();
  const auto before = view.epoch();
  fetch("read", "a");
  submit("write", {.op = Op::transact, .key = Key(0, "b"), .args = {"SET", "b", "v"}});
  (void)sent();
  lane.closed({Errc::connection_lost, "reset"}, now);
  EXPECT_GT(view.epoch(), before);
  EXPECT_EQ(view.lease_until(), TimePoint::min());
  ASSERT_TRUE(journal.answers.at("write").error);
  EXPECT_EQ(journal.answers.at("write").error->code, Errc::connection_lost);
  EXPECT_FALSE(journal.answers.contains("read"));
  fetch("during", "c");
  make_ready();
  lane.received("+OK\r\n$1\r\n1\r\n:-1\r\n+OK\r\n$1\r\n2\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers.at("read").reply.text, "1");
  EXPECT_EQ(journal.answers.at("during").reply.text, "2");
}

TEST_F(LaneTest, DoesNotRepeatAReadThatALostWriteOfItsKeyFollowed) {
  make_ready();
  fetch("read", "k");
  submit("write", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v"}});
  fetch("behind", "k");
  lane.closed({Errc::connection_lost, "reset"}, now);
  ASSERT_TRUE(journal.answers.contains("read")) << "sent again it would see the write";
  EXPECT_EQ(journal.answers.at("read").error->code, Errc::connection_lost);
  EXPECT_FALSE(journal.answers.contains("behind"));
}

TEST_F(LaneTest, DoesNotAskAgainForWhatCouldNotBeRead) {
  make_ready();
  submit("first", {.op = Op::raw, .key = Key(0, "k"), .args = {"KEYS", "*"}, .idempotent = true});
  fetch("second", "j");
  lane.received("*1\r\n*1099511627777\r\n", now);
  ASSERT_TRUE(lane.broken());
  lane.closed(*lane.broken(), now);
  ASSERT_TRUE(journal.answers.contains("first"));
  EXPECT_EQ(journal.answers.at("first").error->code, Errc::too_large);
  EXPECT_FALSE(journal.answers.contains("second"));
}

TEST_F(LaneTest, FailsAtOnceOnceAnAttemptHasFailed) {
  lane.connect();
  fetch("first", "a");
  EXPECT_TRUE(journal.answers.empty()) << "the first attempt may still succeed";
  lane.closed({Errc::unavailable, "refused"}, now);
  ASSERT_TRUE(journal.answers.at("first").error);
  EXPECT_EQ(journal.answers.at("first").error, (Error{Errc::unavailable, "refused"}));
  lane.connect();
  fetch("second", "a");
  ASSERT_TRUE(journal.answers.contains("second"));
  EXPECT_EQ(journal.answers.at("second").error->code, Errc::unavailable);
}

TEST_F(LaneTest, CompletesEverythingWhenItIsStopped) {
  make_ready();
  fetch("read", "a");
  lane.closed({Errc::shutting_down, "stopping"}, now);
  EXPECT_EQ(journal.answers.at("read").error->code, Errc::shutting_down);
}

class SmallLaneTest : public LaneTest {
 protected:
  SmallLaneTest() : LaneTest({.max_calls = 2}) {}
};

TEST_F(SmallLaneTest, RefusesMoreThanItsQueueHolds) {
  make_ready();
  fetch("a", "k");
  fetch("b", "k");
  fetch("c", "k");
  ASSERT_TRUE(journal.answers.at("c").error);
  EXPECT_EQ(journal.answers.at("c").error->code, Errc::busy);
}

TEST_F(LaneTest, BreaksOnNonsense) {
  for (const std::string_view nonsense : {"hello\r\n", "$x\r\n", "+PONG\r\n"}) {
    make_ready();
    lane.received(nonsense, now);
    ASSERT_TRUE(lane.broken()) << nonsense;
    EXPECT_EQ(lane.broken()->code, Errc::protocol);
    lane.closed(*lane.broken(), now);
  }
}

TEST_F(LaneTest, SendsNothingIntoADatabaseBeforeItIsKnownToExist) {
  make_ready();
  submit("a", {.op = Op::fetch, .key = Key(3, "k")});
  fetch("b", "k");
  EXPECT_EQ(sent(), Words{"SELECT 3"});
  lane.received("+OK\r\n", now);
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k", "SELECT 0",
                           "CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$1\r\n3\r\n:-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "3");
  EXPECT_EQ(journal.answers.at("b").reply.text, "0");
}

TEST_F(LaneTest, AnswersWithL2sErrorForADatabaseThatDoesNotExist) {
  make_ready();
  submit("a", {.op = Op::fetch, .key = Key(40, "k")});
  fetch("b", "k");
  (void)sent();
  lane.received("-ERR DB index is out of range\r\n", now);
  EXPECT_EQ(journal.answers.at("a").reply.text, "ERR DB index is out of range");
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
}

class ProbedLane : public LaneTest {
 protected:
  static constexpr std::string_view kPush = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\np\r\n";

  ProbedLane() : LaneTest({.probe_key = "p"}) {}

  static std::string probe_replies(std::string_view push) {
    std::string out =
        "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:10000\r\n+OK\r\n:1\r\n";
    out +=
        std::string(push) + "+OK\r\n_\r\n+OK\r\n" + std::string(push) + ":10000\r\n:1\r\n+OK\r\n";
    return out;
  }
  void shake_hands(std::string_view push) {
    lane.connect();
    lane.connected(now);
    (void)sent();
    lane.received(kHello, now);
    EXPECT_EQ(sent().size(), 16U) << "CONFIG, the probe, INFO";
    lane.received("+OK\r\n" + probe_replies(push) + std::string(kMaster), now);
    ASSERT_EQ(lane.state(), Lane::State::ready);
  }
};

TEST_F(ProbedLane, ServesOnceItWasShownThatChangesAreAnnounced) {
  shake_hands(kPush);
  EXPECT_EQ(lane.form(), Lane::Form::tracked);
  EXPECT_TRUE(journal.events.empty()) << "the probe's key is nobody's business";
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
  fetch("a", "k");
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["a"].epoch, view.epoch());
  now += seconds(60);
  lane.tick(now);
  EXPECT_TRUE(sent().empty()) << "it is not asked again";
}

TEST_F(ProbedLane, VouchesForNothingWhereNoPushCameAndStillCarriesCalls) {
  shake_hands("");
  EXPECT_EQ(lane.form(), Lane::Form::unvouched);
  EXPECT_EQ(view.lease_until(), TimePoint::min());
  fetch("a", "k");
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k"}));
  lane.received("$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["a"].reply, protocol::Reply::bulk("v"));
  EXPECT_EQ(journal.answers["a"].epoch, kNoEpoch);
  EXPECT_EQ(view.lease_until(), TimePoint::min());
}

TEST_F(ProbedLane, TriesAgainUntilChangesAreAnnounced) {
  lane.connect();
  lane.connected(now);
  (void)sent();
  std::string refused = std::string(kHello) + "+OK\r\n";
  for (int i = 0; i < 14; ++i) refused += "-NOPERM no\r\n";
  lane.received(refused + std::string(kMaster), now);
  (void)sent();
  ASSERT_EQ(lane.state(), Lane::State::ready);
  EXPECT_THAT(lane.distrust(), testing::HasSubstr("NOPERM no"));
  fetch("before", "k");
  (void)sent();
  now += seconds(1);
  lane.tick(now);
  EXPECT_TRUE(sent().empty());
  lane.received("$1\r\nv\r\n:-1\r\n", now);
  now += seconds(5);
  lane.tick(now);
  EXPECT_EQ(sent().size(), 14U);
  fetch("beside", "k");
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k"}));
  now += seconds(1);
  lane.received(probe_replies(kPush), now);
  EXPECT_EQ(lane.form(), Lane::Form::tracked);
  lane.received("$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["beside"].epoch, kNoEpoch) << "it was read before";
  fetch("after", "k");
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["after"].epoch, view.epoch());
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
}

TEST_F(ProbedLane, BelievesNothingOfAnEarlierConnection) {
  shake_hands(kPush);
  lane.closed({Errc::connection_lost, "gone"}, now);
  EXPECT_EQ(lane.form(), Lane::Form::unknown) << "while it is down, nothing is known";
  shake_hands("");
  EXPECT_EQ(view.lease_until(), TimePoint::min());
  EXPECT_FALSE(lane.distrust().empty());
  lane.closed({Errc::connection_lost, "gone"}, now);
  EXPECT_TRUE(lane.distrust().empty());
}

class HintLaneTest : public LaneTest {
 protected:
  HintLaneTest() : LaneTest({.tracked = false, .subscribe = "ch"}) {}
  void shake_hands(std::string_view subscribed) {
    lane.connect();
    lane.connected(now);
    (void)sent();
    lane.received(kHello, now);
    EXPECT_EQ(sent(), (Words{"SUBSCRIBE ch", "INFO replication"}));
    lane.received(std::string(subscribed) + std::string(kMaster), now);
    ASSERT_EQ(lane.state(), Lane::State::ready);
  }
  static constexpr std::string_view kSubscribed = ">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
  static constexpr std::string_view kMessage = ">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n";
};

TEST_F(HintLaneTest, TakesTheConfirmingPushForSubscribesReply) {
  ASSERT_NO_FATAL_FAILURE(shake_hands(kSubscribed));
  submit("p", {.op = Op::raw, .key = Key(0, ""), .args = {"PUBLISH", "ch", "hi"}, .wide = true});
  EXPECT_EQ(sent(), Words{"PUBLISH ch hi"});
  lane.received(std::string(kMessage) + ":1\r\n" + std::string(kMessage), now);
  EXPECT_EQ(journal.events, (Words{"hinted hi", "settle p", "hinted hi"}));
  EXPECT_EQ(journal.answers["p"].reply, protocol::Reply::number(1));
  EXPECT_FALSE(lane.broken());
}

TEST_F(HintLaneTest, GoesOnWhereItMayNotSubscribe) {
  ASSERT_NO_FATAL_FAILURE(shake_hands("-NOPERM this user has no permissions\r\n"));
  lane.received(kSubscribed, now);  // unasked: of no consequence
  submit("p", {.op = Op::raw, .key = Key(0, ""), .args = {"PUBLISH", "ch", "hi"}, .wide = true});
  lane.received("-NOPERM\r\n", now);
  EXPECT_TRUE(journal.answers["p"].reply.is_error());
  EXPECT_FALSE(lane.broken());
}

/// A store that announces no changes: writers do.
class AnnouncedLane : public LaneTest {
 protected:
  AnnouncedLane() : AnnouncedLane(LaneConfig{.probe_key = "p"}) {}
  explicit AnnouncedLane(LaneConfig config)
      : LaneTest([&] {
          config.announcements = &announcements;
          config.announcer = 3;
          return config;
        }()) {
    announcements.origin = 7;
    announcements.incarnations = std::vector<std::atomic<std::uint64_t>>(4);
  }
  static std::string announced(std::uint64_t sequence, const std::string& keys,
                               std::uint64_t incarnation = 1, std::uint32_t db = 0) {
    return "PUBLISH nearlane:announcements NL1 7 3 " + std::to_string(incarnation) + " " +
           std::to_string(sequence) + " " + std::to_string(db) + " " + keys;
  }
  /// A store of before HELLO.
  void shake_hands(std::string_view answer = ":0\r\n") {
    lane.connect();
    lane.connected(now);
    (void)sent();
    lane.received("-ERR unknown command 'HELLO'\r\n", now);
    EXPECT_EQ(sent(), (Words{"CLIENT SETNAME nearlane", "INFO replication"}));
    lane.received("+OK\r\n$13\r\nrole:master\r\n\r\n", now);
    EXPECT_EQ(lane.state(), Lane::State::handshake);
    EXPECT_THAT(sent(), testing::ElementsAre(testing::EndsWith(" 1 0 0\n")));
    lane.received(answer, now);
    ASSERT_EQ(lane.state(), Lane::State::ready);
  }
  /// The channel has heard a heartbeat that was sent now.
  void hear() { announcements.view.set_lease(now + milliseconds(250)); }

  Announcements announcements;
};

TEST_F(AnnouncedLane, AnnouncesItsWritesInTheTransactionThatMakesThem) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  EXPECT_EQ(lane.form(), Lane::Form::announced);
  EXPECT_EQ(announcements.need, Announcements::Need::yes);
  submit("s", {.op = Op::transact,
               .key = Key(0, "k"),
               .args = {"SET", "k"},
               .value = Entry::build(KeyRef(0, "k"), "v", {}, 0),
               .ask_existed = true});
  EXPECT_EQ(sent(),
            (Words{"MULTI", "EXISTS k", "SET k v", "PTTL k", announced(2, "1\n1:k"), "EXEC"}));
  lane.received(
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n+OK\r\n:9\r\n:2\r\n", now);
  const Answer& answer = journal.answers.at("s");
  EXPECT_TRUE(answer.reply.is_ok());
  EXPECT_EQ(answer.pttl, 9);
  EXPECT_EQ(answer.existed, true);
  EXPECT_EQ(answer.epoch, view.epoch());
  submit("d", {.op = Op::raw, .key = Key(0, "k"), .args = {"DEL", "k"}, .changed = {"k"}});
  EXPECT_EQ(sent(), (Words{"MULTI", "DEL k", announced(3, "1\n1:k"), "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:0\r\n", now);
  EXPECT_EQ(journal.answers.at("d").reply, protocol::Reply::number(1));
  submit("r", {.op = Op::raw, .key = Key(0, "k"), .args = {"STRLEN", "k"}});
  EXPECT_EQ(sent(), Words{"STRLEN k"}) << "what only reads is nobody's news";
}

TEST_F(AnnouncedLane, ReadsInATransactionAndServesForAsLongAsTheChannelHears) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  announcements.l1_ttl = seconds(3);
  fetch("a", "k");
  EXPECT_EQ(sent(), (Words{"MULTI", "GET k", "PTTL k", "EXEC"}));
  EXPECT_TRUE(announcements.view.take_hit()) << "the channel is to keep warm";
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nv\r\n:70\r\n", now);
  EXPECT_EQ(journal.answers["a"].reply, protocol::Reply::bulk("v"));
  EXPECT_EQ(journal.answers["a"].pttl, 70);
  EXPECT_EQ(journal.answers["a"].l1_ttl, seconds(3));
  EXPECT_EQ(view.lease_until(), TimePoint::min()) << "a reply proves nothing of others' writes";
  hear();
  lane.tick(now);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
  EXPECT_EQ(journal.answers["a"].epoch, view.epoch());
}

// Found by the simulation: the channel hears on, while the reply to a write of this lane is stuck.
TEST_F(AnnouncedLane, ServesNoLongerThanALeaseAfterWhatIsUnansweredWasSent) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  submit("s", {.op = Op::transact, .key = Key(0, "k"), .args = {"SET", "k", "v"}});
  const TimePoint sent_at = now;
  now += milliseconds(200);
  hear();
  lane.tick(now);
  EXPECT_EQ(view.lease_until(), sent_at + milliseconds(250));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:-1\r\n:2\r\n", now);
  lane.tick(now);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
}

TEST_F(AnnouncedLane, DisownsWhatItHasWhenTheChannelDoes) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  hear();
  lane.tick(now);
  const Epoch before = view.epoch();
  announcements.view.bump();
  lane.tick(now);
  EXPECT_GT(view.epoch(), before);
  EXPECT_EQ(view.lease_until(), TimePoint::min());
  const Epoch after = view.epoch();
  hear();
  lane.received("", now);
  EXPECT_EQ(view.epoch(), after);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250));
}

TEST_F(AnnouncedLane, ABarrierDisownsWhatWasReadBeforeIt) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  hear();
  lane.tick(now);
  const Epoch before = view.epoch();
  submit("probe", {.op = Op::confirm, .key = Key(0, ""), .lane = 3});
  lane.received("+PONG\r\n", now);
  EXPECT_EQ(view.epoch(), before);
  submit("barrier", {.op = Op::confirm, .key = Key(0, ""), .lane = 3, .undeclared = true});
  lane.received("+PONG\r\n", now);
  EXPECT_TRUE(journal.answers.contains("barrier"));
  EXPECT_GT(view.epoch(), before);
  EXPECT_EQ(view.lease_until(), now + milliseconds(250))
      << "what is read from now on is vouched for";
}

TEST_F(AnnouncedLane, VouchesForNothingWhereItMayNotPublish) {
  ASSERT_NO_FATAL_FAILURE(shake_hands("-NOPERM no channel\r\n"));
  EXPECT_EQ(lane.form(), Lane::Form::unvouched);
  EXPECT_THAT(lane.distrust(), testing::HasSubstr("NOPERM no channel"));
  EXPECT_EQ(announcements.need, Announcements::Need::no);
  fetch("a", "k");
  lane.received("$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["a"].epoch, kNoEpoch);
}

TEST_F(AnnouncedLane, CountsAnewOnEachConnection) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  lane.closed({Errc::connection_lost, "reset"}, now);
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  submit("d", {.op = Op::raw, .key = Key(0, "k"), .args = {"DEL", "k"}, .changed = {"k"}});
  EXPECT_EQ(sent(), (Words{"MULTI", "DEL k", announced(2, "1\n1:k", 2), "EXEC"}));
  EXPECT_EQ(announcements.incarnations[3], 2U);
}

/// What a probe says decides: that L2 knows no tracking is the same for everybody, what one user may not is not.
TEST_F(AnnouncedLane, OnlyWhatNoInstanceCanHaveMakesWritersAnnounce) {
  for (const auto& [refusal, form] :
       {std::pair("ERR unknown command 'CLIENT'", Lane::Form::announced),
        std::pair("ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.", Lane::Form::announced),
        std::pair("NOPERM this user has no permissions", Lane::Form::unvouched)}) {
    lane.connect();
    lane.connected(now);
    std::string replies = std::string(kHello) + "+OK\r\n";
    for (int i = 0; i < 14; ++i) replies += "-" + std::string(refusal) + "\r\n";
    lane.received(replies + std::string(kMaster) + (form == Lane::Form::announced ? ":0\r\n" : ""),
                  now);
    EXPECT_EQ(lane.form(), form) << refusal;
    lane.closed({Errc::connection_lost, "gone"}, now);
    (void)sent();
  }
}

class AuthenticatedLane : public AnnouncedLane {
 protected:
  AuthenticatedLane() : AnnouncedLane(LaneConfig{.user = "u", .password = "p"}) {}
};

TEST_F(AuthenticatedLane, SaysItsPasswordWhereThereIsNoHello) {
  lane.connect();
  lane.connected(now);
  (void)sent();
  lane.received("-ERR unknown command 'HELLO'\r\n", now);
  EXPECT_EQ(sent(), (Words{"AUTH u p", "CLIENT SETNAME nearlane", "INFO replication"}));
  lane.received("-WRONGPASS invalid\r\n", now);
  ASSERT_TRUE(lane.broken());
  EXPECT_THAT(lane.broken()->detail, testing::HasSubstr("WRONGPASS"));
}

class PubsubLane : public AnnouncedLane {
 protected:
  PubsubLane() : AnnouncedLane(LaneConfig{.coherence = Coherence::pubsub, .probe_key = "p"}) {}
};

TEST_F(PubsubLane, AsksForNoTrackingWhereItWasToldThatWritersAnnounce) {
  lane.connect();
  lane.connected(now);
  (void)sent();
  lane.received(kHello, now);
  EXPECT_EQ(sent(), Words{"INFO replication"});
  lane.received(std::string(kMaster) + ":0\r\n", now);
  EXPECT_EQ(lane.form(), Lane::Form::announced);
}

class AloneLane : public LaneTest {
 protected:
  AloneLane() : LaneTest({.coherence = Coherence::none}) {}
};

TEST_F(AloneLane, ServesWithoutALease) {
  lane.connect();
  lane.connected(now);
  lane.received(std::string(kHello) + std::string(kMaster), now);
  EXPECT_EQ(lane.form(), Lane::Form::alone);
  EXPECT_EQ(view.lease_until(), kForever);
  (void)sent();
  fetch("a", "k");
  EXPECT_EQ(sent(), (Words{"GET k", "PTTL k"}));
  const Epoch before = view.epoch();
  submit("b", {.op = Op::confirm, .key = Key(0, ""), .lane = 0, .undeclared = true});
  lane.received("$1\r\nv\r\n:-1\r\n+PONG\r\n", now);
  EXPECT_GT(view.epoch(), before) << "somebody of this instance wrote what he did not name";
  EXPECT_EQ(view.lease_until(), kForever);
  lane.closed({Errc::connection_lost, "reset"}, now);
  EXPECT_EQ(view.lease_until(), TimePoint::min());
}

class OutsideLane : public AnnouncedLane {
 protected:
  OutsideLane() : AnnouncedLane(LaneConfig{.tracked = false}) {}
  void write_both() {
    submit("m", {.op = Op::raw,
                 .key = Key(0, ""),
                 .args = {"MSET", "a", "1", "b", "2"},
                 .wide = true,
                 .changed = {"a", "b"}});
  }
};

TEST_F(OutsideLane, WritesNothingBeforeItKnowsWhetherToAnnounceIt) {
  lane.connect();
  lane.connected(now);
  lane.received(std::string(kHello) + std::string(kMaster), now);
  write_both();
  (void)sent();
  lane.tick(now);
  EXPECT_EQ(lane.state(), Lane::State::handshake);
  announcements.need = Announcements::Need::yes;
  lane.tick(now);
  EXPECT_EQ(lane.state(), Lane::State::ready);
  EXPECT_EQ(sent(), (Words{"MULTI", "MSET a 1 b 2", announced(1, "2\n1:a1:b"), "EXEC"}));
  submit(
      "f",
      {.op = Op::raw, .key = Key(0, ""), .args = {"FLUSHALL"}, .wide = true, .undeclared = true});
  EXPECT_EQ(sent(), (Words{"MULTI", "FLUSHALL", announced(2, "*\n"), "EXEC"}));
  submit("t", {.op = Op::announce, .key = Key(2, ""), .wide = true, .changed = {"c"}});
  EXPECT_EQ(sent(), Words{"SELECT 2"});
  announcements.need = Announcements::Need::no;
  write_both();
  submit("t2", {.op = Op::announce, .key = Key(0, ""), .wide = true, .changed = {"c"}});
  lane.received(
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n"
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n+OK\r\n",
      now);
  EXPECT_EQ(sent(), (Words{"SELECT 0", "MSET a 1 b 2"}));
  EXPECT_TRUE(journal.answers["t2"].reply.is_ok());
}

// To the others, a number that is missing is an announcement that was lost.
TEST_F(OutsideLane, AComparisonThatWasOvertakenUsesNoNumberUp) {
  announcements.need = Announcements::Need::yes;
  lane.connect();
  lane.connected(now);
  lane.received(std::string(kHello) + std::string(kMaster), now);
  (void)sent();
  submit("c", {.op = Op::compare,
               .key = Key(0, "k"),
               .args = {"DEL", "k"},
               .changed = {"k"},
               .holds = [](std::optional<std::string_view>) { return true; }});
  (void)sent();
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), (Words{"MULTI", "DEL k", announced(1, "1\n1:k"), "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n_\r\n", now);
  EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), (Words{"MULTI", "DEL k", announced(1, "1\n1:k"), "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n", now);
  EXPECT_TRUE(journal.answers["c"].held);
  write_both();
  EXPECT_EQ(sent(), (Words{"MULTI", "MSET a 1 b 2", announced(2, "2\n1:a1:b"), "EXEC"}));
}

}  // namespace
}  // namespace nearlane::cohere
