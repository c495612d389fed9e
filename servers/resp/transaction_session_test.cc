// Transactions over the embedded store, through a session: MULTI, WATCH, EXEC.

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servers/resp/cache_session_fixture.h"

namespace nearlane::resp {
namespace {

using TransactionSession = CacheSessionTest;

TEST_F(TransactionSession, QueuesAndExecutesAsRedisDoes) {
  for (const Exchange& e : std::vector<Exchange>{
           {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
           {"DISCARD\r\n", "-ERR DISCARD without MULTI\r\n"},
           {"UNWATCH\r\n", "+OK\r\n"},
           {"MULTI x\r\n", "-ERR wrong number of arguments for 'multi' command\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"EXEC\r\n", "*0\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"MULTI\r\n", "-ERR MULTI calls can not be nested\r\n"},
           {"WATCH a\r\n", "-ERR WATCH inside MULTI is not allowed\r\n"},
           {"SET a 1\r\n", "+QUEUED\r\n"},
           {"INCR a\r\n", "+QUEUED\r\n"},
           {"GET none\r\n", "+QUEUED\r\n"},
           {"PING\r\n", "+QUEUED\r\n"},
           {"HSET a f v\r\n", "+QUEUED\r\n"},
           {"PING a b\r\n", "+QUEUED\r\n"},
           {"MSET x 1 y\r\n", "+QUEUED\r\n"},
           {"UNWATCH\r\n", "+QUEUED\r\n"},
           {"MGET a none\r\n", "+QUEUED\r\n"},
           {"EXEC\r\n",
            "*9\r\n+OK\r\n:2\r\n$-1\r\n+PONG\r\n"
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
            "-ERR wrong number of arguments for 'ping' command\r\n"
            "-ERR wrong number of arguments for 'mset' command\r\n"
            "+OK\r\n*2\r\n$1\r\n2\r\n$-1\r\n"},
           {"GET a\r\n", "$1\r\n2\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"SET a 9\r\n", "+QUEUED\r\n"},
           {"DISCARD\r\n", "+OK\r\n"},
           {"GET a\r\n", "$1\r\n2\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"SET a 9\r\n", "+QUEUED\r\n"},
           {"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
           {"SET a 9\r\n", "+QUEUED\r\n"},
           {"EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
           {"GET a\r\n", "$1\r\n2\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"LPUSH l v\r\n",
            "-ERR unknown command 'LPUSH' with the embedded L2; it needs --l2 redis://…\r\n"},
           {"EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"NEARLANE.REVOKE a\r\n",
            "-ERR nearlane: 'nearlane.revoke' is not served inside MULTI\r\n"},
           {"EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
           {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
           {"EXEC x\r\n",
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
            "command\r\n"},
           {"MULTI\r\n", "+OK\r\n"},
           {"EXEC x\r\n",
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
            "command\r\n"},
           {"EXEC\r\n", "-ERR EXEC without MULTI\r\n"},
       }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
}

TEST_F(TransactionSession, ASubcommandThatIsNoneSpoilsTheTransaction) {
  for (const Exchange& wrong : std::vector<Exchange>{
           {"CLIENT SETNAME\r\n",
            "-ERR wrong number of arguments for 'client|setname' command\r\n"},
           {"client foo\r\n", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"},
           {"CONFIG FOO x\r\n", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP.\r\n"},
           {"CONFIG GET\r\n", "-ERR wrong number of arguments for 'config|get' command\r\n"},
           {"COMMAND FOO\r\n", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"},
           {"COMMAND COUNT 1\r\n",
            "-ERR wrong number of arguments for 'command|count' command\r\n"},
           {"PUBSUB FOO\r\n", "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP.\r\n"},
           {"PUBSUB NUMPAT x\r\n",
            "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n"},
       }) {
    EXPECT_EQ(serve("MULTI\r\nSET a 1\r\n" + std::string(wrong.in) + "EXEC\r\n"),
              "+OK\r\n+QUEUED\r\n" + std::string(wrong.out) +
                  "-EXECABORT Transaction discarded because of previous errors.\r\n");
    EXPECT_EQ(serve("GET a\r\n"), "$-1\r\n") << wrong.in;
  }
  EXPECT_EQ(serve("MULTI\r\nSET a 1\r\nCOMMAND LIST x\r\nPUBSUB CHANNELS a b\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR syntax error\r\n"
            "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB "
            "HELP.\r\n")
      << "what a subcommand thinks of its arguments is known when it is executed";
}

TEST_F(TransactionSession, SelectInsideATransactionTakesWhatFollowsElsewhere) {
  EXPECT_EQ(
      serve("SET a 0\r\nMULTI\r\nSELECT 1\r\nSET a 1\r\nSELECT 99\r\nGET a\r\nEXEC\r\nGET a\r\n"),
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
      "*4\r\n+OK\r\n+OK\r\n-ERR DB index is out of range\r\n$1\r\n1\r\n$1\r\n1\r\n");
  EXPECT_EQ(serve("SELECT 0\r\nGET a\r\n"), "+OK\r\n$1\r\n0\r\n");
}

TEST_F(TransactionSession, SpeaksTheClientsVersionInsideATransaction) {
  serve("HELLO 3\r\nHSET h f v\r\n");
  EXPECT_EQ(serve("HRANDFIELD h 1 WITHVALUES\r\n"), "*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
  EXPECT_EQ(serve("MULTI\r\nHGETALL h\r\nHRANDFIELD h 1 WITHVALUES\r\nGET none\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
            "*3\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n_\r\n");
  EXPECT_TRUE(serve("HELLO 2\r\n").starts_with("*14\r\n"));
  EXPECT_EQ(serve("HRANDFIELD h 1 WITHVALUES\r\n"), "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
  EXPECT_EQ(serve("MULTI\r\nHRANDFIELD h 1 WITHVALUES\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}

TEST_F(TransactionSession, AWatchHoldsUnlessSomebodyChangesTheKey) {
  const auto other = second();
  const std::string set = "MULTI\r\nSET k mine\r\nEXEC\r\n";
  EXPECT_EQ(serve("WATCH k j\r\nGET k\r\n" + set), "+OK\r\n$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  EXPECT_EQ(serve("WATCH k\r\n"), "+OK\r\n");
  EXPECT_EQ(other->serve("SET k theirs\r\n"), "+OK\r\n");
  EXPECT_EQ(serve(set), "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(serve(set), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n") << "EXEC has ended the watch";
  for (const char* end : {"UNWATCH\r\n", "MULTI\r\nDISCARD\r\n", "RESET\r\n"}) {
    EXPECT_EQ(serve("WATCH k\r\n"), "+OK\r\n");
    EXPECT_EQ(other->serve("SET k theirs\r\n"), "+OK\r\n");
    serve(end);
    EXPECT_EQ(serve(set), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n") << end;
  }
  serve("HELLO 3\r\nWATCH k\r\n");
  EXPECT_EQ(serve("SET k own\r\n"), "+OK\r\n") << "one's own writes count as well";
  EXPECT_EQ(serve(set), "+OK\r\n+QUEUED\r\n_\r\n");
  serve("WATCH k\r\n");
  serve("UNWATCH\r\nWATCH none\r\n");
  EXPECT_EQ(other->serve("SET k theirs\r\n"), "+OK\r\n");
  EXPECT_EQ(serve(set), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")
      << "what is watched is what was watched since";
}

TEST_F(TransactionSession, ReadsFromL2BetweenWatchAndExec) {
  serve("SET k 1\r\nSET j 1\r\n");
  EXPECT_EQ(serve("GET k\r\n"), "$1\r\n1\r\n");
  l2_->hold();
  EXPECT_EQ(serve("GET k\r\n"), "$1\r\n1\r\n") << "L1's";
  EXPECT_EQ(serve("WATCH k\r\nGET k\r\nMGET k j\r\nEXPIRE k 100\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U) << "what follows WATCH is not asked before it is answered";
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(l2_->held(), 1U);
    l2_->release(l2_->held());
    settle();
  }
  EXPECT_EQ(serve("UNWATCH\r\n"), "+OK\r\n");
}

TEST_F(TransactionSession, WhatFollowsExecWaitsForIt) {
  serve("SET k 0\r\n");
  l2_->hold();
  EXPECT_EQ(serve("MULTI\r\nSELECT 3\r\nSET k 3\r\nEXEC\r\nPING\r\nGET k\r\nSELECT 0\r\nGET k\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(l2_->held(), 1U);
  EXPECT_TRUE(session_->blocked());
  l2_->release(1);
  std::string rest = settle();
  while (l2_->held() > 0) {
    l2_->release(1);
    rest += settle();
  }
  EXPECT_EQ(rest, "*2\r\n+OK\r\n+OK\r\n+PONG\r\n$1\r\n3\r\n+OK\r\n$1\r\n0\r\n");
}

TEST_F(TransactionSession, ExecWaitsForWhatWasAskedBefore) {
  l2_->hold();
  EXPECT_EQ(serve("SET k 1\r\nMULTI\r\nINCR k\r\nEXEC\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n+OK\r\n+QUEUED\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), "*1\r\n:2\r\n");
}

TEST_F(TransactionSession, OthersNeverReadFromL1WhatATransactionHasReplaced) {
  const auto other = second();
  serve("SET a 1\r\nSET b 1\r\n");
  EXPECT_EQ(other->serve("GET a\r\nGET b\r\n"), "$1\r\n1\r\n$1\r\n1\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET a 2\r\nRENAME a b\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(other->serve("GET a\r\nGET b\r\n"), "$-1\r\n$1\r\n2\r\n");
  EXPECT_EQ(serve("MULTI\r\nFLUSHALL\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  EXPECT_EQ(other->serve("GET b\r\n"), "$-1\r\n");
}

TEST_F(TransactionSession, AFailedWatchStopsExec) {
  l2_->hold();
  EXPECT_EQ(serve("WATCH k\r\nMULTI\r\nSET k v\r\nEXEC\r\n"), "");
  l2_->fail(1);
  EXPECT_EQ(settle(),
            "-ERR nearlane: L2 cannot be reached; nothing was sent\r\n"
            "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(l2_->held(), 0U);
}

TEST_F(TransactionSession, SaysThatATransactionsOutcomeIsUnknown) {
  l2_->hold();
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n");
  tier_->stop();
  EXPECT_EQ(settle(),
            "-ERR nearlane: the server is shutting down; the outcome of this write is unknown\r\n");
}

TEST_F(TransactionSession, QueuesNoMoreThanItsLimits) {
  context_->limits.transaction = {.commands = 3, .bytes = 1000};
  EXPECT_EQ(serve("MULTI\r\nGET a\r\nGET a\r\nGET a\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(serve("GET a\r\n"),
            "-ERR nearlane: more than 3 commands or 1000 bytes in one MULTI\r\n");
  EXPECT_EQ(serve("GET a\r\n"), "+QUEUED\r\n") << "as Redis says it of a spoiled one";
  EXPECT_EQ(serve("EXEC\r\n"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET a " + std::string(900, 'v') + "\r\n"),
            "+OK\r\n-ERR nearlane: more than 3 commands or 1000 bytes in one MULTI\r\n");
  EXPECT_EQ(serve("DISCARD\r\n"), "+OK\r\n");
  EXPECT_EQ(serve("WATCH a b\r\nWATCH a b\r\n"),
            "+OK\r\n-ERR nearlane: more than 3 keys or 1000 bytes of names watched\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET c 1\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n*-1\r\n")
      << "not all is watched that was to be";
  EXPECT_EQ(serve("WATCH a b c\r\nMULTI\r\nGET c\r\nEXEC\r\n"),
            "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
}

TEST_F(TransactionSession, AnswersOfItsOwnInATransactionAreBounded) {
  context_->limits.max_held = 3000;
  std::string commands = "MULTI\r\n";
  for (int i = 0; i < 4; ++i) commands += "PING " + std::string(1000, 'p') + "\r\n";
  serve(commands + "SELECT 3\r\n");
  const std::string answers = serve("EXEC\r\n");
  EXPECT_LT(answers.size(), 3500U);
  EXPECT_NE(answers.find("longer than 3000 bytes; this was executed"), std::string::npos);
  EXPECT_EQ(serve("SET k 3\r\nSELECT 0\r\nGET k\r\n"), "+OK\r\n+OK\r\n$-1\r\n")
      << "what stands for an answer has been executed";
}

TEST_F(TransactionSession, WhatIsWrongBehindExecIsSaidBehindIt) {
  l2_->hold();
  serve("MULTI\r\nPING\r\nGET k\r\nEXEC\r\n*1\r\n!\r\n");
  l2_->release(1);
  const std::string answers = settle();
  EXPECT_TRUE(answers.starts_with("*2\r\n+PONG\r\n$-1\r\n-ERR Protocol error")) << answers;
}

TEST_F(TransactionSession, WhoHasGoneHasPublishedWhatItsTransactionSays) {
  auto other = second();
  serve("SUBSCRIBE c\r\n");
  other->serve("MULTI\r\nSET k v\r\nPUBLISH c told\r\n");
  l2_->hold();
  EXPECT_EQ(other->serve("EXEC\r\n"), "");
  other->session->detach();
  l2_->release(1);
  std::string heard = settle();
  heard += settle();
  EXPECT_EQ(heard, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntold\r\n");
}

TEST_F(TransactionSession, AClientThatLeavesWatchesNoLonger) {
  auto other = second();
  EXPECT_EQ(other->serve("WATCH k\r\nMULTI\r\nSET k v\r\n"), "+OK\r\n+OK\r\n+QUEUED\r\n");
  l2_->hold();
  EXPECT_EQ(other->serve("EXEC\r\n"), "");
  other->session->detach();
  l2_->release(1);
  settle();
  EXPECT_EQ(l2_->held(), 0U);
}

}  // namespace
}  // namespace nearlane::resp
