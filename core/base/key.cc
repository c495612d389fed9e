#include "core/base/key.h"

#include <atomic>
#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nearlane {
namespace {

/// 0: not drawn yet.
constinit std::atomic<std::uint64_t> seed{0};

/// One of the threads that come at once draws it for all.
[[gnu::noinline]] std::uint64_t draw_seed() {
  std::random_device source;
  const std::uint64_t drawn = (std::uint64_t{source()} << 32U) | source() | 1U;
  std::uint64_t before = 0;
  return seed.compare_exchange_strong(before, drawn, std::memory_order_relaxed) ? drawn : before;
}

}  // namespace

std::uint64_t hash_key(std::uint32_t db, std::string_view name) noexcept {
  std::uint64_t chosen = seed.load(std::memory_order_relaxed);
  if (chosen == 0) [[unlikely]]
    chosen = draw_seed();
  return XXH3_64bits_withSeed(name.data(), name.size(), chosen + db);
}

void set_hash_seed(std::uint64_t value) noexcept { seed.store(value, std::memory_order_relaxed); }

}  // namespace nearlane
