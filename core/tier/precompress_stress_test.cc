// Many threads on one TieredCache whose entries are compressed behind their backs: whatever L1 serves, its forms are
// those of its own value, and it is never older than what was acknowledged before it was asked for.
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/entry/test_decoding.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

constexpr unsigned kKeys = 4;
constexpr unsigned kWriters = 2;
constexpr int kWrites = 800;
/// So many more, a millisecond each, while no reader has met a form: on a busy machine its threads come late.
constexpr int kMoreWrites = 20'000;

std::string text(int number) {
  std::string out = fmt::format("{};", number);
  while (out.size() < 400) out += fmt::format("{},", number);
  return out;
}
int number_of(std::string_view value) {
  int number = -1;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return value == text(number) ? number : -1;
}

class Scene {
 public:
  explicit Scene(std::uint64_t l1_bytes)
      : cache_({.precompress = Precompress::always,
                .precompression = {.threads = 2, .most_waiting = 8}},
               *l1::make_l1({.map = "native", .policy = "lru", .bytes = l1_bytes}),
               l2::make_memory_backend(std::uint64_t{1} << 30U)) {
    for (unsigned i = 0; i < kKeys; ++i) names_.push_back(fmt::format("key{}", i));
    cache_.start();
  }

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kWriters; ++i) {
      threads.emplace_back([this, i] { write(i); });
      threads.emplace_back([this, i] { read(i + 10); });
    }
    for (auto& thread : threads) thread.join();
    cache_.stop();
    EXPECT_EQ(wrong_, 0);
    EXPECT_GT(forms_, 0);
  }

 private:
  [[nodiscard]] KeyRef ref(unsigned key) const { return {0, names_[key]}; }

  bool goes_on(int number) {
    if (number <= kWrites) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return forms_ == 0 && number <= kWrites + kMoreWrites;
  }

  void write(unsigned writer) {
    std::mt19937_64 random(writer);
    for (int number = 1; goes_on(number); ++number) {
      const unsigned key = static_cast<unsigned>(random() % (kKeys / kWriters)) * kWriters + writer;
      const auto done = [](const auto&) {};
      switch (random() % 8) {
        case 0:
          cache_.remove(ref(key), kForever, done);
          break;
        case 1:
          cache_.execute({.args = {"SET", names_[key], text(number)}, .keys = {names_[key]}},
                         kForever, done);
          break;
        case 2:
          cache_.touch(ref(key), std::chrono::milliseconds(60'000), kForever, done);
          continue;  // writes no value
        default:
          cache_.set(ref(key), text(number), {}, kForever, done);
          break;
      }
      acknowledged_[key].store(number, std::memory_order_release);
      std::this_thread::yield();  // so that the queue's threads get somewhere
    }
    --writing_;
  }

  void read(unsigned seed) {
    std::mt19937_64 random(seed);
    while (writing_ > 0) {
      const unsigned key = static_cast<unsigned>(random() % kKeys);
      const int floor = acknowledged_[key].load(std::memory_order_acquire);
      if (random() % 4 == 0)
        cache_.get(Key(ref(key)), ReadFrom::l1_first, kForever, [](const auto&) {});
      const epoch::Guard guard;
      const Entry* entry = cache_.find(ref(key), Clock::now());
      if (entry == nullptr) continue;
      cache_.want_forms(*entry);
      judge(*entry, floor);
    }
  }

  void judge(const Entry& entry, int floor) {
    if (number_of(entry.value()) < floor) ++wrong_;
    for (const Coding coding : {Coding::br, Coding::gzip}) {
      const auto form = entry.form(coding);
      if (form.empty()) continue;
      ++forms_;
      if (test::decoded(form, coding, 1024) != entry.value()) ++wrong_;
    }
  }

  TieredCache cache_;
  std::vector<std::string> names_;
  std::array<std::atomic<int>, kKeys> acknowledged_{};
  std::atomic<int> writing_{kWriters};
  std::atomic<int> wrong_{0};
  std::atomic<int> forms_{0};
};

TEST(PrecompressStress, FormsAreThoseOfTheirValue) { Scene(std::uint64_t{64} << 20U).run(); }
TEST(PrecompressStress, AlsoWhereL1IsTooSmall) { Scene(std::uint64_t{24} * 1024).run(); }

}  // namespace
}  // namespace nearlane::tier
