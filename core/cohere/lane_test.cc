// The lane over plain bytes: what it writes, what it makes of what it reads, and what it does when
// time passes or the connection ends. A real Redis is met in core/tier/tiered_cache_live_test.cc.
#include "core/cohere/lane_fixture.h"

namespace nearlane::cohere {
namespace {

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
  const auto entry = Entry::build(KeyRef(0, "k"), "v", kForever, before);
  lane.received(">2\r\n$10\r\ninvalidate\r\n_\r\n", now);
  EXPECT_EQ(view.epoch(), before + 1);
  EXPECT_EQ(view.vouched_until(*entry, view.lease_until()), TimePoint::min())
      << "what was flushed is not served stale";
  EXPECT_EQ(view.lease_until(), now + milliseconds(250)) << "the connection itself is sound";
}

TEST_F(LaneTest, RemembersUntilWhenItVouchedForWhatALostConnectionHadRead) {
  make_ready();
  const auto entry = Entry::build(KeyRef(0, "k"), "v", kForever, view.epoch());
  const TimePoint lease = view.lease_until();
  lane.closed({Errc::connection_lost, "lost"}, now);
  for (int i = 0; i < 100; ++i) {  // attempts in vain
    lane.connect();
    lane.closed({Errc::unavailable, "refused"}, now);
  }
  EXPECT_EQ(view.vouched_until(*entry, view.lease_until()), lease);
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

// What L1 does not answer comes from L2, and a replica answers too.
TEST_F(LaneTest, AsksWhetherItIsStillAMasterWhileItHasCallsThoughL1ServesNothing) {
  make_ready();
  now += milliseconds(500);
  fetch("a", "k");
  lane.received("+OK\r\n_\r\n:-2\r\n", now);
  (void)sent();
  lane.tick(now + milliseconds(100));
  EXPECT_EQ(sent(), Words{}) << "no lease is needed where nothing is served";
  lane.tick(now + milliseconds(500));
  EXPECT_EQ(sent(), Words{"INFO replication"});
  lane.received(kMaster, now + milliseconds(500));
  lane.tick(now + seconds(6));
  EXPECT_EQ(sent(), Words{}) << "seconds after the last call it falls silent";
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

// Whoever wrote waits no more, but Redis may have executed the write.
TEST_F(LaneTest, DoesNotAskAgainForAReadThatAWriteWasBehindThoughThatWasGivenUp) {
  make_ready();
  submit("read", {.op = Op::fetch, .key = Key(0, "k"), .deadline = now + seconds(9)});
  submit("write", {.op = Op::raw, .key = Key(0, "k"), .args = {"INCR", "k"}});
  submit("other", {.op = Op::fetch, .key = Key(0, "other"), .deadline = now + seconds(9)});
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(journal.answers["write"].error->code, Errc::timeout);
  lane.closed({Errc::connection_lost, "gone"}, now);
  EXPECT_EQ(journal.answers["read"].error->code, Errc::connection_lost);
  EXPECT_FALSE(journal.answers.contains("other")) << "that one is asked for again";
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

class NarrowLaneTest : public LaneTest {
 protected:
  NarrowLaneTest() : LaneTest({.max_bytes = 100}) {}
  void set(const std::string& label, std::size_t bytes, std::uint32_t db = 0) {
    submit(label, {.op = Op::transact,
                   .key = Key(db, "k"),
                   .args = {"SET", "k"},
                   .value = Entry::build(KeyRef(db, "k"), std::string(bytes, 'v'), {}, 0)});
  }
  [[nodiscard]] bool refused(const std::string& label) {
    const auto answer = journal.answers.find(label);
    return answer != journal.answers.end() && answer->second.error &&
           answer->second.error->code == Errc::busy;
  }
};

TEST_F(NarrowLaneTest, CountsTheBytesOfWhatWaitsForItsConnection) {
  lane.connect();
  set("a", 200);
  EXPECT_FALSE(journal.answers.contains("a")) << "whatever it is, one may wait";
  set("b", 1);
  EXPECT_TRUE(refused("b"));
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(journal.answers["a"].error->code, Errc::timeout);
  set("c", 200);
  EXPECT_FALSE(journal.answers.contains("c")) << "what was given up waits no more";
  make_ready();
  set("d", 1);
  EXPECT_FALSE(refused("d")) << "nor does what was sent";
  (void)sent();
  lane.closed({Errc::connection_lost, "reset"}, now);
  set("e", 200);
  EXPECT_FALSE(refused("e"));
  set("f", 1);
  EXPECT_TRUE(refused("f"));
  lane.closed({Errc::unavailable, "refused"}, now);
  EXPECT_EQ(journal.answers["e"].error->code, Errc::unavailable);
}

TEST_F(NarrowLaneTest, CountsWhatWaitsForADatabase) {
  make_ready();
  set("a", 200, 3);
  EXPECT_EQ(sent(), Words{"SELECT 3"});
  set("b", 1);
  EXPECT_TRUE(refused("b"));
  lane.received("-ERR DB index is out of range\r\n", now);
  EXPECT_TRUE(journal.answers.contains("a"));
  set("c", 1);
  EXPECT_FALSE(refused("c"));
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

}  // namespace
}  // namespace nearlane::cohere
