#include "core/base/key.h"

#include <cassert>
#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nearlane {

constinit std::atomic<std::uint64_t> detail::hash_seed{0};

namespace {

/// One of the threads that come at once draws it for all.
[[gnu::noinline]] std::uint64_t draw_seed() {
  std::random_device source;
  const std::uint64_t drawn = (std::uint64_t{source()} << 32U) | source() | 1U;
  std::uint64_t before = 0;
  return detail::hash_seed.compare_exchange_strong(before, drawn, std::memory_order_relaxed)
             ? drawn
             : before;
}

}  // namespace

std::uint64_t detail::hash_any(std::uint32_t db, std::string_view name) noexcept {
  std::uint64_t seed = hash_seed.load(std::memory_order_relaxed);
  if (seed == 0) [[unlikely]]
    seed = draw_seed();
  return XXH3_64bits_withSeed(name.data(), name.size(), seed + db);
}

void set_hash_seed(std::uint64_t seed) noexcept {
  assert(seed != 0);
  detail::hash_seed.store(seed, std::memory_order_relaxed);
}

}  // namespace nearlane
