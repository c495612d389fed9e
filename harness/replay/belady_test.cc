#include "harness/replay/belady.h"

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/replay/small_traces.h"

namespace nearlane::harness {
namespace {

/// Every victim tried at every eviction. A set of keys is a mask.
class BruteForce {
 public:
  BruteForce(const RequestLog& log, int capacity) : log_(log), capacity_(capacity) {}

  std::uint64_t fewest(std::size_t at = 0, unsigned held = 0) {
    if (at == log_.requests.size()) return 0;
    const auto found = known_.find({at, held});
    if (found != known_.end()) return found->second;
    const Request& request = log_.requests[at];
    const unsigned key = 1U << request.key;
    const bool hit = request.kind == Request::Kind::read && (held & key) != 0;
    const std::uint64_t missed = request.is_read() && !hit ? 1 : 0;
    std::uint64_t least = ~std::uint64_t{0};
    if (request.kind == Request::Kind::dead_read || request.kind == Request::Kind::erase) {
      least = fewest(at + 1, held & ~key);
    } else if (request.kind == Request::Kind::touch) {
      least = fewest(at + 1, held);
    } else if ((held & key) != 0 || std::popcount(held) < capacity_) {
      least = fewest(at + 1, held | key);
    } else {
      for (unsigned left = held; left != 0; left &= left - 1) {
        const unsigned victim = left & -left;
        least = std::min(least, fewest(at + 1, (held & ~victim) | key));
      }
    }
    return known_[{at, held}] = missed + least;
  }

 private:
  const RequestLog& log_;
  int capacity_;
  std::map<std::pair<std::size_t, unsigned>, std::uint64_t> known_;
};

std::uint64_t unit_misses(const RequestLog& log, std::uint64_t objects) {
  return belady_misses(log, next_uses(log), objects);
}

TEST(Belady, HasTheFewestMissesOfAllPossibleOnReads) {
  EXPECT_TRUE(rc::check([] {
    const auto keys = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 6)));
    const auto capacity = *rc::gen::inRange(1, 5);
    const auto log = load_oracle(oracle_trace(keys)).value();
    RC_ASSERT(unit_misses(log, static_cast<std::uint64_t>(capacity)) ==
              BruteForce(log, capacity).fewest());
  }));
}

TEST(Belady, HasTheFewestMissesWhereTheTraceWritesToo) {
  EXPECT_TRUE(rc::check([] {
    const auto steps = *rc::gen::container<std::vector<std::pair<int, std::uint32_t>>>(
        rc::gen::pair(rc::gen::inRange(0, 8), rc::gen::inRange<std::uint32_t>(0, 6)));
    const auto capacity = *rc::gen::inRange(1, 4);
    std::string lines = "0,0,1,0,0,get,0\n";
    int second = 0;
    for (const auto& [what, key] : steps) {
      second += 5;
      const char* rest = what == 0   ? "9,0,set,0"
                         : what == 1 ? "9,0,set,12"
                         : what == 2 ? "0,0,touch,12"
                         : what == 3 ? "0,0,delete,0"
                                     : "0,0,get,0";
      lines += fmt::format("{},{},1,{}\n", second, key, rest);
    }
    const auto log = load_csv(lines).value();
    RC_ASSERT(unit_misses(log, static_cast<std::uint64_t>(capacity)) ==
              BruteForce(log, capacity).fewest());
  }));
}

TEST(Belady, KnowsTheNextReadThatCouldHit) {
  const auto log = load_csv(
                       "0,a,1,5,0,get,0\n1,a,1,0,0,touch,3\n2,a,1,5,0,get,0\n3,a,1,7,0,set,0\n"
                       "4,a,1,0,0,get,0\n5,a,1,0,0,delete,0\n6,a,1,0,0,get,0\n")
                       .value();
  const auto uses = next_uses(log);
  EXPECT_EQ(uses, (std::vector<std::uint32_t>{2, kNoUse, kNoUse, 4, kNoUse, kNoUse, kNoUse}));
}

std::uint64_t size_misses(const RequestLog& log, std::uint64_t bytes) {
  return belady_size_misses(log, next_uses(log), bytes,
                            [](const Request& request) -> std::uint64_t { return request.bytes; });
}

TEST(BeladySize, SparesManySmallForOneLarge) {
  // The large value comes back first, but keeping it would cost three misses.
  std::string bytes;
  for (const auto& [key, size] : std::vector<std::pair<std::uint64_t, std::uint32_t>>{
           {1, 10}, {2, 10}, {3, 10}, {9, 90}, {9, 90}, {1, 10}, {2, 10}, {3, 10}}) {
    bytes += oracle_record(0, key, size);
  }
  const auto log = load_oracle(bytes).value();
  EXPECT_EQ(size_misses(log, 100), 5U);
  EXPECT_EQ(size_misses(log, 120), 4U) << "all fit";
  EXPECT_EQ(size_misses(log, 5), 8U) << "nothing does";
}

TEST(BeladySize, NeverMissesMoreWithUnitSizesThanTheOptimum) {
  const auto log = load_oracle(oracle_trace(zipf_keys(500, 20'000, 5))).value();
  for (const std::uint64_t capacity : {1U, 10U, 100U, 400U}) {
    // It may also keep the new one out, which only helps.
    EXPECT_LE(size_misses(log, capacity), unit_misses(log, capacity)) << capacity;
  }
  EXPECT_EQ(unit_misses(log, 500), log.keys.size());
}

}  // namespace
}  // namespace nearlane::harness
