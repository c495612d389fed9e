// Two caches over one real Redis, with everybody else's writes, lost connections and a Redis that
// is slow, away or mad.
#include <algorithm>
#include <atomic>
#include <future>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/check/cache_node.h"
#include "harness/topology/eventually.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using tier::Expiry;
using tier::Source;

class Coherence : public testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis.emplace(std::move(*started));
    client.emplace(redis->client());
    a.emplace(redis->url());
    b.emplace(redis->url());
    ASSERT_TRUE(a->ready_within(5s));
    ASSERT_TRUE(b->ready_within(5s));
  }

  std::string direct(std::initializer_list<std::string_view> command) {
    auto reply = client->command(command);
    EXPECT_TRUE(reply) << reply.error().detail;
    return reply ? reply->text : "";
  }

  long long commands(std::string_view name) {
    auto field = client->info("commandstats", "cmdstat_" + std::string(name));
    if (!field) return 0;
    return std::stoll(field->substr(field->find('=') + 1));
  }

  std::optional<RedisServer> redis;
  std::optional<RedisClient> client;
  std::optional<CacheNode> a;
  std::optional<CacheNode> b;
};

TEST_F(Coherence, AValueWrittenThroughOneIsReadThroughTheOtherAndHitsAfterwards) {
  ASSERT_TRUE(a->set("k", "v1")->stored);
  EXPECT_EQ(a->find("k"), "v1");
  const auto cold = b->get("k");
  ASSERT_TRUE(cold) << cold.error().detail;
  EXPECT_EQ(cold->source, Source::l2);
  EXPECT_EQ(cold->entry->value(), "v1");
  EXPECT_EQ(b->find("k"), "v1");
  EXPECT_EQ(direct({"GET", "k"}), "v1");
}

TEST_F(Coherence, AWriteInOneDatabaseDoesNotHideForeignWritesOfTheNameInAnother) {
  // On one lane, because Redis drops the registrations of a name in all databases at once, and does
  // not tell whoever wrote.
  CacheNode node(redis->url(), {.pool = 1});
  ASSERT_TRUE(node.ready_within(5s));
  direct({"SET", "k", "v1"});
  ASSERT_TRUE(node.get("k"));
  ASSERT_EQ(node.find("k"), "v1");
  std::promise<bool> done;
  node.tier().execute({.db = 1, .args = {"APPEND", "k", "x"}, .keys = {"k"}}, Clock::now() + 5s,
                      [&](const Result<protocol::Reply>& reply) { done.set_value(!!reply); });
  ASSERT_TRUE(done.get_future().get());
  direct({"SET", "k", "v2"});
  const auto found = node.get("k");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->entry->value(), "v2");
}

TEST_F(Coherence, WhatOneOverwritesTheOtherNeverServesAgainOncePushed) {
  for (int round = 0; round < 200; ++round) {
    const std::string key = std::to_string(round % 7);
    const std::string value = std::to_string(round);
    CacheNode& writer = round % 2 == 0 ? *a : *b;
    CacheNode& reader = round % 2 == 0 ? *b : *a;
    ASSERT_TRUE(reader.get(key));
    ASSERT_TRUE(writer.set(key, value)->stored);
    EXPECT_EQ(writer.find(key), value) << "its own write at once";
    ASSERT_TRUE(eventually([&] {
      const auto served = reader.find(key);
      return !served || *served == value;
    })) << round;
    for (int again = 0; again < 20; ++again) {
      const auto served = reader.find(key);
      ASSERT_TRUE(!served || *served == value) << round;
    }
  }
}

TEST_F(Coherence, DirectWritesOfEveryKindInvalidate) {
  const std::initializer_list<std::string_view> commands[] = {
      {"SET", "k", "other"}, {"APPEND", "k", "+"},
      {"DEL", "k"},          {"UNLINK", "k"},
      {"EXPIRE", "k", "1"},  {"GETEX", "k", "PX", "50"},
      {"RENAME", "k", "x"},  {"EVAL", "redis.call('set','k','lua')", "0"},
      {"FLUSHALL"},          {"PERSIST", "k"},
  };
  for (const auto& command : commands) {
    const std::string name(*command.begin());
    ASSERT_TRUE(a->set("k", "v", {.expiry = Expiry::in(60s)})->stored);
    ASSERT_EQ(a->find("k"), "v") << name;
    direct(command);
    EXPECT_TRUE(eventually([&] { return a->find("k") != "v"; })) << name;
    const auto fetched = a->get("k");
    ASSERT_TRUE(fetched) << fetched.error().detail;
    auto truth = client->command({"GET", "k"});
    ASSERT_TRUE(truth);
    if (truth->is_nil()) {
      EXPECT_FALSE(fetched->entry) << name;
    } else {
      EXPECT_EQ(fetched->entry->value(), truth->text) << name;
    }
  }
}

