// Wire tables of the RESP door, without sockets: bytes in, bytes out, over the embedded store; and
//                                                a store whose
// answers the test holds back, for the order of commands and replies.

#include "servers/resp/cache_session.h"

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/counted_new.h"
#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/l2/forwarding_backend.h"
#include "servers/resp/output_bytes.h"

namespace nearlane::resp {
namespace {

/// A store that executes nothing until it is told to, in the order in which commands came.
class HeldBackend final : public l2::ForwardingBackend {
 public:
  /// `slots`: of a cluster of two lanes; null: it is none.
  explicit HeldBackend(std::unique_ptr<l2::L2Backend> behind, const cohere::SlotLanes* slots)
      : ForwardingBackend(std::move(behind)), slots_(slots) {
    for (auto& view : views_) view.set_lease(kForever);
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return slots_ == nullptr ? ForwardingBackend::lanes() : views_;
  }
  [[nodiscard]] const cohere::SlotLanes* slots() const noexcept override { return slots_; }

  /// As if others had copies for so long after L2 has announced nothing to them.
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    l2::Capabilities mine = ForwardingBackend::capabilities();
    mine.lease = lease;
    return mine;
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (open_) {
      behind_->submit(std::move(call));
    } else {
      held_.push_back(std::move(call));
    }
  }
  void stop() noexcept override {
    for (; !held_.empty(); held_.pop_front()) {
      l2::Answer ended{.error = Error{Errc::shutting_down}};
      held_.front()->settle(ended);
      held_.front()->complete(std::move(ended));
    }
    behind_->stop();
  }

  void hold() { open_ = false; }
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  /// So many calls fail, as where nothing can be sent.
  void fail(std::size_t count) {
    for (; count > 0 && !held_.empty(); --count) {
      auto call = std::move(held_.front());
      held_.pop_front();
      l2::Answer failed{.error = Error{Errc::unavailable}};
      call->settle(failed);
      call->complete(std::move(failed));
    }
  }
  void release(std::size_t count) {
    for (; count > 0 && !held_.empty(); --count) {
      auto call = std::move(held_.front());
      held_.pop_front();
      behind_->submit(std::move(call));
    }
  }

  Duration lease{};

 private:
  const cohere::SlotLanes* slots_;
  std::array<cohere::LaneView, 2> views_;
  std::deque<std::unique_ptr<l2::Call>> held_;
  bool open_ = true;
};

class CacheSessionTest : public testing::Test, public Session::Host {
 protected:
  CacheSessionTest() : CacheSessionTest("") {}
  explicit CacheSessionTest(std::string password, const cohere::SlotLanes* slots = nullptr)
      : password_(std::move(password)) {
    auto memory = l2::make_l2({.url = "memory:"}, {});
    auto held = std::make_unique<HeldBackend>(std::move(*memory), slots);
    l2_ = held.get();
    auto l1 = l1::make_l1({.bytes = std::uint64_t{64} << 20U});
    tier_ = std::make_unique<tier::TieredCache>(
        tier::TierConfig{.prefixes = {{.match = "s:", .rules = {.max_stale = Duration::zero()}}},
                         .after =
                             [this](Duration wait, std::function<void()> task) {
                               waits_.emplace_back(wait, std::move(task));
                             }},
        std::move(*l1), std::move(held));
    tier_->start();
    context_ = std::make_unique<SessionContext>(SessionContext{.tier = *tier_,
                                                               .home = loop_,
                                                               .stats = stats_,
                                                               .clients = clients_,
                                                               .channels = channels_,
                                                               .password = password_,
                                                               .info = info_});
    session_ = std::make_shared<CacheSession>(*context_, *this, ClientInfo{});
  }
  ~CacheSessionTest() override {
    tier_->stop();
    loop_.context().poll();
    session_->detach();
  }

