// Counters that a hit may bump without writing anything shared: each thread has its own block, a
// reader sums them.
//
// Threads:   add() from any thread, onto the calling thread's block, without waiting once a thread has one; sum() from any
//            thread.
// Lifetime:  a set of counters lives for the whole process (it is reached through thread-local
//            blocks), so make it a namespace-scope or static object. Blocks of threads that ended
//            are folded into a total.
// Cost:      add: one relaxed load and store on a line that no other thread writes. sum: a walk
//            over the threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace nearlane {

/// `Id` is an enum whose last value is `count`.
template <class Id>
class ThreadCounters {
 public:
  static constexpr std::size_t kCount = static_cast<std::size_t>(Id::count);

  static void add(Id id, std::uint64_t amount = 1) noexcept {
    auto& cell = block().cells[static_cast<std::size_t>(id)];
    cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  [[nodiscard]] static std::uint64_t sum(Id id) {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    std::uint64_t total = all.ended[static_cast<std::size_t>(id)];
    for (const Block* live : all.blocks) {
      total += live->cells[static_cast<std::size_t>(id)].load(std::memory_order_relaxed);
    }
    return total;
  }

 private:
  struct alignas(64) Block {
    Block() {
      Registry& all = registry();
      const std::lock_guard lock(all.mutex);
      all.blocks.push_back(this);
    }
    ~Block() {
      Registry& all = registry();
      const std::lock_guard lock(all.mutex);
      for (std::size_t i = 0; i < kCount; ++i) {
        all.ended[i] += cells[i].load(std::memory_order_relaxed);
      }
      std::erase(all.blocks, this);
    }
    std::array<std::atomic<std::uint64_t>, kCount> cells{};
  };
  struct Registry {
    std::mutex mutex;
    std::vector<Block*> blocks;
    std::array<std::uint64_t, kCount> ended{};
  };

  static Registry& registry() {
    static auto* instance = new Registry;  // never destroyed: threads may end after main
    return *instance;
  }
  static Block& block() noexcept {
    thread_local Block mine;
    return mine;
  }
};

}  // namespace nearlane
