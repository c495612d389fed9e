// The auditor on a real Redis: what nobody announced is found and mended, and what was announced is no alarm.
//
// SWAPDB by a third party is what Redis does not announce (docs/coherence.md), so it makes entries stale at will.
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "harness/check/cache_node.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;
using audit::Age;
using audit::Outcome;
using audit::Verdict;

/// Every hit, as far as the auditor can.
constexpr audit::AuditConfig kEvery{.one_in = 1, .hits_per_audit = 1, .rate = 100'000};

/// A cache whose hits are audited, and what was found.
struct Audited {
  explicit Audited(const RedisServer& redis, audit::AuditConfig config = kEvery)
      : node(redis.url(), {.pool = 4}, 2,
             {.negative_ttl = 60s,
              .audit = config,
              .on_finding =
                  [this](const audit::Finding& finding) {
                    const std::lock_guard lock(mutex);
                    findings.push_back(finding);
                  },
              .record_events = true}) {}

  std::vector<audit::Finding> found() {
    const std::lock_guard lock(mutex);
    return findings;
  }
  const audit::Auditor& auditor() { return node.tier().auditor(); }
  void turn() { node.tier().audit(Clock::now()); }

  std::mutex mutex;
  std::vector<audit::Finding> findings;
  CacheNode node;
};

class Audit : public testing::Test {
 protected:
  void SetUp() override {
    auto started = RedisServer::start();
    ASSERT_TRUE(started) << started.error().detail;
    redis.emplace(std::move(*started));
    client.emplace(redis->client());
    cache.emplace(*redis);
    ASSERT_TRUE(cache->node.ready_within(5s));
  }

  std::string direct(std::initializer_list<std::string_view> command) {
    auto reply = client->command(command);
    EXPECT_TRUE(reply) << reply.error().detail;
    return reply ? reply->text : "";
  }
  /// In the database that nobody reads, until SWAPDB makes it the one that everybody reads.
  void in_other_db(std::initializer_list<std::string_view> command) {
    direct({"SELECT", "1"});
    direct(command);
    direct({"SELECT", "0"});
  }
  long long number(std::string_view section, std::string_view field) {
    const auto text = client->info(section, field);
    long long value = -1;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
  }

  /// Reads `key` again and again until a verdict against L1 is given.
  audit::Finding expect_found(std::string_view key) {
    const TimePoint end = Clock::now() + 20s;
    while (Clock::now() < end) {
      if (!cache->node.find(key)) (void)cache->node.get(key);
      if (const auto found = cache->found(); !found.empty()) return found.front();
      cache->turn();
      std::this_thread::yield();
    }
    ADD_FAILURE() << "nothing was found";
    return {};
  }

  std::optional<RedisServer> redis;
  std::optional<RedisClient> client;
  std::optional<Audited> cache;
};

TEST_F(Audit, FindsAStaleEntryAndMendsIt) {
  direct({"SET", "k", "old"});
  in_other_db({"SET", "k", "new"});
  ASSERT_TRUE(cache->node.get("k"));
  ASSERT_EQ(cache->node.find("k"), "old");
  direct({"SWAPDB", "0", "1"});
  const TimePoint swapped = Clock::now();
  const audit::Finding finding = expect_found("k");
  EXPECT_EQ(finding.verdict, Verdict::stale);
  EXPECT_EQ(finding.age, Age::lease);
  EXPECT_EQ(finding.hash, KeyRef(0, "k").hash);
  EXPECT_GE(Clock::now() - swapped, 250ms) << "before a lease is over it is no one's fault";
  EXPECT_EQ(cache->node.get("k")->entry->value(), "new") << "L1 has forgotten it";
  EXPECT_EQ(cache->auditor().found(Verdict::stale, Age::lease), 1);
}

TEST_F(Audit, FindsAZombie) {
  direct({"SET", "k", "old"});
  ASSERT_TRUE(cache->node.get("k"));
  direct({"SWAPDB", "0", "1"});
  EXPECT_EQ(expect_found("k").verdict, Verdict::zombie);
  EXPECT_FALSE(cache->node.get("k")->entry);
}

TEST_F(Audit, FindsAGhost) {
  in_other_db({"SET", "k", "new"});
  ASSERT_FALSE(cache->node.get("k")->entry);
  direct({"SWAPDB", "0", "1"});
  EXPECT_EQ(expect_found("k").verdict, Verdict::ghost);
  EXPECT_EQ(cache->node.get("k")->entry->value(), "new");
}

TEST_F(Audit, FindsACopyThatWouldOutliveTheKey) {
  direct({"SET", "k", "same"});
  in_other_db({"SET", "k", "same", "EX", "100"});
  ASSERT_TRUE(cache->node.get("k"));
  direct({"SWAPDB", "0", "1"});
  EXPECT_EQ(expect_found("k").verdict, Verdict::ttl_skew);
}

TEST_F(Audit, FindsAnotherTypeUnderTheName) {
  direct({"SET", "k", "old"});
  in_other_db({"RPUSH", "k", "new"});
  ASSERT_TRUE(cache->node.get("k"));
  direct({"SWAPDB", "0", "1"});
  EXPECT_EQ(expect_found("k").verdict, Verdict::stale);
}

TEST_F(Audit, OfALargeValueMovesLittleAndFindsOneByte) {
  std::string value(std::size_t{1} << 20U, 'x');
  direct({"SET", "k", value});
  value[700'000] = 'y';
  in_other_db({"SET", "k", value});
  ASSERT_TRUE(cache->node.get("k"));
  const auto fills = tier::Counts::sum(tier::Count::fills);
  const long long before = number("stats", "total_net_output_bytes");
  direct({"SWAPDB", "0", "1"});
  EXPECT_EQ(expect_found("k").verdict, Verdict::stale);
  const long long moved = number("stats", "total_net_output_bytes") - before;
  // Where the lease lapsed meanwhile, since other processes had the machine, the value was read again.
  const auto read_again = static_cast<long long>(tier::Counts::sum(tier::Count::fills) - fills) *
                          static_cast<long long>(value.size());
  // Counted afterwards: audits go on meanwhile.
  const auto count = [&](Outcome outcome) {
    return static_cast<long long>(cache->auditor().ended(outcome));
  };
  const long long audits = count(Outcome::agreed) + count(Outcome::differed) +
                           count(Outcome::undecided) +
                           static_cast<long long>(cache->auditor().under_way());
  EXPECT_GT(audits, 0);
  // An audit has two questions; the rest is heartbeats and INFO.
  EXPECT_LT(moved - read_again,
            (audits + 8) * 2 * static_cast<long long>(audit::kWindow + 200) + 500'000);
}

TEST_F(Audit, RegistersNothingAndUnregistersNothing) {
  direct({"SET", "k", "v1"});
  ASSERT_TRUE(cache->node.get("k"));
  const long long tracked = number("stats", "tracking_total_keys");
  while (cache->auditor().ended(Outcome::agreed) < 20) {
    ASSERT_TRUE(cache->node.find("k") || cache->node.get("k"));
    cache->turn();
  }
  EXPECT_EQ(number("stats", "tracking_total_keys"), tracked);
  direct({"SET", "k", "v2"});
  const TimePoint end = Clock::now() + 5s;
  while (cache->node.find("k") == "v1" && Clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(cache->node.get("k")->entry->value(), "v2") << "the change was still announced";
}

TEST_F(Audit, RaisesNoAlarmUnderLoadWithDirectWriters) {
  Audited other(*redis);
  ASSERT_TRUE(other.node.ready_within(5s));
  constexpr int kKeys = 50;
  std::atomic<bool> stop{false};
  const auto key_of = [](std::minstd_rand& random) {
    return "k" + std::to_string(random() % kKeys);
  };
  std::vector<std::thread> threads;
  for (Audited* each : {&*cache, &other}) {
    threads.emplace_back([&, each] {  // reads, and a write now and then
      std::minstd_rand random(7);
      while (!stop) {
        const std::string key = key_of(random);
        if (random() % 64 == 0) {
          (void)each->node.set(key, std::to_string(random()), {.expiry = tier::Expiry::in(20s)});
        } else if (random() % 64 == 0) {
          (void)each->node.touch(key, std::chrono::seconds(10 + random() % 20));
        } else if (!each->node.find(key)) {
          (void)each->node.get(key);
        }
      }
    });
    threads.emplace_back([&, each] {
      while (!stop) {
        each->turn();
        std::this_thread::sleep_for(5ms);
      }
    });
  }
  threads.emplace_back([&] {  // somebody who knows nothing of us
    RedisClient writer = redis->client();
    std::minstd_rand random(11);
    while (!stop) {
      const std::string key = key_of(random);
      switch (random() % 4) {
        case 0:
          (void)writer.command({"DEL", key});
          break;
        case 1:
          (void)writer.command({"PEXPIRE", key, "1500"});
          break;
        default:
          (void)writer.command({"SET", key, std::to_string(random())});
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  std::this_thread::sleep_for(5s);
  stop = true;
  for (auto& thread : threads) thread.join();
  for (Audited* each : {&*cache, &other}) {
    for (const audit::Finding& finding : each->found())
      EXPECT_TRUE(in_order(finding.verdict)) << name_of(finding.verdict);
    EXPECT_GT(each->auditor().ended(Outcome::agreed), 100);
    EXPECT_GT(each->auditor().found(Verdict::in_flight, Age::at_once) +
                  each->auditor().found(Verdict::late, Age::lease),
              0)
        << "nothing was ever under way: the test shows nothing";
  }
}

}  // namespace
}  // namespace nearlane::harness
