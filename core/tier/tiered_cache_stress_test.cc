// Many threads on one TieredCache over the embedded store. Each key has one writer that numbers what it
// writes, so that every answer can be judged: it is never older than what was acknowledged before the
// question was asked, nor than what the same reader has seen; and when all is quiet, L1 has what L2 has.
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kKeys = 4;  // few, so that they meet
constexpr unsigned kWriters = 2;
constexpr int kWrites = 1500;

/// The embedded store behind a road on which calls overtake each other.
class Jittery final : public l2::ForwardingBackend {
 public:
  Jittery() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)) {}
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    thread_local std::minstd_rand random(std::random_device{}());
    if (random() % 4 == 0) std::this_thread::yield();
    behind_->submit(std::move(call));
  }
};

class Scene {
 public:
  Scene(std::string_view map, std::uint64_t l1_bytes)
      : cache_({}, *l1::make_l1({.map = map, .policy = "lru", .bytes = l1_bytes}),
               std::make_unique<Jittery>()) {
    for (unsigned i = 0; i < kKeys; ++i) names_.push_back(fmt::format("key{}", i));
    cache_.start();
  }

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kWriters; ++i) {
      threads.emplace_back([this, i] { write(i); });
      threads.emplace_back([this, i] { read(i + 10); });
    }
    threads.emplace_back([this] { keep_house(); });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(stale_, 0);
    EXPECT_EQ(unanswered_, 0);
    EXPECT_GT(l1_hits_, 0U);
    for (unsigned key = 0; key < kKeys; ++key) compare_tiers(key);
  }

 private:
  [[nodiscard]] KeyRef ref(unsigned key) const { return {0, names_[key]}; }

  static std::string text(int number) {
    return fmt::format("{}:{:v<{}}", number, "", number % 500);
  }
  static int number_of(std::string_view value) {
    int number = 0;
    const auto end = std::from_chars(value.data(), value.data() + value.size(), number).ptr;
    return std::string_view(end, value.data() + value.size()) ==
                   text(number).substr(static_cast<std::size_t>(end - value.data()))
               ? number
               : -1;
  }

  /// One writer's turn: whatever it does to its key is acknowledged before the next one begins.
  void write(unsigned writer) {
    std::mt19937_64 random(writer);
    for (int number = 1; number <= kWrites; ++number) {
      const unsigned key = static_cast<unsigned>(random() % (kKeys / kWriters)) * kWriters + writer;
      const unsigned other = (key + kWriters) % kKeys;
      ++unanswered_;
      const auto done = [this](const auto& answer) {
        if (answer.has_value()) --unanswered_;
      };
      switch (random() % 9) {
        case 0:
          cache_.remove(ref(key), kForever, done);
          break;
        case 1:
          cache_.execute({.args = {"SET", names_[key], text(number)}, .keys = {names_[key]}},
                         kForever, done);
          break;
        case 2:
          cache_.execute({.args = {"MSET", names_[key], text(number), names_[other], text(number)},
                          .keys = {names_[key], names_[other]}},
                         kForever, done);
          acknowledge(other, number);
          break;
        case 3:
          cache_.touch(ref(key), milliseconds(random() % 4 == 0 ? -1 : 60'000), kForever, done);
          continue;  // writes no value
        case 4:
          cache_.transact(
              {.commands = {{.args = {"SET", names_[key], text(number)}, .keys = {names_[key]}},
                            {.args = {"SET", names_[other], text(number)},
                             .keys = {names_[other]}}}},
              kForever, done);
          acknowledge(other, number);
          break;
        default:
          cache_.set(ref(key), text(number),
                     {.expiry = random() % 4 == 0 ? Expiry::in(milliseconds(1 + random() % 3))
                                                  : Expiry::never()},
                     kForever, done);
          break;
      }
      acknowledge(key, number);
    }
    --writing_;
  }
  void acknowledge(unsigned key, int number) {
    acknowledged_[key].store(number, std::memory_order_release);
  }

  void read(unsigned seed) {
    std::mt19937_64 random(seed);
    std::array<int, kKeys> newest{};
    const auto judge = [&](unsigned key, int floor, std::string_view value) {
      const int number = number_of(value);
      if (number < std::max(floor, newest[key])) ++stale_;
      newest[key] = number;
    };
    while (writing_ > 0) {
      const unsigned key = static_cast<unsigned>(random() % kKeys);
      const int floor = acknowledged_[key].load(std::memory_order_acquire);
      if (random() % 2 == 0) {
        ++unanswered_;
        const auto from = random() % 4 == 0 ? ReadFrom::through_l2 : ReadFrom::l1_first;
        // Another thread may complete it, if it was the one that fetched.
        const auto waiting = std::make_shared<std::atomic<int>>(0);
        cache_.get(Key(ref(key)), from, kForever, [&, floor, waiting](const Result<Lookup>& found) {
          if (found.has_value()) --unanswered_;
          int number = 0;
          if (found && found->entry) number = number_of(found->entry->value());
          if (found && found->entry && number < floor) ++stale_;
          *waiting = 1;
          waiting->notify_one();
        });
        waiting->wait(0);
        continue;
      }
      const epoch::Guard guard;
      const std::array keys{ref(key), ref((key + 1) % kKeys), ref((key + 2) % kKeys)};
      std::array<const Entry*, 3> found{};
      cache_.find_batch(keys, found, Clock::now());
      if (found[0] == nullptr) continue;
      judge(key, floor, found[0]->value());
      ++l1_hits_;
    }
  }

  void keep_house() {
    std::mt19937_64 random(99);
    while (writing_ > 0) {
      cache_.sweep(Clock::now(), 8);
      epoch::collect();
      if (random() % 16 != 0) continue;
      ++unanswered_;
      // Nobody names the keys, so every entry is disowned; it flushes another database.
      cache_.execute({.db = 3, .args = {"FLUSHDB"}, .keys = {}}, kForever,
                     [this](const Result<protocol::Reply>& answer) {
                       if (answer.has_value()) --unanswered_;
                     });
    }
  }

  void compare_tiers(unsigned key) {
    const epoch::Guard guard;
    const Entry* entry = cache_.find(ref(key), Clock::now());
    if (entry == nullptr) return;
    const TimePoint deadline = entry->deadline();
    std::string stored;
    cache_.execute({.args = {"GET", names_[key]}, .keys = {names_[key]}, .writes = false}, kForever,
                   [&](const Result<protocol::Reply>& reply) { stored = reply->text; });
    if (Clock::now() >= deadline) return;
    EXPECT_EQ(entry->value(), stored) << names_[key];
  }

  TieredCache cache_;
  std::vector<std::string> names_;
  std::array<std::atomic<int>, kKeys> acknowledged_{};
  std::atomic<int> writing_{kWriters};
  std::atomic<int> stale_{0};
  std::atomic<int> unanswered_{0};
  std::atomic<std::uint64_t> l1_hits_{0};
};

class TieredCacheStress : public testing::TestWithParam<std::string_view> {};

TEST_P(TieredCacheStress, NoAnswerIsOlderThanWhatWasAcknowledged) {
  Scene(GetParam(), std::uint64_t{64} << 20U).run();
}

TEST_P(TieredCacheStress, NorWhenL1IsTooSmall) { Scene(GetParam(), 16 * 1024).run(); }

INSTANTIATE_TEST_SUITE_P(Over, TieredCacheStress, testing::Values("mutex", "sharded"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace nearlane::tier
