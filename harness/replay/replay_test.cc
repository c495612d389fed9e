#include "harness/replay/replay.h"

#include <algorithm>
#include <array>
#include <list>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/l1/l1_map.h"
#include "harness/replay/small_traces.h"

namespace nearlane::harness {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::uint64_t plain_lru_misses(const std::vector<std::uint32_t>& keys, std::size_t capacity) {
  std::list<std::uint32_t> order;
  std::uint64_t misses = 0;
  for (const auto key : keys) {
    const auto found = std::ranges::find(order, key);
    if (found == order.end()) {
      ++misses;
    } else {
      order.erase(found);
    }
    order.push_front(key);
    if (order.size() > capacity) order.pop_back();
  }
  return misses;
}

std::uint64_t misses(RequestLog log, const std::string& policy, std::uint64_t capacity,
                     const std::string& map = "mutex", Unit unit = Unit::objects) {
  Replayer replayer(std::move(log));
  const auto count =
      replayer.run({.map = map, .policy = policy, .unit = unit, .capacity = capacity});
  EXPECT_TRUE(count.has_value()) << (count ? "" : count.error().detail);
  return count ? count->misses : 0;
}

TEST(Replay, LruMissesWhatAPlainlyWrittenOneMisses) {
  EXPECT_TRUE(rc::check([] {
    const auto keys = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 20)));
    const auto capacity = *rc::gen::inRange<std::size_t>(1, 12);
    for (const auto* map : {"mutex", "sharded"}) {
      RC_ASSERT(misses(load_oracle(oracle_trace(keys)).value(), "lru", capacity, map) ==
                plain_lru_misses(keys, capacity));
    }
  }));
}

