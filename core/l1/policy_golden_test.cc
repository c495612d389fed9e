// LRU is exact: the same misses as a list written down as plainly as can be, on a trace that is the same on
// every machine.
#include <algorithm>
#include <array>
#include <list>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"

namespace nearlane::l1 {
namespace {

class ReferenceLru {
 public:
  explicit ReferenceLru(std::size_t capacity) : capacity_(capacity) {}

  bool hit(std::uint32_t key) {
    const auto at = where_.find(key);
    if (at == where_.end()) return false;
    order_.splice(order_.begin(), order_, at->second);
    return true;
  }
  void put(std::uint32_t key) {
    if (hit(key)) return;
    if (order_.size() == capacity_) erase(order_.back());
    order_.push_front(key);
    where_[key] = order_.begin();
  }
  bool erase(std::uint32_t key) {
    const auto at = where_.find(key);
    if (at == where_.end()) return false;
    order_.erase(at->second);
    where_.erase(at);
    return true;
  }
  [[nodiscard]] std::vector<std::uint32_t> sorted() const {
    std::vector<std::uint32_t> keys(order_.begin(), order_.end());
    std::ranges::sort(keys);
    return keys;
  }

 private:
  std::size_t capacity_;
  std::list<std::uint32_t> order_;
  std::unordered_map<std::uint32_t, std::list<std::uint32_t>::iterator> where_;
};

/// Zipf with exponent 1 in integers only, so that no library's pow() has a say.
std::vector<std::uint32_t> zipf_trace(std::uint32_t keys, std::size_t length, std::uint64_t seed) {
  std::vector<std::uint64_t> upto(keys);
  std::uint64_t total = 0;
  for (std::uint32_t key = 0; key < keys; ++key) {
    total += (std::uint64_t{1} << 40U) / (key + 1);
    upto[key] = total;
  }
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> trace(length);
  for (auto& key : trace) {
    key =
        static_cast<std::uint32_t>(std::ranges::upper_bound(upto, random() % total) - upto.begin());
  }
  return trace;
}

KeyRef key_of(std::string& buffer, std::uint32_t key) {
  buffer = fmt::format("{}", key);
  return {0, buffer};
}

std::size_t misses(L1Map& map, const std::vector<std::uint32_t>& trace) {
  std::size_t count = 0;
  std::string name;
  for (const auto key : trace) {
    const epoch::Guard guard;
    const KeyRef ref = key_of(name, key);
    if (map.find(ref) != nullptr) continue;
    ++count;
    map.put(Entry::build(ref, "value", kForever, 0));
  }
  return count;
}

TEST(LruGolden, MissesAtEightCapacities) {
  struct Row {
    std::size_t capacity;
    std::size_t misses;
  };
  // A change here is a change of what the policy does, so it needs a decision, not a new number.
  constexpr std::array<Row, 8> kGolden{{{10, 86826},
                                        {50, 68884},
                                        {100, 60820},
                                        {500, 41235},
                                        {1000, 32622},
                                        {2000, 23899},
                                        {4000, 15235},
                                        {8000, 8750}}};
  const auto trace = zipf_trace(10000, 100000, 42);
  for (const auto& [capacity, golden] : kGolden) {
    ReferenceLru reference(capacity);
    std::size_t expected = 0;
    for (const auto key : trace) {
      if (reference.hit(key)) continue;
      ++expected;
      reference.put(key);
    }
    EXPECT_EQ(expected, golden) << "the trace or the reference changed, at " << capacity;
    for (const std::string_view name : {"mutex", "sharded", "native"}) {
      const auto map = make_l1({.map = name, .policy = "lru", .entries = capacity}).value();
      EXPECT_EQ(misses(*map, trace), golden) << name << " at " << capacity;
    }
  }
}

TEST(LruGolden, KeepsWhatTheReferenceKeepsAfterEveryStep) {
  for (const std::string_view map_name : {"mutex", "sharded", "native"}) {
    const bool held = rc::check(std::string(map_name), [&] {
      constexpr std::size_t kCapacity = 5;
      const auto map = make_l1({.map = map_name, .policy = "lru", .entries = kCapacity}).value();
      ReferenceLru reference(kCapacity);
      std::string name;
      const auto steps = *rc::gen::container<std::vector<std::pair<int, std::uint32_t>>>(
          rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange<std::uint32_t>(0, 10)));
      for (const auto& [what, key] : steps) {
        const epoch::Guard guard;
        const KeyRef ref = key_of(name, key);
        if (what == 0) {
          map->put(Entry::build(ref, "value", kForever, 0));
          reference.put(key);
        } else if (what == 1) {
          RC_ASSERT(map->erase(ref) == reference.erase(key));
        } else {
          RC_ASSERT((map->find(ref) != nullptr) == reference.hit(key));
        }
        std::vector<std::uint32_t> kept;
        map->walk([&](const Entry& each) {
          kept.push_back(static_cast<std::uint32_t>(std::stoul(std::string(each.key().name))));
        });
        std::ranges::sort(kept);
        RC_ASSERT(kept == reference.sorted());
      }
    });
    EXPECT_TRUE(held) << map_name;
  }
}

}  // namespace
}  // namespace nearlane::l1
