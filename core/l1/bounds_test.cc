// How much work one call on a map may do while others wait for its lock: docs/l1.md, "What is bounded".
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/l1/policy/none.h"
#include "core/l1/shard.h"
#include "core/l1/sharded/table.h"
#include "core/l1/table_map.h"

namespace nearlane::l1 {
namespace {

std::string name(std::uint64_t number) { return fmt::format("k{}", number); }

TEST(L1Bounds, APutPassesABoundedNumberOfUsedEntries) {
  for (const char* policy : {"clock", "sieve"}) {
    const auto map =
        *make_l1({.map = "mutex", .policy = policy, .bytes = std::uint64_t{16} << 20U});
    const epoch::Guard guard;
    unsigned put = 0;
    for (; map->stats().evictions == 0; ++put)
      map->put(Entry::build(KeyRef(0, name(put)), "v", kForever, 0));
    for (unsigned i = 0; i < put; ++i) (void)map->find(KeyRef(0, name(i)));
    const auto unmarked = [&] {
      std::size_t count = 0;
      map->walk([&](const Entry& each) { count += each.mark() == 0 ? 1 : 0; });
      return count;
    };
    ASSERT_EQ(unmarked(), 0U) << policy;
    ASSERT_GT(map->stats().entries, 2 * kMostPassed + kEvictionsPerCall) << policy;
    const std::string large(std::size_t{1} << 20U, 'v');
    map->put(Entry::build(KeyRef(0, "large"), large, kForever, 0));
    EXPECT_GT(map->stats().evictions, 500U) << policy;
    // All the victims of the put together, and it is new itself.
    EXPECT_LE(unmarked(), kMostPassed + 1) << policy;
  }
}

/// A table that knows how many entries it lost under one lock at most: a sweep tidies at the end of each.
class CountingTable : public FlatTable {
 public:
  void erase(const Entry* entry, std::uint64_t hash) noexcept {
    most_ = std::max(most_, ++erased_);
    FlatTable::erase(entry, hash);
  }
  void tidy() noexcept { erased_ = 0; }
  static std::size_t most() noexcept { return most_; }

 private:
  static inline std::size_t erased_ = 0;
  static inline std::size_t most_ = 0;
};

TEST(L1Bounds, ASweepLetsOthersAtTheLock) {
  TableMap<CountingTable, NoPolicy> map(L1Config{.bytes = std::uint64_t{16} << 20U});
  for (unsigned i = 0; i < 1000; ++i)
    map.put(Entry::build(KeyRef(0, name(i)), "v", TimePoint{}, 0));
  EXPECT_EQ(map.sweep(TimePoint{std::chrono::seconds(1)}, 1000), 1000U);
  EXPECT_EQ(CountingTable::most(), 256U);
}

}  // namespace
}  // namespace nearlane::l1