TEST_F(Coherence, AKeyThatWasDeniedIsServedOnceSomebodyMakesIt) {
  CacheNode node(redis->url(), {}, 2, {.negative_ttl = 60s});
  ASSERT_TRUE(node.ready_within(5s));
  const std::initializer_list<std::string_view> commands[] = {
      {"SET", "k", "v"},         {"SETNX", "k", "v"},
      {"APPEND", "k", "v"},      {"INCR", "k"},
      {"RENAME", "x", "k"},      {"COPY", "x", "k"},
      {"MSET", "k", "v"},        {"EVAL", "redis.call('set','k','lua')", "0"},
      {"SETEX", "k", "60", "v"},
  };
  for (const auto& command : commands) {
    const std::string name(*command.begin());
    direct({"DEL", "k"});
    direct({"SET", "x", "v"});
    ASSERT_TRUE(eventually([&] {
      const auto denied = node.get("k");
      return denied && !denied->entry && denied->source == Source::l1;
    })) << name;
    direct(command);
    ASSERT_TRUE(eventually([&] {
      const auto found = node.get("k");
      return found && found->entry;
    })) << name;
  }
  direct({"DEL", "k"});
  ASSERT_TRUE(eventually([&] { return node.get("k")->source == Source::l1; }));
  ASSERT_TRUE(node.set("k", "own")->stored);
  EXPECT_EQ(node.get("k")->entry->value(), "own");
}

TEST_F(Coherence, OwnWritesOfEveryKindKeepTheNextForeignWriteAnnounced) {
  // With NOLOOP a plain write of our own drops the registration, so each of these must renew it or
  // forget the key.
  const auto set = [&] { return a->set("k", "v").has_value(); };
  const auto touch = [&] { return a->touch("k", 60s).has_value(); };
  const auto incr = [&] {
    return a->execute({"APPEND", "k", "1"}, {"k"}).has_value() && a->get("k").has_value();
  };
  // The push for our own MSET, which is foreign to the lane, may overtake the fill and revoke it.
  const auto mset = [&] {
    return a->execute({"MSET", "k", "1", "l", "1"}, {"k", "l"}).has_value() &&
           eventually([&] { return a->get("k").has_value() && a->find("k"); });
  };
  const std::pair<const char*, std::function<bool()>> writes[] = {
      {"set", set}, {"touch", touch}, {"append", incr}, {"mset", mset}};
  for (const auto& [name, write] : writes) {
    ASSERT_TRUE(set()) << name;
    ASSERT_TRUE(write()) << name;
    ASSERT_TRUE(a->find("k")) << name;
    direct({"SET", "k", "foreign"});
    EXPECT_TRUE(eventually([&] { return a->find("k").value_or("foreign") == "foreign"; })) << name;
    EXPECT_EQ(a->get("k")->entry->value(), "foreign") << name;
  }
}

TEST_F(Coherence, AKeyEndsInBothTiersOnTime) {
  struct Reader {
    CacheNode node;
    TimePoint last_hit{};
    TimePoint first_miss{};
  };
  // With a lease that a stall of this machine does not outlast.
  const l2::L2Config patient = {.lease = 30s};
  Reader readers[] = {{.node = CacheNode(redis->url(), patient)},
                      {.node = CacheNode(redis->url(), patient)}};
  for (Reader& reader : readers) ASSERT_TRUE(reader.node.ready_within(5s));
  const TimePoint before = Clock::now();
  ASSERT_TRUE(readers[0].node.set("k", "v", {.expiry = Expiry::in(300ms)})->stored);
  const TimePoint after = Clock::now();
  ASSERT_TRUE(readers[1].node.get("k"));
  ASSERT_TRUE(eventually([&] {
    const TimePoint now = Clock::now();
    for (Reader& reader : readers) {
      if (reader.node.find("k")) {
        reader.last_hit = now;
      } else if (reader.first_miss == TimePoint{}) {
        reader.first_miss = Clock::now();
      }
    }
    return now > after + 350ms;
  }));
  // Never later than L2, whose clock started between before and after, and not more than 20 ms
  // early.
  for (const Reader& reader : readers) {
    EXPECT_LE(reader.last_hit, after + 300ms);
    EXPECT_GE(reader.first_miss, before + 280ms);
  }
  EXPECT_FALSE(readers[0].node.get("k")->entry);
  EXPECT_EQ(client->command({"EXISTS", "k"})->integer, 0);
}

