// Many threads on one map. Each key has one writer that numbers what it puts, so that every reader can say
// whether what it saw was possible: numbers never go back, and never behind an erase that was acknowledged.
#include <atomic>
#include <charconv>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"

namespace nearlane::l1 {
namespace {

/// Few keys, that threads meet at; and many, that tables grow under again and again, since they are cleared.
constexpr unsigned kFew = 64;
constexpr unsigned kMany = 2048;
constexpr unsigned kWriters = 2;
constexpr int kWrites = 4000;
constexpr int kWritesOfMany = 6000;
constexpr int kMostTimes = 1000;  // so many writes, where no read hits

class Scene {
 public:
  explicit Scene(std::unique_ptr<L1Map> map, unsigned keys = kFew, int writes = kWrites)
      : map_(std::move(map)), keys_(keys), writes_(writes), erased_(keys) {
    for (unsigned i = 0; i < keys; ++i) names_.push_back(fmt::format("key{}", i));
  }

  void write(unsigned writer) {
    std::mt19937_64 random(writer);
    // On a busy machine all might be written before anybody gets to read.
    const auto goes_on = [this](int number) {
      return number <= writes_ || (waits_for_hit_ && hits_ == 0 && number <= kMostTimes * writes_);
    };
    for (int number = 1; goes_on(number); ++number) {
      const unsigned key = static_cast<unsigned>(random() % (keys_ / kWriters)) * kWriters + writer;
      map_->put(build(key, number, random() % 8 == 0 ? 3000 : random() % 300));
      if (random() % 4 != 0) continue;
      map_->erase(ref(key));
      erased_[key].store(number, std::memory_order_release);
    }
    --writing_;
  }

  void read(unsigned seed) {
    std::mt19937_64 random(seed);
    std::vector<int> newest(keys_);
    while (writing_ > 0) {
      const epoch::Guard guard;
      std::vector<unsigned> keys;
      std::vector<KeyRef> refs;
      std::vector<int> floor;
      for (int i = 0; i < 8; ++i) {
        keys.push_back(static_cast<unsigned>(random() % keys_));
        refs.push_back(ref(keys.back()));
        floor.push_back(erased_[keys.back()].load(std::memory_order_acquire) + 1);
      }
      std::vector<const Entry*> found(keys.size());
      map_->find_batch(refs, found);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (found[i] == nullptr) continue;
        const int number = check(keys[i], *found[i]);
        if (number < std::max(newest[keys[i]], floor[i])) ++impossible_;
        newest[keys[i]] = number;
        ++hits_;
      }
    }
  }

  /// Puts a variant of what it found some time ago: it must never bring back what has gone since.
  void improve(unsigned seed) {
    std::mt19937_64 random(seed);
    while (writing_ > 0) {
      const unsigned key = static_cast<unsigned>(random() % keys_);
      EntryPtr found;
      {
        const epoch::Guard guard;
        found = EntryPtr::pin(map_->find(ref(key)));
      }
      if (!found) continue;
      if (random() % 4 == 0) end_early(key);
      std::this_thread::yield();
      map_->replace_if(found.get(), build(key, check(key, *found), 50));
    }
  }

  /// A deadline moves to now, as a touch may move it, while others put, erase, evict and clear.
  void end_early(unsigned key) {
    const epoch::Guard guard;
    const Entry* found = map_->find(ref(key));
    if (found == nullptr) return;
    found->set_deadline(TimePoint(Duration(1)));
    map_->reschedule(*found);
  }

  void keep_house() {
    std::mt19937_64 random(99);
    while (writing_ > 0) {
      map_->sweep(TimePoint(Duration(static_cast<std::int64_t>(random() % 4))), 16);
      if (random() % 64 == 0) map_->clear();
      map_->walk([&](const Entry& each) { check_form(each); });
      const auto stats = map_->stats();
      if (stats.bytes > stats.capacity + stats.capacity / 4) ++impossible_;
      epoch::collect();
    }
  }

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kWriters; ++i) {
      threads.emplace_back([this, i] { write(i); });
      threads.emplace_back([this, i] { read(i + 10); });
    }
    threads.emplace_back([this] { improve(20); });
    threads.emplace_back([this] { keep_house(); });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(impossible_, 0);
  }
  void wait_for_hit() { waits_for_hit_ = true; }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }

 private:
  [[nodiscard]] KeyRef ref(unsigned key) const { return {0, names_[key]}; }

  /// "<number>:vvv…"
  [[nodiscard]] EntryPtr build(unsigned key, int number, std::size_t padding) const {
    const auto deadline = number % 8 == 0 ? TimePoint(Duration(number % 4)) : kForever;
    return Entry::build(ref(key), fmt::format("{}:{:v<{}}", number, "", padding), deadline, 0);
  }
  int check_form(const Entry& entry) {
    const std::string_view value = entry.value();
    int number = 0;
    const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
    const std::string_view rest(end.ptr, value.data() + value.size());
    if (rest.empty() || rest[0] != ':' || rest.find_first_not_of('v', 1) != rest.npos)
      ++impossible_;
    return number;
  }
  int check(unsigned key, const Entry& entry) {
    if (entry.key() != ref(key)) ++impossible_;
    return check_form(entry);
  }

  std::unique_ptr<L1Map> map_;
  std::vector<std::string> names_;
  const unsigned keys_;
  const int writes_;
  std::vector<std::atomic<int>> erased_;
  std::atomic<int> writing_{kWriters};
  std::atomic<int> impossible_{0};
  std::atomic<std::uint64_t> hits_{0};
  bool waits_for_hit_ = false;
};

using MapAndPolicy = std::tuple<std::string_view, std::string_view>;
class L1Stress : public testing::TestWithParam<MapAndPolicy> {};

TEST_P(L1Stress, EveryAnswerWasPossible) {
  const auto [map, policy] = GetParam();
  {
    Scene scene(make_l1({.map = map, .policy = policy, .bytes = 48 * 1024}).value());
    if (map != "none") scene.wait_for_hit();
    scene.run();
    EXPECT_EQ(scene.hits() > 0, map != "none");
  }
  epoch::drain();
  EXPECT_EQ(epoch::retired_bytes(), 0U);
}

// Enough budget for several shards, so that batches and sweeps cross them.
TEST_P(L1Stress, EveryAnswerWasPossibleAcrossShards) {
  const auto [map, policy] = GetParam();
  Scene scene(make_l1({.map = map, .policy = policy, .bytes = std::uint64_t{64} << 20U}).value());
  scene.run();
}

std::string test_name(const testing::TestParamInfo<MapAndPolicy>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::string(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Every, L1Stress,
                         testing::Combine(testing::ValuesIn(map_names()),
                                          testing::ValuesIn(policy_names())),
                         test_name);

// One shard, so that many keys are many in its table: it grows, is cleared and grows again beside readers. To a table
// policies differ only in whether a hit takes the lock.
class L1Growth : public L1Stress {};

TEST_P(L1Growth, EveryAnswerWasPossible) {
  const auto [map, policy] = GetParam();
  Scene scene(make_l1({.map = map, .policy = policy, .bytes = std::uint64_t{8} << 20U}).value(),
              kMany, kWritesOfMany);
  scene.run();
}
INSTANTIATE_TEST_SUITE_P(Every, L1Growth,
                         testing::Combine(testing::ValuesIn(map_names()),
                                          testing::Values("adaptive", "lru")),
                         test_name);

}  // namespace
}  // namespace nearlane::l1
