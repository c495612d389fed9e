// What goes with a command in one transaction, and need not where L2 refuses it.
#include "core/cohere/lane_fixture.h"

namespace nearlane::cohere {
namespace {

using protocol::Reply;

const std::string kRefused =
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
const std::string kAborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";

class LaneBeside : public LaneTest {
 protected:
  explicit LaneBeside(const LaneConfig& config = {}) : LaneTest(config) {}
  void SetUp() override { make_ready(); }

  void read(const std::string& label, bool announced = true) {
    submit(
        label,
        {.op = Op::fetch, .key = Key(0, "k"), .beside = {"GET", "side"}, .announced = announced});
  }
  void write(const std::string& label, std::vector<std::string> beside, bool needs = false) {
    submit(label, {.op = Op::transact,
                   .key = Key(0, "k"),
                   .args = {"SET", "k", "PX", "5"},
                   .value = Entry::build(KeyRef(0, "k"), "v", {}, 0),
                   .beside = std::move(beside),
                   .needs_beside = needs,
                   .ask_existed = true});
  }
  Answer& answer(const std::string& label) { return journal.answers.at(label); }
};

TEST_F(LaneBeside, ReadsBothInOneTransactionAndRegistersOne) {
  read("a");
  EXPECT_EQ(sent(), (Words{"MULTI", "GET side", "CLIENT CACHING YES", "GET k", "PTTL k", "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n", now);
  EXPECT_TRUE(journal.events.empty());
  lane.received("*4\r\n$1\r\ns\r\n+OK\r\n$1\r\nv\r\n:77\r\n", now);
  EXPECT_EQ(answer("a").reply, Reply::bulk("v"));
  EXPECT_EQ(answer("a").pttl, 77);
  EXPECT_EQ(answer("a").beside, Reply::bulk("s"));
  EXPECT_EQ(answer("a").epoch, view.epoch());
}

TEST_F(LaneBeside, SaysWhatIsNotThere) {
  read("a");
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n_\r\n+OK\r\n_\r\n:-2\r\n",
                now);
  EXPECT_TRUE(answer("a").reply.is_null());
  ASSERT_TRUE(answer("a").beside);
  EXPECT_TRUE(answer("a").beside->is_null());
}

TEST_F(LaneBeside, RegistersNothingWhereNothingIsToBeAnnounced) {
  read("a", false);
  EXPECT_EQ(sent(), (Words{"MULTI", "GET side", "GET k", "PTTL k", "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n$1\r\ns\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(answer("a").reply, Reply::bulk("v"));
  EXPECT_EQ(answer("a").beside, Reply::bulk("s"));
}

TEST_F(LaneBeside, VouchesForNothingThatWasNotRegistered) {
  read("a");
  lane.received(
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
      "*4\r\n_\r\n-ERR CLIENT CACHING is not for you\r\n$1\r\nv\r\n:-1\r\n",
      now);
  EXPECT_EQ(answer("a").reply, Reply::bulk("v"));
  EXPECT_EQ(answer("a").epoch, kNoEpoch);
}

TEST_F(LaneBeside, WritesBothInOneTransaction) {
  write("a", {"SET", "side", "s", "PX", "5"}, true);
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "MULTI", "EXISTS k", "SET k v PX 5", "PTTL k",
                           "SET side s PX 5", "EXEC"}));
  lane.received(
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n+OK\r\n:5\r\n+OK\r\n",
      now);
  EXPECT_EQ(answer("a").reply, Reply::ok());
  EXPECT_EQ(answer("a").existed, true);
  EXPECT_EQ(answer("a").pttl, 5);
  EXPECT_EQ(answer("a").beside, Reply::ok());
}

TEST_F(LaneBeside, ARawCommandBecomesATransaction) {
  submit("a", {.op = Op::raw,
               .key = Key(0, "k"),
               .args = {"DEL", "k"},
               .beside = {"DEL", "side"},
               .changed = {"k"}});
  EXPECT_EQ(sent(), (Words{"MULTI", "DEL k", "DEL side", "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:1\r\n", now);
  EXPECT_EQ(answer("a").reply, Reply::number(0));
  EXPECT_EQ(answer("a").beside, Reply::number(1));
}

TEST_F(LaneBeside, GoesWithoutWhatThisUserMayNot) {
  read("a");
  (void)sent();
  lane.received("+OK\r\n" + kRefused + "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kAborted, now);
  EXPECT_TRUE(journal.events.empty());
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(answer("a").reply, Reply::bulk("v"));
  EXPECT_EQ(answer("a").beside, Reply::null()) << "there is nothing that it will ever be told";
  // It is not tried each time, but where it has to be.
  read("b");
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  write("c", {"DEL", "side"});
  EXPECT_EQ(sent(),
            (Words{"CLIENT CACHING YES", "MULTI", "EXISTS k", "SET k v PX 5", "PTTL k", "EXEC"}));
  write("d", {"SET", "side", "s"}, true);
  EXPECT_EQ(sent().size(), 7U);
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_EQ(answer("b").beside, Reply::null());
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n+OK\r\n:5\r\n", now);
  EXPECT_EQ(answer("c").reply, Reply::ok());
  EXPECT_FALSE(answer("c").beside) << "what was not written is not said to have been";
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kRefused + kAborted, now);
  EXPECT_EQ(answer("d").reply.text + "\r\n", kRefused.substr(1));
  EXPECT_EQ(sent(), Words{});
  // The next connection may be another user's.
  lane.closed({Errc::connection_lost, "cut"}, now);
  make_ready();
  read("e");
  EXPECT_EQ(sent().size(), 6U);
}

TEST_F(LaneBeside, GoesWithoutWhereTheKeyItselfIsRefusedAndSaysSo) {
  read("a");
  (void)sent();
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n" + kRefused + kRefused + kAborted, now);
  EXPECT_EQ(answer("a").reply.text + "\r\n", kRefused.substr(1));
  read("b");
  EXPECT_EQ(sent().size(), 6U) << "what goes with it was not what was refused";
}

TEST_F(LaneBeside, KeepsItsPlaceBehindADatabaseThatIsTried) {
  read("a");
  submit("b", {.op = Op::fetch, .key = Key(3, "k")});
  EXPECT_EQ(sent().back(), "SELECT 3");
  lane.received("+OK\r\n" + kRefused + "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kAborted, now);
  EXPECT_EQ(sent(), Words{}) << "it would be executed in database 3";
  lane.received("+OK\r\n", now);
  EXPECT_EQ(sent(), (Words{"SELECT 0", "CLIENT CACHING YES", "GET k", "PTTL k", "SELECT 3",
                           "CLIENT CACHING YES", "GET k", "PTTL k"}));
}

/// A lane to a primary of a cluster.
class ClusterLaneBeside : public LaneBeside {
 protected:
  ClusterLaneBeside()
      : LaneBeside({.redirect = [this](std::unique_ptr<Call> call, std::string_view reply) {
          redirected.emplace_back(reply);
          calls.push_back(std::move(call));
        }}) {}

  Words redirected;
  std::vector<std::unique_ptr<Call>> calls;
};

/// While a slot is on its way, what is at one end each cannot be had together.
TEST_F(ClusterLaneBeside, GoesWithoutWhileTheSlotIsOnItsWay) {
  read("a");
  (void)sent();
  lane.received("+OK\r\n-ASK 7629 127.0.0.1:7001\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kAborted,
                now);
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  lane.received("+OK\r\n$1\r\nv\r\n:-1\r\n", now);
  EXPECT_FALSE(answer("a").beside);
  read("b");
  EXPECT_EQ(sent().size(), 6U) << "that passes";
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-TRYAGAIN Multiple keys\r\n",
                now);
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "GET k", "PTTL k"}));
  write("c", {"SET", "side", "s"}, true);
  (void)sent();
  lane.received("+OK\r\n_\r\n:-2\r\n", now);
  lane.received(
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-TRYAGAIN Multiple keys\r\n", now);
  EXPECT_EQ(redirected, Words{"TRYAGAIN Multiple keys"}) << "that one waits";
}

/// A slot that has gone has gone with both.
TEST_F(ClusterLaneBeside, IsHandedBackAsItIsWhereTheSlotHasGone) {
  const Epoch before = view.epoch();
  write("a", {"DEL", "side"});
  (void)sent();
  const std::string moved = "-MOVED 7629 127.0.0.1:7001\r\n";
  lane.received("+OK\r\n+OK\r\n" + moved + moved + moved + moved + kAborted, now);
  EXPECT_EQ(sent(), Words{}) << "it is not asked again who has said that it is not his";
  EXPECT_EQ(view.epoch(), before + 1);
  ASSERT_EQ(redirected, Words{"MOVED 7629 127.0.0.1:7001"});
  EXPECT_FALSE(calls[0]->alone);
}

TEST_F(ClusterLaneBeside, IsWholeAgainElsewhere) {
  write("a", {"DEL", "side"});
  (void)sent();
  const std::string ask = "-ASK 7629 127.0.0.1:7001\r\n";
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + ask + kAborted, now);
  EXPECT_EQ(sent().size(), 6U);
  lane.received("+OK\r\n+OK\r\n" + ask + ask + ask + kAborted, now);
  ASSERT_EQ(redirected, Words{"ASK 7629 127.0.0.1:7001"});
  lane.submit(std::move(calls[0]), now);
  EXPECT_EQ(sent(), (Words{"CLIENT CACHING YES", "MULTI", "EXISTS k", "SET k v PX 5", "PTTL k",
                           "DEL side", "EXEC"}));
}

TEST_F(LaneBeside, IsWholeAgainOverTheNextConnection) {
  read("a");
  (void)sent();
  lane.received("+OK\r\n" + kRefused + "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kAborted, now);
  EXPECT_EQ(sent().size(), 3U);
  lane.closed({Errc::connection_lost, "cut"}, now);
  lane.connect();
  lane.connected(now);
  lane.received(kHandshake, now);
  EXPECT_THAT(sent(), testing::Contains("GET side"));
}

TEST_F(LaneBeside, IsAnsweredWhatTheCommandItselfWasToldByOneWhoIsNoMasterAnyMore) {
  write("a", {"DEL", "side"});
  (void)sent();
  const std::string readonly = "-READONLY You can't write against a read only replica.\r\n";
  lane.received("+OK\r\n+OK\r\n+QUEUED\r\n" + readonly + "+QUEUED\r\n" + readonly + kAborted, now);
  EXPECT_EQ(sent(), Words{});
  EXPECT_TRUE(lane.broken());
  EXPECT_FALSE(answer("a").error);
  EXPECT_TRUE(answer("a").reply.text.starts_with("READONLY"));
}

TEST_F(LaneBeside, IsNotSentAgainToOneWhoHasCeasedToBeMasterInBetween) {
  write("a", {"DEL", "side"});
  (void)sent();
  lane.received(
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-READONLY You can't.\r\n" + kAborted, now);
  EXPECT_EQ(sent(), Words{});
  EXPECT_FALSE(answer("a").error);
  EXPECT_TRUE(answer("a").reply.text.starts_with("READONLY"));
}

TEST_F(LaneBeside, SaysOfTheCommandItselfWhyItWasRefused) {
  read("a");
  lane.received(
      "+OK\r\n" + kRefused + "+QUEUED\r\n-LOADING Redis is loading\r\n-LOADING\r\n" + kAborted,
      now);
  EXPECT_EQ(answer("a").reply.text, "LOADING Redis is loading");
}

TEST_F(LaneBeside, WhoWaitsNoMoreIsNotAskedFor) {
  read("a");
  (void)sent();
  now += seconds(1);
  lane.tick(now);
  EXPECT_EQ(answer("a").error->code, Errc::timeout);
  (void)sent();
  lane.received("+OK\r\n" + kRefused + "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + kAborted, now);
  EXPECT_EQ(sent(), Words{});
}

class ComparingLaneBeside : public LaneBeside {
 protected:
  ComparingLaneBeside() : LaneBeside({.tracked = false}) {}
  void SetUp() override {
    lane.connect();
    lane.connected(now);
    lane.received(kHello, now);
    lane.received(kMaster, now);
    (void)sent();
  }
  void compare(bool needs) {
    submit("c", {.op = Op::compare,
                 .key = Key(0, "k"),
                 .args = {"SET", "k"},
                 .value = Entry::build(KeyRef(0, "k"), "new", TimePoint{}, 0),
                 .beside = {"DEL", "side"},
                 .needs_beside = needs,
                 .holds = [](std::optional<std::string_view> value) { return value == "old"; }});
    lane.received("+OK\r\n$3\r\nold\r\n", now);
    EXPECT_EQ(sent(), (Words{"WATCH k", "GET k", "MULTI", "SET k new", "DEL side", "EXEC"}));
  }
};

TEST_F(ComparingLaneBeside, WritesBothWhereItHolds) {
  compare(false);
  lane.received("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n", now);
  EXPECT_TRUE(answer("c").held);
  EXPECT_EQ(answer("c").reply, Reply::ok());
}

TEST_F(ComparingLaneBeside, LooksAgainBeforeItGoesWithout) {
  compare(false);
  lane.received("+OK\r\n+QUEUED\r\n" + kRefused + kAborted, now);
  EXPECT_EQ(sent(), (Words{"WATCH k", "GET k"}));
  lane.received("+OK\r\n$3\r\nold\r\n", now);
  EXPECT_EQ(sent(), (Words{"MULTI", "SET k new", "EXEC"}));
  lane.received("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", now);
  EXPECT_EQ(answer("c").reply, Reply::ok());
}

TEST_F(ComparingLaneBeside, SaysWhatIsMissingWhereItIsNeeded) {
  compare(true);
  lane.received("+OK\r\n+QUEUED\r\n" + kRefused + kAborted, now);
  EXPECT_EQ(sent(), Words{});
  EXPECT_TRUE(answer("c").reply.text.starts_with("NOPERM"));
}

}  // namespace
}  // namespace nearlane::cohere