// The byte budget beside a capacity in objects was one of small names.
TEST(Replay, InObjectsLongNamesTakeNoMoreRoomThanShortOnes) {
  constexpr unsigned kKeys = 1200;
  const std::string name(62'000, 'k');
  std::string csv;
  for (unsigned i = 0; i < 2 * kKeys; ++i) {
    const std::string key = name + std::to_string(1000 + i % kKeys);
    csv += "0," + key + "," + std::to_string(key.size()) + ",10,0,get,0\n";
  }
  EXPECT_EQ(misses(load_csv(csv).value(), "lru", kKeys), kKeys);
}

TEST(Replay, LruMissesAtEightCapacities) {
  struct Row {
    std::size_t capacity;
    std::uint64_t misses;
  };
  // A change here is a change of what the policy does, or of how it is replayed: a decision, not a new
  // number.
  constexpr std::array<Row, 8> kGolden{{{8, 52980},
                                        {32, 43823},
                                        {125, 34221},
                                        {500, 23820},
                                        {1000, 18506},
                                        {2000, 13090},
                                        {4000, 8094},
                                        {8000, 6335}}};
  const auto keys = zipf_keys(8000, 60'000, 20260101);
  Replayer replayer(load_oracle(oracle_trace(keys)).value());
  for (const auto& [capacity, golden] : kGolden) {
    const auto count = replayer.run({.map = "mutex", .policy = "lru", .capacity = capacity});
    ASSERT_TRUE(count.has_value()) << count.error().detail;
    EXPECT_EQ(count->misses, golden) << capacity;
    EXPECT_EQ(count->rejections, 0U) << "the byte budget was the limit";
  }
  EXPECT_EQ(plain_lru_misses(keys, 500), kGolden[3].misses) << "the trace changed";
}

TEST(Replay, NoPolicyBeatsTheOptimum) {
  Replayer replayer(load_oracle(oracle_trace(zipf_keys(2000, 30'000, 7))).value());
  for (const std::uint64_t capacity : {10U, 100U, 1000U}) {
    const auto best = replayer.run({.map = "mutex", .policy = "belady", .capacity = capacity});
    for (const auto& policy : default_policies()) {
      const auto count = replayer.run({.map = "mutex", .policy = policy, .capacity = capacity});
      EXPECT_GE(count.value().misses, best.value().misses) << policy << " at " << capacity;
    }
  }
}

TEST(Replay, RunsEveryPolicyThatIsRegistered) {
  const auto names = default_policies();
  EXPECT_EQ(names.back(), kBelady);
  // All but the null twin, and belady.
  EXPECT_EQ(names.size(), l1::policy_names().size());
  EXPECT_THAT(names, testing::Contains("lru"));
}

TEST(Replay, GivesTheSameCountAgain) {
  Replayer replayer(load_oracle(oracle_trace(zipf_keys(20'000, 60'000, 3))).value());
  for (const auto& policy : default_policies()) {
    const ReplayCase wanted{.map = "sharded", .policy = policy, .capacity = 9000};  // two shards
    EXPECT_EQ(replayer.run(wanted).value().misses, replayer.run(wanted).value().misses) << policy;
  }
}

TEST(ReplayInBytes, CountsOverheadsAndRefusesWhatIsTooLarge) {
  // Four values of 1000 bytes in turn: 4000 bytes are not enough for them, twice that is.
  std::string bytes;
  for (std::uint64_t i = 0; i < 400; ++i) bytes += oracle_record(0, i % 4, 1000);
  EXPECT_EQ(misses(load_oracle(bytes).value(), "lru", 4000, "mutex", Unit::bytes), 400U);
  EXPECT_EQ(misses(load_oracle(bytes).value(), "lru", 8000, "mutex", Unit::bytes), 4U);
  EXPECT_EQ(misses(load_oracle(bytes).value(), "belady", 8000, "mutex", Unit::bytes), 4U);
  Replayer replayer(load_oracle(bytes).value());
  const auto count =
      replayer.run({.map = "mutex", .policy = "lru", .unit = Unit::bytes, .capacity = 2000});
  EXPECT_EQ(count.value().rejections, 400U) << "larger than a quarter of the budget";
}

TEST(ReplayInBytes, RefusesValuesThatItWouldHaveToHoldInMemory) {
  const auto small = oracle_record(0, 1, 1);
  Replayer replayer(load_oracle(small + oracle_record(0, 2, kMostValueBytes + 1) + small).value());
  const auto count =
      replayer.run({.map = "mutex", .policy = "lru", .unit = Unit::bytes, .capacity = 1U << 20U});
  ASSERT_FALSE(count.has_value());
  EXPECT_EQ(count.error().code, Errc::too_large);
  EXPECT_THAT(count.error().detail, HasSubstr("t: record 2: a value of 268435457 bytes"));
  EXPECT_TRUE(replayer.run({.map = "mutex", .policy = "lru", .capacity = 1}).has_value());
}

TEST(ReplayOfTwitter, ADeadlinePasses) {
  const std::string lines =
      "100,a,1,0,0,get,0\n100,a,1,10,0,set,30\n"  // a miss, and the store has it now
      "129,a,1,10,0,get,0\n"                      // a hit
      "130,a,1,0,0,get,0\n";                      // expired, and nobody wrote it again
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 2U);
  EXPECT_EQ(misses(load_csv(lines).value(), "belady", 10), 2U);
}

TEST(ReplayOfTwitter, ATouchMovesTheDeadlineInTheCacheAndInTheStore) {
  const std::string lines =
      "0,a,1,10,0,set,30\n20,a,1,0,0,touch,30\n49,a,1,10,0,get,0\n"  // a hit
      "50,a,1,0,0,get,0\n";                                          // expired
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 1U);
  // Evicted by b, a is read from the store with the deadline that the touch gave it.
  const std::string evicted =
      "0,a,1,10,0,set,30\n1,b,1,10,0,set,0\n20,a,1,0,0,touch,30\n40,a,1,10,0,get,0\n"
      "49,a,1,10,0,get,0\n50,a,1,0,0,get,0\n";
  EXPECT_EQ(misses(load_csv(evicted).value(), "lru", 1), 2U);
}

TEST(ReplayOfTwitter, ATouchOfWhatHasExpiredRevivesNothing) {
  const std::string lines = "0,a,1,10,0,set,30\n30,a,1,0,0,touch,30\n31,a,1,0,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 1U);
}

TEST(ReplayOfTwitter, ASetIsACopyInTheCacheAndATtlOfZeroIsNone) {
  EXPECT_EQ(misses(load_csv("0,a,1,10,0,set,0\n4000000000,a,1,10,0,get,0\n").value(), "lru", 1),
            0U);
}

TEST(ReplayOfTwitter, ADeleteDeletes) {
  const std::string lines =
      "0,a,1,10,0,set,0\n1,a,1,0,0,delete,0\n2,a,1,0,0,get,0\n3,a,1,0,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 2U);
}

TEST(ReplayOfTwitter, AReadThatTheLogSaysFoundSomethingIsPut) {
  // Deleted, then read with a size: somebody wrote it unseen, and the second read hits.
  const std::string lines =
      "0,a,1,10,0,set,0\n1,a,1,0,0,delete,0\n2,a,1,10,0,get,0\n3,a,1,10,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 1U);
  // A log of reads alone records nothing of what is stored.
  EXPECT_EQ(misses(load_csv("0,a,1,0,0,get,0\n1,a,1,0,0,get,0\n").value(), "lru", 10), 1U);
}

TEST(ReplayOfTwitter, SweepsWhatHasExpiredWithTheTracesOwnTime) {
  // Without a sweep b would be the victim of c; so it is the expired a that has gone.
  const std::string lines =
      "0,b,1,10,0,set,0\n1,a,1,10,0,set,5\n10,c,1,10,0,set,0\n11,b,1,10,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 2), 0U);
}

TEST(ReplayOfTwitter, AGapIsSweptForAllItsSeconds) {
  // The oldest, which never expires, would be the victim of what comes after the gap, if no more
  // than a second's share of what expired in it had gone.
  constexpr int kExpired = 25'000;
  std::string lines = "0,oldest,6,10,0,set,0\n";
  for (int i = 0; i < kExpired; ++i) lines += "1,a" + std::to_string(i) + ",6,10,0,set,5\n";
  for (int i = 0; i < kExpired; ++i) lines += "100,b" + std::to_string(i) + ",6,10,0,set,0\n";
  lines += "100,oldest,6,10,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", kExpired + 1), 0U);
}

TEST(ReplayOfTwitter, AnAddWritesOnlyWhatTheStoreDoesNotHold) {
  // The second add fails, so the deadline of the first one stands; the third finds it passed.
  const std::string lines =
      "0,a,1,10,0,add,30\n10,a,1,10,0,add,900\n29,a,1,10,0,get,0\n30,a,1,0,0,get,0\n"
      "31,a,1,10,0,add,0\n900,a,1,10,0,get,0\n";
  EXPECT_EQ(misses(load_csv(lines).value(), "lru", 10), 1U);
  EXPECT_EQ(misses(load_csv(lines).value(), "belady", 10), 1U);
}

TEST(ReplayOfTwitter, ReplaceAndCasWriteOnlyWhatTheStoreHolds) {
  for (const std::string op : {"replace", "cas"}) {
    const std::string absent = "0,a,1,10,0," + op + ",0\n1,a,1,0,0,get,0\n";
    EXPECT_EQ(misses(load_csv(absent).value(), "lru", 10), 1U) << op;
    const std::string held =
        "0,a,1,10,0,set,30\n20,a,1,10,0," + op + ",30\n49,a,1,10,0,get,0\n50,a,1,0,0,get,0\n";
    EXPECT_EQ(misses(load_csv(held).value(), "lru", 10), 1U) << op;
    const std::string expired = "0,a,1,10,0,set,30\n30,a,1,10,0," + op + ",0\n31,a,1,0,0,get,0\n";
    EXPECT_EQ(misses(load_csv(expired).value(), "lru", 10), 1U) << op;
  }
}

TEST(ReplayOfTwitter, WhatAmendsAValueKeepsItsDeadline) {
  for (const std::string op : {"incr", "decr", "append", "prepend"}) {
    const std::string absent = "0,a,1,1,0," + op + ",0\n1,a,1,0,0,get,0\n";
    EXPECT_EQ(misses(load_csv(absent).value(), "lru", 10), 1U) << op;
    // Evicted by b, it is in the cache again; its deadline passes all the same.
    const std::string held = "0,a,1,10,0,set,30\n1,b,1,10,0,set,0\n20,a,1,1,0," + op +
                             ",900\n29,a,1,10,0,get,0\n30,a,1,0,0,get,0\n";
    EXPECT_EQ(misses(load_csv(held).value(), "lru", 1), 1U) << op;
  }
}

TEST(RequestLog, LeavesOutWritesThatDoNothing) {
  const auto log = load_csv(
                       "0,a,1,10,0,set,30\n1,a,1,900,0,add,0\n2,b,1,900,0,cas,0\n"
                       "3,a,1,2,0,append,0\n4,a,1,20,0,get,0\n")
                       .value();
  ASSERT_EQ(log.requests.size(), 3U);
  EXPECT_EQ(log.requests[1].second, 3U);
  EXPECT_EQ(log.requests[1].bytes, 10U) << "an append does not say how large the value becomes";
  EXPECT_EQ(log.requests[1].deadline, 30U);
  EXPECT_EQ(log.largest_value, 20U);
  EXPECT_EQ(log.largest_record, 5U) << "counted as in the trace";
}

TEST(RequestLog, CountsRecordsThatGoBackInTime) {
  const auto log = load_csv(
                       "7,a,1,1,0,get,0\n9,a,1,1,0,get,0\n6,a,1,1,0,get,0\n9,a,1,1,0,get,0\n"
                       "8,a,1,1,0,get,0\n")
                       .value();
  EXPECT_EQ(log.backward_records, 2U);
  EXPECT_EQ(log.first_backward, 3U);
  EXPECT_EQ(log.requests.back().second, 2U);
  EXPECT_EQ(load_csv("7,a,1,1,0,get,0\n").value().backward_records, 0U);
}

TEST(RequestLog, KnowsWhatAReplayNeeds) {
  const auto log =
      load_csv("7,key,3,100,0,get,0\n6,other,5,300,0,set,60\n9,key,3,200,0,get,0\n").value();
  EXPECT_EQ(log.reads, 2U);
  EXPECT_EQ(log.largest_value, 300U);
  EXPECT_TRUE(log.expires);
  ASSERT_EQ(log.keys.size(), 2U);
  EXPECT_EQ(log.keys[0].name, "key");
  ASSERT_EQ(log.requests.size(), 3U);
  EXPECT_EQ(log.requests[1].second, 0U) << "time does not run backwards";
  EXPECT_EQ(log.requests[1].deadline, 60U);
  EXPECT_EQ(log.requests[2].second, 2U);
  EXPECT_EQ(log.requests[2].bytes, 200U) << "as this read recorded it";
}

TEST(RequestLog, SaysWhatIsWrongWithATrace) {
  auto cut = oracle_record(0, 1, 1) + oracle_record(0, 2, 1);
  cut.resize(40);
  EXPECT_THAT(load_oracle(cut).error().detail, HasSubstr("t: record 2: 16 of 24 bytes"));
  EXPECT_THAT(load_csv("0,a,1,10,0,get,0\nnonsense\n").error().detail, HasSubstr("t:2: not seven"));
  EXPECT_THAT(load_csv("0,a,1,10,0,set,0\n").error().detail, HasSubstr("without reads"));
  EXPECT_THAT(load_oracle("").error().detail, HasSubstr("without reads"));
}

TEST(RequestLog, RefusesATraceOverItsLimits) {
  const auto bytes = oracle_trace({1, 2, 3});
  const auto requests = load_oracle(bytes, {.requests = 2});
  EXPECT_EQ(requests.error().code, Errc::too_large);
  EXPECT_THAT(requests.error().detail, HasSubstr("limit of 2 requests"));
  EXPECT_TRUE(load_oracle(bytes, {.requests = 3}).has_value());
  const auto keys = load_oracle(bytes, {.keys = 2});
  EXPECT_THAT(keys.error().detail, HasSubstr("limit of 2 keys"));
  const auto names = load_oracle(bytes, {.name_bytes = 47});
  EXPECT_THAT(names.error().detail, HasSubstr("limit of 47 bytes of key names"));
  EXPECT_TRUE(load_oracle(bytes, {.name_bytes = 48}).has_value());
}

TEST(CheckNames, ListTheNamesThereAre) {
  const auto policy = check_names({.map = "mutex", .policy = "oracle"});
  EXPECT_EQ(policy.error().code, Errc::invalid_argument);
  EXPECT_THAT(policy.error().detail,
              AllOf(HasSubstr("'oracle'"), HasSubstr("lru"), HasSubstr("belady")));
  const auto map = check_names({.map = "paper", .policy = "belady"});
  EXPECT_THAT(map.error().detail, AllOf(HasSubstr("'paper'"), HasSubstr("mutex")));
  EXPECT_TRUE(check_names({.map = "mutex", .policy = "belady"}).has_value());
  Replayer replayer(load_oracle(oracle_trace({1})).value());
  EXPECT_FALSE(replayer.run({.map = "mutex", .policy = "oracle", .capacity = 1}).has_value());
  EXPECT_FALSE(replayer.run({.map = "mutex", .policy = "lru", .capacity = 0}).has_value());
}

}  // namespace
}  // namespace nearlane::harness
