#include "core/base/key.h"

#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nearlane {
namespace {

std::uint64_t draw_seed() {
  std::random_device source;
  return (std::uint64_t{source()} << 32U) | source();
}

std::uint64_t& seed() noexcept {
  static std::uint64_t value = draw_seed();
  return value;
}

}  // namespace

std::uint64_t hash_key(std::uint32_t db, std::string_view name) noexcept {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed() + db);
}

void set_hash_seed(std::uint64_t value) noexcept { seed() = value; }

}  // namespace nearlane
