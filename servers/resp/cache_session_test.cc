// Wire tables of the RESP door, without sockets.

#include "servers/resp/cache_session.h"

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/counted_new.h"
#include "core/base/epoch.h"
#include "servers/resp/cache_session_fixture.h"

namespace nearlane::resp {
namespace {

TEST_F(CacheSessionTest, AnswersAsRedisDoes) {
  for (const Exchange& e : std::vector<Exchange>{
           {"PING\r\n", "+PONG\r\n"},
           {"PING hi\r\n", "$2\r\nhi\r\n"},
           {"ping a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n"},
           {"ECHO hi\r\n", "$2\r\nhi\r\n"},
           {"\r\n", ""},
           {"*0\r\n", ""},
           {"GET a\r\n", "$-1\r\n"},
           {"SET a 1\r\n", "+OK\r\n"},
           {"GET a\r\n", "$1\r\n1\r\n"},
           {"gEt a\r\n", "$1\r\n1\r\n"},
           {"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
           {"SET a 2 NX\r\n", "$-1\r\n"},
           {"SET b 2 XX\r\n", "$-1\r\n"},
           {"SET a 3 GET\r\n", "$1\r\n1\r\n"},
           {"SET a 4 EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n"},
           {"SET a 4 ZZ\r\n", "-ERR syntax error\r\n"},
           {"SETNX a 5\r\n", ":0\r\n"},
           {"SETNX n 5\r\n", ":1\r\n"},
           {"SETEX e 100 v\r\n", "+OK\r\n"},
           {"TTL e\r\n", ":100\r\n"},
           {"PERSIST e\r\n", ":1\r\n"},
           {"TTL e\r\n", ":-1\r\n"},
           {"EXPIRE e 50\r\n", ":1\r\n"},
           {"EXPIRE none 50\r\n", ":0\r\n"},
           {"GETEX e PERSIST\r\n", "$1\r\nv\r\n"},
           {"INCR c\r\n", ":1\r\n"},
           {"INCRBY c 41\r\n", ":42\r\n"},
           {"DECR c\r\n", ":41\r\n"},
           {"GET c\r\n", "$2\r\n41\r\n"},
           {"APPEND c x\r\n", ":3\r\n"},
           {"GET c\r\n", "$3\r\n41x\r\n"},
           {"STRLEN c\r\n", ":3\r\n"},
           {"TYPE c\r\n", "+string\r\n"},
           {"MSET x 1 y 2\r\n", "+OK\r\n"},
           {"MSET x 1 y\r\n", "-ERR wrong number of arguments for 'mset' command\r\n"},
           {"MGET x none y\r\n", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"},
           {"MGET x y\r\n", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"},
           {"EXISTS x y x none\r\n", ":3\r\n"},
           {"TOUCH x\r\n", ":1\r\n"},
           {"GETSET x 7\r\n", "$1\r\n1\r\n"},
           {"GETDEL x\r\n", "$1\r\n7\r\n"},
           {"GET x\r\n", "$-1\r\n"},
           {"DEL y none\r\n", ":1\r\n"},
           {"UNLINK a\r\n", ":1\r\n"},
           {"SELECT 1\r\n", "+OK\r\n"},
           {"GET c\r\n", "$-1\r\n"},
           {"SELECT 16\r\n", "-ERR DB index is out of range\r\n"},
           {"SELECT x\r\n", "-ERR value is not an integer or out of range\r\n"},
           {"SELECT -2147483648\r\n", "-ERR DB index is out of range\r\n"},
           {"SELECT 2147483648\r\n",
            "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
           {"SELECT -3000000000\r\n",
            "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
           {"SELECT 0\r\n", "+OK\r\n"},
           {"FLUSHALL\r\n", "+OK\r\n"},
           {"GET c\r\n", "$-1\r\n"},
           {"AUTH x\r\n",
            "-ERR AUTH <password> called without any password configured for the default user. Are "
            "you sure your configuration is correct?\r\n"},
           {"CLIENT SETNAME me\r\n", "+OK\r\n"},
           {"CLIENT GETNAME\r\n", "$2\r\nme\r\n"},
           {"CLIENT REPLY ON\r\n", "+OK\r\n"},
           {"CLIENT REPLY foo\r\n", "-ERR syntax error\r\n"},
           {"CLIENT REPLY\r\n", "-ERR wrong number of arguments for 'client|reply' command\r\n"},
           {"CLIENT NO-EVICT foo\r\n", "-ERR syntax error\r\n"},
           {"CLIENT FOO x\r\n", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n"},
           {"CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
           {"COMMAND INFO nope\r\n", "*1\r\n*-1\r\n"},
           {"COMMAND INFO dbsize\r\n",
            "*1\r\n*10\r\n$6\r\ndbsize\r\n:1\r\n*2\r\n+readonly\r\n+fast\r\n:0\r\n:0\r\n:0\r\n*"
            "0\r\n*0"
            "\r\n*0\r\n*0\r\n"},
           {"COMMAND DOCS\r\n", "*0\r\n"},
           {"COMMAND FOO\r\n", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"},
           {"HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"},
           {"HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"},
           {"HELLO 3 FOO\r\n", "-ERR Syntax error in HELLO option 'FOO'\r\n"},
           {"INFO server\r\n", "$10\r\n# server\r\n\r\n"},
           {"RESET\r\n", "+RESET\r\n"},
           {"CLIENT GETNAME\r\n", "$-1\r\n"},
       }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
}

TEST_F(CacheSessionTest, SpeaksRESP3AfterHello) {
  const std::string hello = serve("HELLO 3 SETNAME me\r\n");
  EXPECT_TRUE(hello.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"));
  EXPECT_NE(hello.find("$5\r\nproto\r\n:3\r\n"), std::string::npos);
  EXPECT_EQ(serve("GET none\r\n"), "_\r\n");
  EXPECT_EQ(serve("MGET none\r\n"), "*1\r\n_\r\n");
  EXPECT_EQ(serve("COMMAND INFO dbsize nope\r\n"),
            "*2\r\n*10\r\n$6\r\ndbsize\r\n:1\r\n~2\r\n+readonly\r\n+fast\r\n:0\r\n:0\r\n:0\r\n"
            "~0\r\n~0\r\n~0\r\n~0\r\n_\r\n");
  EXPECT_TRUE(serve("HELLO 2\r\n").starts_with("*14\r\n"));
  EXPECT_EQ(serve("GET none\r\n"), "$-1\r\n");
}

/// Each as redis-server 7.0.15 answers it.
TEST_F(CacheSessionTest, ClientReplyLeavesOutWhatItIsToldTo) {
  for (const Exchange& e : std::vector<Exchange>{
           {"SET a 1\r\nCLIENT REPLY OFF\r\nSET a 2\r\nGET a\r\nNOPE\r\nGET\r\nMGET a "
            "b\r\nPING\r\n",
            "+OK\r\n"},
           {"CLIENT REPLY SKIP\r\nEXPIRE a 100\r\nEXPIRE a 100\r\nHELLO x\r\n", ""},
           {"CLIENT REPLY ON\r\nGET a\r\n", "+OK\r\n$1\r\n2\r\n"},
           {"CLIENT REPLY SKIP\r\nSET a 3\r\nGET a\r\nGET a\r\n", "$1\r\n3\r\n$1\r\n3\r\n"},
           {"CLIENT REPLY SKIP\r\nGET a\r\nGET a\r\n", "$1\r\n3\r\n"},
           {"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nGET a\r\nPING\r\n", "+PONG\r\n"},
           {"CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n"},
           {"CLIENT REPLY SKIP\r\nNOPE\r\nPING\r\n", "+PONG\r\n"},
           {"CLIENT REPLY SKIP\r\n\r\nPING\r\n", "+PONG\r\n"},
           {"CLIENT REPLY OFF\r\nRESET\r\nPING\r\n", "+RESET\r\n+PONG\r\n"},
           {"CLIENT REPLY SKIP\r\nMULTI\r\nGET a\r\nEXEC\r\n", "+QUEUED\r\n*1\r\n$1\r\n3\r\n"},
           {"MULTI\r\nCLIENT REPLY SKIP\r\nGET a\r\nEXEC\r\nPING\r\nPING x\r\n",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n3\r\n$1\r\nx\r\n"},
           {"CLIENT REPLY OFF\r\nMULTI\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\nEXEC\r\nPING\r\n",
            "+OK\r\n$1\r\n3\r\n+PONG\r\n"},
           {"CLIENT REPLY SKIP\r\nSUBSCRIBE c\r\nPING\r\n",
            "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
           {"RESET\r\nCLIENT REPLY OFF\r\nSUBSCRIBE c\r\nSUBSCRIBE\r\nPING\r\n",
            "+RESET\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"},
       }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
  const auto other = second();
  EXPECT_EQ(other->serve("PUBLISH c x\r\n"), ":1\r\n");
  EXPECT_EQ(settle(), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n") << "it is no reply";
  EXPECT_EQ(serve("*1\r\n+x\r\n"), "");
  EXPECT_TRUE(session_->closing());
}

TEST_F(CacheSessionTest, ClientReplyIsOfTheCommandsBehindItThoughOthersAreUnanswered) {
  serve("SET a 1\r\n");
  l2_->hold();
  EXPECT_EQ(serve("GET none\r\nCLIENT REPLY OFF\r\nGET b\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\n"),
            "");
  l2_->release(1);
  EXPECT_EQ(settle(), "$-1\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(serve("MULTI\r\nCLIENT REPLY SKIP\r\nGET a\r\nEXEC\r\nGET a\r\nPING\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), "*2\r\n$1\r\n1\r\n+PONG\r\n");
  EXPECT_TRUE(session_->idle());
}

TEST_F(CacheSessionTest, ClientListShowsWhomItIsAskedFor) {
  const auto other = second();
  EXPECT_EQ(other->serve("CLIENT ID\r\n"), ":2\r\n");
  other->serve("CLIENT SETNAME heard\r\nSUBSCRIBE c\r\n");
  const auto shown = [this](const std::string& which) {
    const std::string list = serve("CLIENT LIST " + which + "\r\n");
    return std::string(list.find("id=1 ") != std::string::npos ? "1" : "") +
           (list.find("id=2 ") != std::string::npos ? "2" : "") + (list == "$0\r\n\r\n" ? "-" : "");
  };
  EXPECT_EQ(shown(""), "12");
  EXPECT_EQ(shown("ID 2"), "2");
  EXPECT_EQ(shown("ID 2 1 99"), "12");
  EXPECT_EQ(shown("id 99 -1"), "-");
  EXPECT_EQ(shown("TYPE normal"), "1");
  EXPECT_EQ(shown("TYPE PubSub"), "2");
  EXPECT_EQ(shown("TYPE replica"), "-");
  for (const Exchange& e :
       std::vector<Exchange>{{"CLIENT LIST x\r\n", "-ERR syntax error\r\n"},
                             {"CLIENT LIST ID\r\n", "-ERR syntax error\r\n"},
                             {"CLIENT LIST TYPE normal x\r\n", "-ERR syntax error\r\n"},
                             {"CLIENT LIST ID x\r\n", "-ERR Invalid client ID\r\n"},
                             {"CLIENT LIST TYPE foo\r\n", "-ERR Unknown client type 'foo'\r\n"}}) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
}

TEST_F(CacheSessionTest, ClientKillHangsUpOnWhomItNames) {
  for (const Exchange& e : std::vector<Exchange>{
           {"CLIENT KILL ID 999\r\n", ":0\r\n"},
           {"CLIENT KILL 1.2.3.4:5\r\n", "-ERR No such client\r\n"},
           {"CLIENT KILL ID\r\n", "-ERR No such client\r\n"},
           {"CLIENT KILL\r\n", "-ERR wrong number of arguments for 'client|kill' command\r\n"},
           {"CLIENT KILL ID x\r\n", "-ERR client-id should be greater than 0\r\n"},
           {"CLIENT KILL ID 0\r\n", "-ERR client-id should be greater than 0\r\n"},
           {"CLIENT KILL FOO x\r\n", "-ERR syntax error\r\n"},
           {"CLIENT KILL ID 999 ADDR\r\n", "-ERR syntax error\r\n"},
           {"CLIENT KILL SKIPME maybe\r\n", "-ERR syntax error\r\n"},
           {"CLIENT KILL TYPE foo\r\n", "-ERR Unknown client type 'foo'\r\n"},
           {"CLIENT KILL TYPE master\r\n", ":0\r\n"},
           {"CLIENT KILL USER nobody\r\n", "-ERR No such user 'nobody'\r\n"},
           {"CLIENT KILL USER default\r\n", ":0\r\n"},
       }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
    EXPECT_FALSE(session_->closing()) << e.in;
  }
  const auto waiting = second();
  const auto hearing = second();
  hearing->serve("SUBSCRIBE c\r\n");
  l2_->hold();
  EXPECT_EQ(waiting->serve("PING\r\nGET none\r\n"), "+PONG\r\n");
  EXPECT_EQ(serve("CLIENT KILL TYPE pubsub\r\n"), ":1\r\n");
  EXPECT_TRUE(hearing->session->closing());
  EXPECT_FALSE(waiting->session->closing());
  EXPECT_EQ(serve("CLIENT KILL ID 2\r\n"), ":1\r\n");
  EXPECT_TRUE(waiting->session->closing() && waiting->session->idle());
  l2_->release(1);
  EXPECT_EQ(waiting->settle(), "") << "nothing is sent any more";
  EXPECT_EQ(serve("CLIENT KILL ID 1 SKIPME no\r\nPING\r\n"), ":1\r\n");
  EXPECT_TRUE(session_->closing());
}

TEST_F(CacheSessionTest, AnswersAlikeHoweverTheBytesArrive) {
  const std::string in = "SET a 1\r\n" + get("a") + get("b") + "MGET a b\r\nINCR a\r\n" + get("a") +
                         "SET s:1 x\r\n*2\r\n$15\r\nNEARLANE.REVOKE\r\n$3\r\ns:1\r\n" + get("s:1") +
                         "nearlane.revoke s:1\r\n";
  const std::string whole = serve(in);
  EXPECT_EQ(whole,
            "+OK\r\n$1\r\n1\r\n$-1\r\n*2\r\n$1\r\n1\r\n$-1\r\n:2\r\n$1\r\n2\r\n"
            "+OK\r\n:1\r\n$-1\r\n:0\r\n");
  for (std::size_t split = 0; split <= in.size(); ++split) {
    EXPECT_EQ(serve("FLUSHALL\r\n"), "+OK\r\n");
    std::string pieces = serve(in.substr(0, split));
    pieces += serve(in.substr(split));
    ASSERT_EQ(pieces, whole) << split;
  }
  EXPECT_EQ(serve("FLUSHALL\r\n"), "+OK\r\n");
  std::string single;
  for (const char byte : in) single += serve(std::string_view(&byte, 1));
  EXPECT_EQ(single, whole);
}

TEST_F(CacheSessionTest, ClosesAfterAProtocolErrorAndAnswersWhatCameBefore) {
  EXPECT_EQ(serve("PING\r\n*1\r\n+x\r\nPING\r\n"),
            "+PONG\r\n-ERR Protocol error: expected '$', got '+'\r\n");
  EXPECT_TRUE(session_->closing());
}

TEST_F(CacheSessionTest, RefusesKeysThatAreTooLong) {
  const std::string key(64 * 1024 + 1, 'k');
  EXPECT_EQ(serve(get(key)), "-ERR nearlane: the key is longer than 64 KiB\r\n");
  EXPECT_EQ(serve(get(key.substr(1))), "$-1\r\n");
  EXPECT_EQ(serve(get("")), "$-1\r\n");
}

TEST_F(CacheSessionTest, KeepsRepliesInTheOrderOfCommands) {
  serve("SET a 1\r\nSET b 2\r\n");
  l2_->hold();
  // b is read from L1, none from L2: the hit must wait behind the miss, and PING behind both.
  EXPECT_EQ(serve("GET none\r\nGET b\r\nPING\r\nGET none2\r\nGET a\r\n"), "");
  EXPECT_EQ(l2_->held(), 2U);
  l2_->release(1);
  EXPECT_EQ(settle(), "$-1\r\n$1\r\n2\r\n+PONG\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), "$-1\r\n$1\r\n1\r\n");
  EXPECT_TRUE(session_->idle());
}

TEST_F(CacheSessionTest, ReadsItsOwnPipelinedWriteThroughL2) {
  serve("SET a 1\r\n");
  EXPECT_EQ(serve("GET a\r\n"), "$1\r\n1\r\n");
  l2_->hold();
  EXPECT_EQ(serve("INCR a\r\nGET a\r\n"), "");
  // Both were sent: the GET follows the INCR down its lane.
  EXPECT_EQ(l2_->held(), 2U);
  l2_->release(2);
  EXPECT_EQ(settle(), ":2\r\n$1\r\n2\r\n");
}

TEST_F(CacheSessionTest, CommandsOutsideTheLanesWaitAndAreWaitedFor) {
  l2_->hold();
  EXPECT_EQ(serve("SET a 1\r\nDEL a b\r\nPING\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U);
  EXPECT_TRUE(session_->blocked());
  l2_->release(1);
  // The reply lets the DEL go, which holds the PING back in its turn.
  EXPECT_EQ(settle(), "+OK\r\n");
  EXPECT_EQ(l2_->held(), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(), ":1\r\n+PONG\r\n");
}

TEST_F(CacheSessionTest, AStrictRevocationIsAnsweredAfterTheLeaseAndHoldsBackWhatFollows) {
  l2_->lease = std::chrono::milliseconds(250);
  serve("SET s:1 x\r\nSET a 1\r\n");
  EXPECT_EQ(serve("NEARLANE.REVOKE s:1\r\nINCR a\r\nPING\r\nGET s:1\r\n"), "");
  ASSERT_EQ(waits_.size(), 1U);
  EXPECT_GE(waits_[0].first, std::chrono::microseconds(252'500)) << "clocks may drift by a percent";
  EXPECT_FALSE(session_->idle()) << "a drain lets it end";
  waits_[0].second();
  EXPECT_EQ(settle(), ":1\r\n:2\r\n+PONG\r\n$-1\r\n");
  EXPECT_TRUE(session_->idle());
  waits_.clear();

  EXPECT_EQ(serve("NEARLANE.REVOKE s:1\r\n"), "") << "a copy may live on where the key does not";
  ASSERT_EQ(waits_.size(), 1U);
  waits_[0].second();
  EXPECT_EQ(settle(), ":0\r\n");
}

TEST_F(CacheSessionTest, RefusesToRevokeStrictlyWhatMayBeServedStale) {
  serve("SET a 1\r\n");
  EXPECT_EQ(
      serve("NEARLANE.REVOKE a\r\n"),
      "-ERR nearlane: the key may be served for 60000 ms after L2 was lost (max_stale), so it "
      "cannot be revoked strictly; a [[prefix]] with max_stale = 0 allows it\r\n");
  EXPECT_EQ(serve("GET a\r\n"), "$1\r\n1\r\n") << "and nothing happened";
  EXPECT_EQ(serve("NEARLANE.REVOKE\r\n"),
            "-ERR wrong number of arguments for 'nearlane.revoke' command\r\n");
}

TEST_F(CacheSessionTest, StopsReadingAtItsCaps) {
  l2_->hold();
  std::string many;
  for (std::size_t i = 0; i < context_->limits.max_unanswered + 10; ++i) {
    many += "GET none" + std::to_string(i) + "\r\n";
  }
  EXPECT_EQ(serve(many), "");
  EXPECT_TRUE(session_->blocked());
  EXPECT_LE(l2_->held(), context_->limits.max_unanswered);
  l2_->release(l2_->held());
  std::string replies = settle();
  for (int i = 0; i < 3; ++i) {
    l2_->release(l2_->held());
    replies += settle();
  }
  EXPECT_EQ(replies.size(), 5 * (context_->limits.max_unanswered + 10));

  // PINGs behind an unanswered command count as held replies.
  EXPECT_EQ(serve("GET none\r\n"), "");
  std::string pings;
  for (std::size_t i = 0; i < context_->limits.max_output; i += 6) pings += "PING\r\n";
  EXPECT_EQ(serve(pings), "");
  EXPECT_TRUE(session_->blocked());
}

TEST_F(CacheSessionTest, WhatNoEmbeddedStoreKnowsIsRefusedHereAndL1ServesOn) {
  serve("SET k v\r\nGET k\r\n");
  const std::uint64_t epoch = l2_->lanes()[0].epoch();
  l2_->hold();
  EXPECT_EQ(serve("GET none\r\n"), "");
  EXPECT_EQ(serve("LPUSH l v\r\nGET k\r\nMULTI\r\nSLOWLGO LEN\r\nEXEC\r\n"), "")
      << "in the order of the commands";
  EXPECT_EQ(l2_->held(), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(),
            "$-1\r\n-ERR unknown command 'LPUSH' with the embedded L2; it needs --l2 redis://…\r\n"
            "$1\r\nv\r\n+OK\r\n"
            "-ERR unknown command 'SLOWLGO' with the embedded L2; it needs --l2 redis://…\r\n"
            "-EXECABORT Transaction discarded because of previous errors.\r\n");
  EXPECT_EQ(l2_->lanes()[0].epoch(), epoch);
  EXPECT_EQ(l2_->held(), 0U);
}

TEST_F(CacheSessionTest, RefusesInTheWordsOfTheStore) {
  for (const std::string& name : {std::string("NOPE"), std::string(200, 'n')}) {
    std::string words;
    tier_->execute({.db = 0, .args = {name}, .keys = {}}, kForever,
                   [&words](Result<protocol::Reply> reply) { words = reply.error().detail; });
    EXPECT_EQ(serve(name + "\r\n"), "-" + words + "\r\n");
  }
}

TEST_F(CacheSessionTest, SaysWhenAWritesOutcomeIsUnknown) {
  l2_->hold();
  serve("SET a 1\r\n");
  tier_->stop();
  EXPECT_EQ(settle(),
            "-ERR nearlane: the server is shutting down; the outcome of this write is unknown\r\n");
}

TEST_F(CacheSessionTest, WarmedPipelinedHitsAllocateNothing) {
  std::string batch;
  for (int i = 0; i < 200; ++i) {
    const std::string key = "session:" + std::to_string(i);
    serve("SET " + key + " " + std::string(300, 'v') + "\r\n");
    batch += get(key);
  }
  const auto once = [&] {
    const std::size_t taken = session_->serve(batch, Clock::now());
    const bool all = taken == batch.size() && session_->output().size() == 200 * (6 + 300 + 2);
    session_->output().drop_front(session_->output().size());
    return all;
  };
  ASSERT_TRUE(once());
  ASSERT_TRUE(once());
  const std::uint64_t before = allocations.load();
  bool all = true;
  for (int i = 0; i < 100; ++i) all = once() && all;
  EXPECT_EQ(allocations.load() - before, 0U);
  EXPECT_TRUE(all);
}

TEST_F(CacheSessionTest, RecordsTheLatencyOfEachHit) {
  serve("SET a 1\r\n");
  const auto before = stats_.l1_latency.snapshot().count();
  serve(get("a") + get("a") + get("none"));
  EXPECT_EQ(stats_.l1_latency.snapshot().count() - before, 2U);
}

struct OneSlotTable {
  cohere::SlotLanes slots;
};
class OverACluster : public OneSlotTable, public CacheSessionTest {
 protected:
  OverACluster() : CacheSessionTest("", &slots) {}
};

TEST_F(OverACluster, ReadsBehindAWriteWhoseSlotMoves) {
  EXPECT_EQ(serve("SET k old\r\n"), "+OK\r\n");
  l2_->hold();
  EXPECT_EQ(serve("SET k new\r\n"), "");
  // The other lane vouches for what it has read before.
  slots.move(cohere::slot_of("k"), 1);
  EXPECT_EQ(serve("GET k\r\n"), "") << "it waits";
  EXPECT_EQ(serve("EXPIRE k 100\r\n"), "");
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n$3\r\nnew\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), ":1\r\n");
}

TEST_F(OverACluster, ReadsOfOneSlotMayBeTogether) {
  EXPECT_EQ(serve("MSET {t}a 1 {t}b 2\r\n"), "+OK\r\n");
  EXPECT_EQ(serve("MGET {t}a {t}b\r\n"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  l2_->hold();
  EXPECT_EQ(serve("MGET {t}a {t}b\r\n"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n") << "from L1";
  EXPECT_EQ(serve("MGET a b\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U) << "whole";
  l2_->release(1);
  settle();
}

class WithPassword : public CacheSessionTest {
 protected:
  WithPassword() : CacheSessionTest("secret") {}
};

TEST_F(WithPassword, AsksForItFirst) {
  for (const Exchange& e : std::vector<Exchange>{
           {"GET a\r\n", "-NOAUTH Authentication required.\r\n"},
           {"PING\r\n", "-NOAUTH Authentication required.\r\n"},
           {"FOO\r\n", "-NOAUTH Authentication required.\r\n"},
           {"AUTH wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
           {"AUTH other secret\r\n",
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
           {"AUTH default secret\r\n", "+OK\r\n"},
           {"GET a\r\n", "$-1\r\n"},
           {"RESET\r\n", "+RESET\r\n"},
           {"GET a\r\n", "-NOAUTH Authentication required.\r\n"},
       }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
  EXPECT_TRUE(serve("HELLO 3\r\n").starts_with("-NOAUTH HELLO must be called"));
  EXPECT_TRUE(serve("HELLO 3 AUTH default secret\r\n").starts_with("%7\r\n"));
}

TEST_F(WithPassword, StrangersCannotMakeTheServerHoldMuch) {
  EXPECT_EQ(serve("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_TRUE(session_->closing());
}

}  // namespace
}  // namespace nearlane::resp
