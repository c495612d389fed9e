// What vouches for what was read over a connection: L2, which was probed; the writers; nobody.
#include "core/cohere/lane_fixture.h"

namespace nearlane::cohere {
namespace {

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
  EXPECT_EQ(sent(), Words{"INFO replication"}) << "no probe yet";
  lane.received("$1\r\nv\r\n:-1\r\n" + std::string(kMaster), now);
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

// With what Redis 7.0.15 answers meanwhile.
TEST_F(ProbedLane, IsNotReadyWhileL2LoadsItsData) {
  lane.connect();
  lane.connected(now);
  (void)sent();
  const std::string refused = "-LOADING Redis is loading the dataset in memory\r\n";
  std::string replies = std::string(kHello) + "+OK\r\n+OK\r\n+OK\r\n+OK\r\n";  // as far as MULTI
  replies += refused + refused + "-EXECABORT Transaction discarded\r\n+OK\r\n" + refused;
  replies += "+OK\r\n" + refused + refused + refused + refused + "+OK\r\n";
  lane.received(replies + std::string(kMaster), now);
  EXPECT_NE(lane.state(), Lane::State::ready);
  ASSERT_TRUE(lane.broken().has_value());
  EXPECT_EQ(*lane.broken(), (Error{Errc::unavailable, "L2 loads its data"}));
  lane.closed(*lane.broken(), now);
  (void)sent();
  ASSERT_NO_FATAL_FAILURE(shake_hands(kPush)) << "it has loaded";
  EXPECT_EQ(lane.form(), Lane::Form::tracked);
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

TEST_F(AnnouncedLane, KeepsNoStaleCandidateOfWhatOthersHaveFlushed) {
  ASSERT_NO_FATAL_FAILURE(shake_hands());
  hear();
  lane.tick(now);
  const auto entry = Entry::build(KeyRef(0, "k"), "v", kForever, view.epoch());
  announcements.view.bump();  // a gap, or the channel is lost
  lane.tick(now);
  EXPECT_NE(view.vouched_until(*entry, view.lease_until()), TimePoint::min());
  ++announcements.flushes;
  announcements.view.bump();
  lane.tick(now);
  EXPECT_EQ(view.vouched_until(*entry, view.lease_until()), TimePoint::min());
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

// Its lease never grows: whatever disowns what it has read has to vouch for what it will read.
TEST_F(AloneLane, ServesOnOverTheSameConnectionOnceItHasDisownedWhatItHad) {
  lane.connect();
  lane.connected(now);
  lane.received(std::string(kHello) + std::string(kMaster), now);
  fetch("a", "k");
  (void)sent();
  Epoch before = view.epoch();
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(sent(), Words{"INFO replication"});
  std::string two(kMaster);
  two.replace(two.find("one"), 3, "two");
  lane.received("$1\r\nv\r\n:-1\r\n" + two, now);
  EXPECT_GT(view.epoch(), before) << "its first replica has come, or it was one itself";
  EXPECT_EQ(view.lease_until(), kForever);

  before = view.epoch();
  fetch("b", "k");
  lane.received("-LOADING Redis is loading\r\n-LOADING Redis is loading\r\n", now);
  EXPECT_FALSE(lane.broken());
  EXPECT_GT(view.epoch(), before) << "what it loads may be older";
  EXPECT_EQ(view.lease_until(), kForever);
  fetch("c", "k");
  lane.received("$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(journal.answers["c"].epoch, view.epoch());
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

// An audit, or what `nearlane why` asks.
TEST_F(OutsideLane, AnnouncesNoTransactionThatOnlyReads) {
  announcements.need = Announcements::Need::yes;
  lane.connect();
  lane.connected(now);
  lane.received(std::string(kHello) + std::string(kMaster), now);
  (void)sent();
  submit("q", {.op = Op::transact,
               .key = Key(0, "k"),
               .args = {"GETRANGE", "k", "0", "9"},
               .wide = true,
               .announced = false,
               .idempotent = true});
  EXPECT_EQ(sent(), (Words{"MULTI", "GETRANGE k 0 9", "PTTL k", "EXEC"}));
  submit("w", {.op = Op::transact,
               .key = Key(0, "k"),
               .args = {"SET", "k", "v"},
               .wide = true,
               .announced = false});
  EXPECT_EQ(sent(), (Words{"MULTI", "SET k v", "PTTL k", announced(1, "1\n1:k"), "EXEC"}))
      << "that L1 holds no such key here is nothing to the others";
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
