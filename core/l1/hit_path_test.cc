// What a hit and an entry cost in memory, counted at operator new itself, and at malloc and calloc (core/l1/zeroed.h),
// which the linker leads here (--wrap).
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/l1/policy/adaptive.h"
#include "core/l1/shard.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names.
extern "C" {
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void __real_free(void* memory);
}

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::int64_t> allocated_bytes{0};

/// What calloc gave: its pages need not be there yet, so it counts as much as it was asked for.
struct Zeros {
  const void* memory = nullptr;
  std::int64_t bytes = 0;
};
std::array<Zeros, 4096> zeros;
std::mutex zeros_mutex;

void* counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  allocations.fetch_add(1, std::memory_order_relaxed);
  allocated_bytes.fetch_add(static_cast<std::int64_t>(malloc_usable_size(memory) + sizeof(void*)),
                            std::memory_order_relaxed);
  return memory;
}

void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  allocated_bytes.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(memory) + sizeof(void*)),
                            std::memory_order_relaxed);
  __real_free(memory);
}

}  // namespace

extern "C" {
void* __wrap_malloc(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __real_malloc(size);
}
void* __wrap_calloc(std::size_t count, std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = __real_calloc(count, size);
  const std::lock_guard lock(zeros_mutex);
  const auto free = std::ranges::find(zeros, nullptr, &Zeros::memory);
  if (memory == nullptr || free == zeros.end()) return memory;
  *free = {memory, static_cast<std::int64_t>(count * size)};
  allocated_bytes.fetch_add(free->bytes, std::memory_order_relaxed);
  return memory;
}
void __wrap_free(void* memory) {
  if (memory != nullptr) {
    const std::lock_guard lock(zeros_mutex);
    const auto given = std::ranges::find(zeros, memory, &Zeros::memory);
    if (given != zeros.end()) {
      allocated_bytes.fetch_sub(given->bytes, std::memory_order_relaxed);
      *given = {};
    }
  }
  __real_free(memory);
}
}
// NOLINTEND(bugprone-reserved-identifier)

void* operator new(std::size_t size) { return counted(__real_malloc(size)); }
void* operator new(std::size_t size, std::align_val_t align) {
  const auto unit = static_cast<std::size_t>(align);
  return counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

namespace nearlane::l1 {
namespace {

TEST(HitPath, AllocatesNothing) {
  std::vector<std::string> names;
  names.reserve(1000);
  for (int i = 0; i < 1000; ++i) names.push_back(fmt::format("session:{:08}", i));
  for (const auto map_name : map_names()) {
    for (const auto policy : policy_names()) {
      const auto map = make_l1({.map = map_name, .policy = policy}).value();
      for (const auto& name : names) {
        map->put(Entry::build(KeyRef(0, name), std::string(100, 'v'), kForever, 0));
      }
      { const epoch::Guard registers_this_thread; }
      std::vector<KeyRef> keys;
      keys.reserve(names.size());
      for (const auto& name : names) keys.emplace_back(0, name);
      std::vector<const Entry*> found(keys.size());
      std::size_t hits = 0;
      const auto before = allocations.load();
      for (const auto& name : names) {
        const epoch::Guard guard;
        hits += map->find(KeyRef(0, name)) != nullptr ? 1 : 0;
        hits += map->find(KeyRef(1, name)) != nullptr ? 1 : 0;
      }
      const epoch::Guard guard;
      map->find_batch(keys, found);
      EXPECT_EQ(allocations.load() - before, 0U) << map_name << " + " << policy;
      EXPECT_EQ(hits, map_name == "none" ? 0U : names.size());
    }
  }
}

/// What was allocated for so many entries, by what the map counts of it.
double allocated_by_counted(std::string_view map_name, std::string_view policy, int entries,
                            std::size_t name_bytes) {
  epoch::drain();
  const auto start = allocated_bytes.load();
  const auto map = make_l1({.map = map_name, .policy = policy}).value();
  for (int i = 0; i < entries; ++i) {
    const auto name = fmt::format("session:{:0{}}", i, name_bytes - 8);
    map->put(Entry::build(KeyRef(0, name), std::string(64, 'v'), kForever, 0));
  }
  const auto taken = static_cast<double>(allocated_bytes.load() - start);
  std::uint64_t lost = 0;  // between entries: nothing that was allocated
  map->walk([&](const Entry& entry) { lost += entry.charge() / kLostPart; });
  // Ghosts come with the first victim.
  const std::uint64_t ghosts =
      policy == Adaptive::kName ? map->stats().entries * Adaptive::kBytesPerEntry : 0;
  return taken / static_cast<double>(map->stats().bytes - lost - ghosts);
}

// The slot costs are means, so single sizes are off by what a table that has just doubled leaves empty.
TEST(L1Bytes, AreWhatTheAllocatorGave) {
  for (const auto map_name : map_names()) {
    if (map_name == "none") continue;
    for (const auto policy : policy_names()) {
      // What a policy takes has nothing to do with the map, so one map shows it for all.
      if (policy != "none" && map_name != "native") continue;
      double sum = 0;
      constexpr int kSizes = 5;
      for (int step = 0; step < kSizes; ++step) {
        const int entries = 40000 + 40000 * step / kSizes;  // once round the doublings
        const double ratio = allocated_by_counted(map_name, policy, entries, 16);
        EXPECT_GT(ratio, 0.85) << map_name << " + " << policy << ", " << entries;
        EXPECT_LT(ratio, 1.20) << map_name << " + " << policy << ", " << entries;
        sum += ratio;
      }
      EXPECT_NEAR(sum / kSizes, 1.0, 0.08) << map_name << " + " << policy;
    }
  }
}

// Some tables have a copy of each name, which is as long as the entry where names are.
TEST(L1Bytes, CountTheNamesThatATableCopies) {
  for (const auto map_name : map_names()) {
    if (map_name == "none") continue;
    EXPECT_NEAR(allocated_by_counted(map_name, "none", 10'000, 1000), 1.0, 0.08) << map_name;
  }
}

}  // namespace
}  // namespace nearlane::l1