  /// Bytes in, bytes out.
  std::string serve(std::string_view bytes) {
    input_ += bytes;
    loop_.post([this] { go_on(); });
    return settle();
  }
  /// Runs what L2's answers posted home.
  std::string settle() {
    loop_.context().restart();
    loop_.context().poll();
    return take_bytes(session_->output());
  }
  void go_on() {
    session_->refill();
    input_.erase(0, session_->serve(input_, Clock::now()));
  }
  void answered() noexcept override { go_on(); }

  struct Client;
  std::unique_ptr<Client> second();

  static std::string get(std::string_view key) {
    return "*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + std::string(key) + "\r\n";
  }

  std::string password_;
  loop::Loop loop_{0};
  loop::DoorStats stats_{commands().size()};
  ClientRegistry clients_;
  Channels channels_;
  std::function<std::string(std::string_view)> info_ = [](std::string_view section) {
    return "# " + std::string(section) + "\r\n";
  };
  std::deque<std::pair<Duration, std::function<void()>>> waits_;  // of strict revocations
  HeldBackend* l2_ = nullptr;
  std::unique_ptr<tier::TieredCache> tier_;
  std::unique_ptr<SessionContext> context_;
  std::shared_ptr<CacheSession> session_;
  std::string input_;
};

/// Another client of the same loop.
struct CacheSessionTest::Client final : Session::Host {
  explicit Client(CacheSessionTest& home)
      : test(home), session(std::make_shared<CacheSession>(*home.context_, *this, ClientInfo{})) {}
  ~Client() override { session->detach(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string serve(std::string_view bytes) {
    input += bytes;
    test.loop_.post([this] { answered(); });
    return settle();
  }
  std::string settle() {
    test.loop_.context().restart();
    test.loop_.context().poll();
    return take_bytes(session->output());
  }
  void answered() noexcept override {
    session->refill();
    input.erase(0, session->serve(input, Clock::now()));
  }

  CacheSessionTest& test;
  std::shared_ptr<CacheSession> session;
  std::string input;
};

std::unique_ptr<CacheSessionTest::Client> CacheSessionTest::second() {
  return std::make_unique<Client>(*this);
}

struct Exchange {
  std::string_view in;
  std::string_view out;
};

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
           {"SELECT 0\r\n", "+OK\r\n"},
           {"FLUSHALL\r\n", "+OK\r\n"},
           {"GET c\r\n", "$-1\r\n"},
           {"AUTH x\r\n",
            "-ERR AUTH <password> called without any password configured for the default user. Are "
            "you sure your configuration is correct?\r\n"},
           {"CLIENT SETNAME me\r\n", "+OK\r\n"},
           {"CLIENT GETNAME\r\n", "$2\r\nme\r\n"},
           {"CLIENT REPLY ON\r\n", "+OK\r\n"},
           {"CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
           {"COMMAND INFO nope\r\n", "*1\r\n*-1\r\n"},
           {"COMMAND DOCS\r\n", "*0\r\n"},
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
  EXPECT_TRUE(serve("HELLO 2\r\n").starts_with("*14\r\n"));
  EXPECT_EQ(serve("GET none\r\n"), "$-1\r\n");
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

// ---- Transactions over the embedded store.

TEST_F(CacheSessionTest, QueuesAndExecutesAsRedisDoes) {
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

TEST_F(CacheSessionTest, SelectInsideATransactionTakesWhatFollowsElsewhere) {
  EXPECT_EQ(
      serve("SET a 0\r\nMULTI\r\nSELECT 1\r\nSET a 1\r\nSELECT 99\r\nGET a\r\nEXEC\r\nGET a\r\n"),
      "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
      "*4\r\n+OK\r\n+OK\r\n-ERR DB index is out of range\r\n$1\r\n1\r\n$1\r\n1\r\n");
  EXPECT_EQ(serve("SELECT 0\r\nGET a\r\n"), "+OK\r\n$1\r\n0\r\n");
}

TEST_F(CacheSessionTest, SpeaksTheClientsVersionInsideATransaction) {
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

TEST_F(CacheSessionTest, AWatchHoldsUnlessSomebodyChangesTheKey) {
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

TEST_F(CacheSessionTest, ReadsFromL2BetweenWatchAndExec) {
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

TEST_F(CacheSessionTest, WhatFollowsExecWaitsForIt) {
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

TEST_F(CacheSessionTest, ExecWaitsForWhatWasAskedBefore) {
  l2_->hold();
  EXPECT_EQ(serve("SET k 1\r\nMULTI\r\nINCR k\r\nEXEC\r\n"), "");
  EXPECT_EQ(l2_->held(), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n+OK\r\n+QUEUED\r\n");
  l2_->release(1);
  EXPECT_EQ(settle(), "*1\r\n:2\r\n");
}

TEST_F(CacheSessionTest, OthersNeverReadFromL1WhatATransactionHasReplaced) {
  const auto other = second();
  serve("SET a 1\r\nSET b 1\r\n");
  EXPECT_EQ(other->serve("GET a\r\nGET b\r\n"), "$1\r\n1\r\n$1\r\n1\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET a 2\r\nRENAME a b\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(other->serve("GET a\r\nGET b\r\n"), "$-1\r\n$1\r\n2\r\n");
  EXPECT_EQ(serve("MULTI\r\nFLUSHALL\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  EXPECT_EQ(other->serve("GET b\r\n"), "$-1\r\n");
}

TEST_F(CacheSessionTest, AFailedWatchStopsExec) {
  l2_->hold();
  EXPECT_EQ(serve("WATCH k\r\nMULTI\r\nSET k v\r\nEXEC\r\n"), "");
  l2_->fail(1);
  EXPECT_EQ(settle(),
            "-ERR nearlane: L2 cannot be reached; nothing was sent\r\n"
            "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(l2_->held(), 0U);
}

TEST_F(CacheSessionTest, SaysThatATransactionsOutcomeIsUnknown) {
  l2_->hold();
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n");
  tier_->stop();
  EXPECT_EQ(settle(),
            "-ERR nearlane: the server is shutting down; the outcome of this write is unknown\r\n");
}

TEST_F(CacheSessionTest, QueuesNoMoreThanItsLimits) {
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

TEST_F(CacheSessionTest, AnswersOfItsOwnInATransactionAreBounded) {
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

TEST_F(CacheSessionTest, WhatIsWrongBehindExecIsSaidBehindIt) {
  l2_->hold();
  serve("MULTI\r\nPING\r\nGET k\r\nEXEC\r\n*1\r\n!\r\n");
  l2_->release(1);
  const std::string answers = settle();
  EXPECT_TRUE(answers.starts_with("*2\r\n+PONG\r\n$-1\r\n-ERR Protocol error")) << answers;
}

TEST_F(CacheSessionTest, WhoHasGoneHasPublishedWhatItsTransactionSays) {
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

TEST_F(CacheSessionTest, AClientThatLeavesWatchesNoLonger) {
  auto other = second();
  EXPECT_EQ(other->serve("WATCH k\r\nMULTI\r\nSET k v\r\n"), "+OK\r\n+OK\r\n+QUEUED\r\n");
  l2_->hold();
  EXPECT_EQ(other->serve("EXEC\r\n"), "");
  other->session->detach();
  l2_->release(1);
  settle();
  EXPECT_EQ(l2_->held(), 0U);
}

// ---- Channels.

TEST_F(CacheSessionTest, SubscribesAsRedisDoes) {
  for (
      const Exchange& e : std::vector<Exchange>{
          {"PUBLISH c x\r\n", ":0\r\n"},
          {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"},
          {"PUNSUBSCRIBE p\r\n", "*3\r\n$12\r\npunsubscribe\r\n$1\r\np\r\n:0\r\n"},
          {"SUBSCRIBE\r\n", "-ERR wrong number of arguments for 'subscribe' command\r\n"},
          {"SUBSCRIBE c d\r\n",
           "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n"},
          {"SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n"},
          {"PSUBSCRIBE c*\r\n", "*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:3\r\n"},
          {"PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
          {"PING hi\r\n", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"},
          {"GET k\r\n",
           "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
           "are allowed in this context\r\n"},
          {"CLIENT ID\r\n",
           "-ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
           "RESET are allowed in this context\r\n"},
          {"MULTI\r\n",
           "-ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
           "RESET "
           "are allowed in this context\r\n"},
          {"EXEC\r\n",
           "-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE "
           "/ "
           "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"},
          {"UNSUBSCRIBE d\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nd\r\n:2\r\n"},
          {"UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:1\r\n"},
          {"PUNSUBSCRIBE\r\n", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nc*\r\n:0\r\n"},
          {"GET k\r\n", "$-1\r\n"},
          {"SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"},
          {"RESET\r\n", "+RESET\r\n"},
          {"PUBLISH c x\r\n", ":0\r\n"},
          {"PUBSUB NUMPAT x\r\n", "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n"},
          {"PUBSUB NOPE\r\n", "-ERR unknown subcommand 'NOPE'. Try PUBSUB HELP.\r\n"},
      }) {
    EXPECT_EQ(serve(e.in), e.out) << e.in;
  }
}

TEST_F(CacheSessionTest, HearsWhatIsPublished) {
  const auto other = second();
  serve("SUBSCRIBE news\r\nPSUBSCRIBE n[a-f]ws\r\n");
  EXPECT_EQ(other->serve("PUBLISH news one\r\n"), ":2\r\n");
  EXPECT_EQ(settle(),
            "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n"
            "*4\r\n$8\r\npmessage\r\n$8\r\nn[a-f]ws\r\n$4\r\nnews\r\n$3\r\none\r\n");
  EXPECT_EQ(other->serve("PUBLISH nzws two\r\n"), ":0\r\n");
  EXPECT_EQ(other->serve("PUBSUB CHANNELS\r\nPUBSUB CHANNELS x*\r\nPUBSUB NUMSUB news none\r\n"
                         "PUBSUB NUMPAT\r\n"),
            "*1\r\n$4\r\nnews\r\n*0\r\n*4\r\n$4\r\nnews\r\n:1\r\n$4\r\nnone\r\n:0\r\n:1\r\n");
  EXPECT_NE(other->serve("CLIENT LIST\r\n").find("flags=P db=0 sub=1 psub=1"), std::string::npos);
  // What is on its way to somebody who has left the channel meanwhile is not for him.
  (void)context_->channels.publish("news", "late");
  const std::string_view leave = "UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\n";
  EXPECT_EQ(session_->serve(leave, Clock::now()), leave.size());
  EXPECT_EQ(settle(),
            "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n"
            "*3\r\n$12\r\npunsubscribe\r\n$8\r\nn[a-f]ws\r\n:0\r\n");
  EXPECT_EQ(other->serve("PUBLISH news x\r\n"), ":0\r\n");
}

TEST_F(CacheSessionTest, SubscribersOfRESP3GoOnAsBefore) {
  const auto other = second();
  serve("HELLO 3\r\n");
  EXPECT_EQ(serve("SUBSCRIBE news\r\n"), ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
  EXPECT_EQ(serve("PING\r\nSET k v\r\nGET k\r\n"), "+PONG\r\n+OK\r\n$1\r\nv\r\n");
  l2_->hold();
  EXPECT_EQ(serve("GET none\r\n"), "");
  EXPECT_EQ(other->serve("PUBLISH news one\r\n"), ":1\r\n");
  EXPECT_EQ(settle(), ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\none\r\n")
      << "which answers nothing";
  l2_->release(1);
  EXPECT_EQ(settle(), "_\r\n");
  EXPECT_EQ(serve("UNSUBSCRIBE x\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE\r\n"),
            ">3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:1\r\n"
            ">3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n"
            ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
}

TEST_F(CacheSessionTest, SubscribingAndPublishingWaitForEarlierCommands) {
  const auto other = second();
  other->serve("SUBSCRIBE c\r\n");
  l2_->hold();
  EXPECT_EQ(serve("SET k v\r\nPUBLISH c told\r\n"), "");
  EXPECT_EQ(other->settle(), "") << "not before it is written";
  l2_->release(1);
  EXPECT_EQ(settle(), "+OK\r\n:1\r\n");
  EXPECT_EQ(other->settle(), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntold\r\n");
  EXPECT_EQ(serve("GET none\r\nSUBSCRIBE c\r\n"), "");
  EXPECT_EQ(context_->channels.subscribers("c"), 1U);
  l2_->release(1);
  EXPECT_EQ(settle(), "$-1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
}

TEST_F(CacheSessionTest, PublishesAndSubscribesInsideATransaction) {
  const auto other = second();
  other->serve("SUBSCRIBE c\r\n");
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nPUBLISH c told\r\nDISCARD\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+OK\r\n");
  EXPECT_EQ(other->settle(), "");
  EXPECT_EQ(serve("MULTI\r\nSET k v\r\nPUBLISH c told\r\nGET k\r\nSUBSCRIBE d\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
            "*4\r\n+OK\r\n:1\r\n$1\r\nv\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n");
  EXPECT_EQ(other->settle(), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntold\r\n");
}

TEST_F(CacheSessionTest, SubscribesToNoMoreThanItsLimit) {
  context_->limits.max_subscriptions = 2;
  EXPECT_EQ(serve("SUBSCRIBE a b c\r\n"),
            "-ERR nearlane: more than 2 subscriptions of one connection\r\n");
  serve("SUBSCRIBE a\r\nPSUBSCRIBE b\r\n");
  EXPECT_EQ(serve("SUBSCRIBE c\r\n"),
            "-ERR nearlane: more than 2 subscriptions of one connection\r\n");
  serve("RESET\r\n");
  EXPECT_EQ(serve("*2\r\n$9\r\nSUBSCRIBE\r\n$65537\r\n" + std::string(65537, 'c') + "\r\n"),
            "-ERR nearlane: the name of a channel is longer than 64 KiB\r\n");
  EXPECT_EQ(
      serve("*3\r\n$7\r\nPUBLISH\r\n$65537\r\n" + std::string(65537, 'c') + "\r\n$1\r\nm\r\n"),
      "-ERR nearlane: the name of a channel is longer than 64 KiB\r\n");
}

TEST_F(CacheSessionTest, SubscribesToNoMoreBytesOfNamesThanItsLimit) {
  context_->limits.transaction.bytes = 1000;
  const std::string name(600, 'n');
  serve("SUBSCRIBE " + name + "\r\n");
  EXPECT_EQ(context_->channels.subscribers(name), 1U);
  const std::string refused =
      "-ERR nearlane: more than 1000 bytes of names of one connection's subscriptions\r\n";
  EXPECT_EQ(serve("PSUBSCRIBE " + name + "\r\n"), refused);
  serve("UNSUBSCRIBE\r\n");
  EXPECT_NE(serve("PSUBSCRIBE " + name + "\r\n"), refused) << "there is room again";
  EXPECT_EQ(serve("SUBSCRIBE " + name + "\r\n"), refused);
}

TEST_F(CacheSessionTest, DropsWhoDoesNotTakeItsMessages) {
  const auto other = second();
  context_->limits.max_held = 100'000;
  other->serve("SUBSCRIBE c\r\n");
  const std::string message(10'000, 'm');
  // It is served, but takes nothing.
  for (int i = 0; i < 9; ++i) {
    (void)context_->channels.publish("c", message);
    loop_.context().restart();
    loop_.context().poll();
  }
  EXPECT_FALSE(other->session->closing());
  (void)context_->channels.publish("c", message);
  loop_.context().restart();
  loop_.context().poll();
  EXPECT_TRUE(other->session->closing());
  EXPECT_EQ(context_->channels.subscribers("c"), 0U);
}

TEST_F(CacheSessionTest, DropsWhoseLoopIsNotServed) {
  context_->limits.max_held = 100'000;
  serve("SUBSCRIBE c\r\n");
  const std::string message(10'000, 'm');
  for (int i = 0; i < 20; ++i) (void)context_->channels.publish("c", message);
  settle();
  EXPECT_TRUE(session_->closing());
  EXPECT_EQ(context_->channels.subscribers("c"), 0U);
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
