// Order: the names that a row asks for, drawn beforehand.
//
// They lie in memory in the order of use: a server finds a name hot in its receive buffer, so fetching it
// here must be a sequential read and never a miss that the map would be blamed for. Four million draws,
// 96 MB, so that the draws do not come round before any cache has forgotten the keys.
//
// Threads: immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "harness/micro/target.h"

namespace nearlane::micro {

inline constexpr std::size_t kDraws = std::size_t{1} << 22U;

[[nodiscard]] Name name_of(std::uint64_t key);

struct Order {
  Order(std::uint64_t keys, bool zipf);
  std::uint64_t keys;
  std::vector<Name> names;
};

}  // namespace nearlane::micro
