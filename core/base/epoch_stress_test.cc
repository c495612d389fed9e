#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/epoch.h"

namespace nearlane::epoch {
namespace {

std::atomic<std::int64_t> live{0};

/// `left` and `right` agree for as long as it lives; its end spoils both.
struct Pair {
  explicit Pair(std::uint64_t number) : left(number), right(~number) {
    live.fetch_add(1, std::memory_order_relaxed);
  }
  ~Pair() {
    left = 0;
    right = 0;
    live.fetch_sub(1, std::memory_order_relaxed);
  }
  std::uint64_t left;
  std::uint64_t right;
};

void free_pair(void* object) { delete static_cast<Pair*>(object); }

class Cells {
 public:
  Cells() {
    for (auto& cell : cells_) cell = new Pair(1);
  }
  ~Cells() {
    for (auto& cell : cells_) delete cell.load();
  }
  void write(std::uint64_t at, std::uint64_t number) {
    auto* old = cells_[at % cells_.size()].exchange(new Pair(number), std::memory_order_acq_rel);
    retire(old, free_pair, sizeof(Pair));
  }
  [[nodiscard]] bool read(std::uint64_t at) const {
    const Pair* pair = cells_[at % cells_.size()].load(std::memory_order_acquire);
    return pair->left == ~pair->right;
  }

 private:
  std::array<std::atomic<Pair*>, 16> cells_{};
};

// Readers, writers and threads that come and go: under TSan and ASan a wrong free is a report, without
// them a spoiled pair is one.
TEST(EpochStress, ReadersNeverSeeWhatWasFreed) {
  constexpr int kWriterRounds = 20000;
  constexpr int kMostTimes = 1000;  // so many rounds, where nobody reads
  Cells cells;
  std::atomic<int> writing{2};
  std::atomic<std::uint64_t> torn{0};
  std::atomic<std::uint64_t> reads{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 2; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      // On a busy machine readers begin late.
      const auto goes_on = [&](int i) {
        return i < kWriterRounds || (reads == 0 && i < kMostTimes * kWriterRounds);
      };
      for (int i = 0; goes_on(i); ++i) cells.write(random(), random());
      --writing;
    });
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed + 100);
      while (writing > 0) {
        const Guard guard;
        for (int i = 0; i < 16; ++i) torn += cells.read(random()) ? 0 : 1;
        reads += 16;
      }
    });
    threads.emplace_back([&, seed] {
      while (writing > 0) {
        std::thread([&, seed] {
          std::mt19937_64 random(seed + 200);
          for (int i = 0; i < 100; ++i) {
            const Guard guard;
            torn += cells.read(random()) ? 0 : 1;
            if (i % 4 == 0) cells.write(random(), random());
            torn += cells.read(random()) ? 0 : 1;
          }
        }).join();
      }
    });
  }
  threads.emplace_back([&] {
    while (writing > 0) collect();
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(torn, 0U);
  EXPECT_GT(reads, 0U);
  drain();
  EXPECT_EQ(live, 16) << "only the cells' own pairs are left";
  EXPECT_EQ(retired_bytes(), 0U);
}

}  // namespace
}  // namespace nearlane::epoch