TEST_F(Coherence, TouchKeepsTheCopyAndMovesTheEnd) {
  ASSERT_TRUE(a->set("k", "v", {.expiry = Expiry::in(5s)})->stored);
  ASSERT_EQ(a->touch("k", 60s).value(), true);
  EXPECT_EQ(a->find("k"), "v");
  EXPECT_GT(client->command({"PTTL", "k"})->integer, 50'000);
}

TEST_F(Coherence, AThousandMissesOfOneKeyFetchItOnce) {
  direct({"SET", "k", "v"});
  const long long before = commands("get");
  constexpr int kAskers = 1000;
  std::atomic<int> answered{0};
  std::atomic<int> right{0};
  for (int i = 0; i < kAskers; ++i) {
    a->tier().get(Key(0, "k"), tier::ReadFrom::l1_first, Clock::now() + 2s,
                  [&](Result<tier::Lookup> found) {
                    if (found && found->entry && found->entry->value() == "v") ++right;
                    ++answered;
                  });
  }
  ASSERT_TRUE(eventually([&] { return answered == kAskers; }));
  EXPECT_EQ(right, kAskers);
  EXPECT_EQ(commands("get"), before + 1);
}

TEST_F(Coherence, ALapsedLeaseIsConfirmedWithoutFetchingTheBody) {
  CacheNode idle(redis->url(), {.lease = 250ms});
  ASSERT_TRUE(idle.ready_within(5s));
  ASSERT_TRUE(idle.set("k", "v")->stored);
  std::this_thread::sleep_for(251ms);  // the lease itself; to look would keep the lane warm
  ASSERT_FALSE(idle.find("k")) << "nothing was served, so nothing has renewed the lease";
  const long long before = commands("get");
  const auto confirmed = idle.get("k");
  ASSERT_TRUE(confirmed);
  EXPECT_EQ(idle.find("k"), "v");
  EXPECT_EQ(confirmed->source, Source::l1);
  EXPECT_EQ(commands("get"), before);
}

TEST_F(Coherence, AWarmLaneNeverLosesItsLease) {
  ASSERT_TRUE(a->set("k", "v")->stored);
  int gaps = 0;
  const TimePoint end = Clock::now() + 1500ms;
  while (Clock::now() < end) {
    if (!a->find("k")) {
      ++gaps;
      ASSERT_TRUE(a->get("k"));
    }
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LE(gaps, 2) << "a stall of this machine may cost one, the heartbeat may not";
}

TEST_F(Coherence, KilledConnectionsComeBackAndNothingOldSurvives) {
  ASSERT_TRUE(a->set("k", "old")->stored);
  direct({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  direct({"SET", "k", "new"});
  ASSERT_TRUE(eventually([&] { return a->find("k") != "old"; }));
  ASSERT_TRUE(eventually([&] {
    const auto read = a->get("k");
    return read && read->entry && read->entry->value() == "new";
  }));
  ASSERT_TRUE(a->ready_within(5s));
  EXPECT_TRUE(a->set("k", "again")->stored);
}

// It was a replica and is a master again, all between two looks at it.
TEST_F(Coherence, WhatWasReadOfAnotherHistoryIsNotServed) {
  auto started = RedisServer::start({.config = {"--enable-debug-command", "local"}});
  ASSERT_TRUE(started) << started.error().detail;
  auto other = started->client();
  CacheNode node(started->url());
  ASSERT_TRUE(node.ready_within(5s));
  ASSERT_TRUE(node.set("k", "v")->stored);
  ASSERT_EQ(node.find("k"), "v");
  ASSERT_TRUE(other.command({"DEBUG", "CHANGE-REPL-ID"}));
  EXPECT_TRUE(eventually([&] { return !node.find("k"); })) << "its lane has disowned it";
  ASSERT_TRUE(eventually([&] { return node.get("k").has_value(); }));
  EXPECT_EQ(node.find("k"), "v") << "and takes the new history for its own";
}

TEST_F(Coherence, ReadsUnderWayOutliveAKilledConnection) {
  direct({"SET", "k", "v"});
  a->timeout = 5s;
  for (int round = 0; round < 20; ++round) {
    direct({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    const auto read = a->get("k");
    ASSERT_TRUE(read) << round << ": " << read.error().detail;
    EXPECT_EQ(read->entry->value(), "v");
  }
}

TEST_F(Coherence, AHungRedisCostsADeadlineAndNoLease) {
  ASSERT_TRUE(a->set("k", "v")->stored);
  ASSERT_TRUE(redis->stall());
  // The best of three, because this machine has pauses of its own.
  Duration best = Duration::max();
  for (const char* key : {"one", "two", "three"}) {
    const TimePoint start = Clock::now();
    const auto read = a->get(key);
    best = std::min(best, Clock::now() - start);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::timeout);
  }
  EXPECT_GE(best, a->timeout);
  EXPECT_LT(best, a->timeout + 200ms);
  EXPECT_FALSE(a->find("k")) << "nobody vouches for it any more";
  const auto write = a->set("k", "w");
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, Errc::timeout);
  ASSERT_TRUE(redis->resume());
  // The write's outcome was unknown; what is served from now on is what Redis has.
  ASSERT_TRUE(eventually([&] { return a->get("k").has_value(); }));
  EXPECT_EQ(a->get("k")->entry->value(), direct({"GET", "k"}));
}

TEST_F(Coherence, ADeadRedisFailsAtOnceAndComesBack) {
  ASSERT_TRUE(a->set("k", "v")->stored);
  redis->kill();
  ASSERT_TRUE(eventually([&] {
    const auto write = a->set("k", "w");
    return !write && write.error().code == Errc::unavailable;
  }));
  const TimePoint start = Clock::now();
  EXPECT_FALSE(a->get("k"));
  EXPECT_LT(Clock::now() - start, 100ms) << "no timeout for what is known to be down";
  EXPECT_FALSE(a->tier().l2_health().ready);
  EXPECT_THAT(a->tier().l2_health().detail, testing::HasSubstr("127.0.0.1"));
  ASSERT_TRUE(redis->restart());
  ASSERT_TRUE(a->ready_within(10s));
  EXPECT_FALSE(a->get("k")->entry) << "this Redis keeps nothing over a restart, so neither does L1";
  EXPECT_TRUE(a->set("k", "v")->stored);
}

TEST_F(Coherence, FlushingThroughUsIsSeenAtOnce) {
  ASSERT_TRUE(a->set("k", "v")->stored);
  ASSERT_TRUE(a->execute({"FLUSHALL"}, {}));
  EXPECT_FALSE(a->find("k"));
}

TEST_F(Coherence, LargeValuesArriveWhole) {
  std::string large(std::size_t{2} << 20U, 'x');
  for (std::size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i >> 12U);
  a->timeout = b->timeout = 5s;
  ASSERT_TRUE(a->set("k", large)->stored);
  const auto read = b->get("k");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entry->value(), large);
}

TEST_F(Coherence, AWrongPasswordSaysSo) {
  direct({"CONFIG", "SET", "requirepass", "secret"});
  CacheNode locked(redis->url());
  ASSERT_TRUE(eventually([&] {
    return locked.tier().l2_health().detail.find("NOAUTH") != std::string::npos;
  })) << locked.tier().l2_health().detail;
  std::string url = redis->url();
  url.insert(std::string("redis://").size(), ":secret@");
  CacheNode open(url);
  EXPECT_TRUE(open.ready_within(5s)) << open.tier().l2_health().detail;
}

/// A peer that accepts connections and answers with whatever it is given.
class Babbler {
 public:
  explicit Babbler(std::string answer)
      : answer_(std::move(answer)), fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    (void)bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    listen(fd_, 64);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url = "redis://127.0.0.1:";
    url += std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~Babbler() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }

  std::string url;

 private:
  void serve() const {
    for (;;) {
      const int peer = accept(fd_, nullptr, nullptr);
      if (peer < 0) return;
      std::array<char, 4096> ignored{};
      (void)!read(peer, ignored.data(), ignored.size());
      (void)!write(peer, answer_.data(), answer_.size());
      close(peer);
    }
  }

  std::string answer_;
  int fd_;
  std::thread thread_;
};

TEST(Nonsense, FromL2IsAnErrorWithinTheDeadlineAndNothingWorse) {
  for (const char* nonsense : {"HTTP/1.1 400 Bad Request\r\n\r\n", "$-7\r\n", "*99999999999\r\n",
                               "", "+OK\r\n+OK\r\n+OK\r\n"}) {
    const Babbler babbler(nonsense);
    CacheNode node(babbler.url);
    const TimePoint start = Clock::now();
    const auto read = node.get("k");
    EXPECT_FALSE(read) << nonsense;
    const auto write = node.set("k", "v");
    EXPECT_FALSE(write) << nonsense;
    EXPECT_LT(Clock::now() - start, 1500ms) << nonsense;
    EXPECT_FALSE(node.tier().l2_health().ready);
  }
}

}  // namespace
}  // namespace nearlane::harness
