// Table: how a shard finds an entry by its key. What makes one map differ from another.
//
// A table owns no entries and knows no budget: the shard does (shard.h).
//
// Threads:   writers hold the shard's lock. With kFindsUnlocked, find runs beside a writer and beside
//            itself, under an epoch guard; without, under the lock, shared at least.
// Lifetime:  entries in the table are alive; what was erased from it may still be seen by a find that is
//            under way, so the shard retires it.
// Errors:    insert may throw std::bad_alloc.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/key.h"
#include "core/entry/entry.h"
#include "core/l1/cells.h"

namespace nearlane::l1 {

/// Bits of the hash below this may have chosen the shard (table_map.h). Within one they are alike, so a table
/// goes by those above.
inline constexpr unsigned kHomeShift = 14;

template <class T>
concept Table = std::default_initializable<T> &&
    requires(T table, const T& fixed, const KeyRef& key, const Entry* entry, std::uint64_t hash) {
  // The map's name; stable, since it names the row in results/.
  { T::kName } -> std::convertible_to<std::string_view>;
  { T::kFindsUnlocked } -> std::convertible_to<bool>;
  // More than one shard is allowed.
  { T::kShards } -> std::convertible_to<bool>;
  // Mean bytes of the table for an entry.
  { T::kBytesPerEntry } -> std::convertible_to<std::size_t>;
  { fixed.find(key) } -> std::same_as<const Entry*>;
  // A key that is not there.
  table.insert(entry, hash);
  // `old` is there, and the second has its key.
  table.replace(entry, entry, hash);
  // It is there.
  table.erase(entry, hash);
  // Goes on with what the table has to do besides, a bounded piece of it.
  table.tidy();
  // For tests: a shard counts its entries by its cells.
  { fixed.size() } -> std::convertible_to<std::size_t>;
};

/// A table that takes more for some entries says so: `static std::size_t bytes_beside(const Entry&)`, the same for all
/// entries of one key. This is it for one whose keys are std::strings of its own, as malloc rounds them: up to 15 bytes lie
/// in the string itself.
[[nodiscard]] inline std::size_t bytes_of_name(const Entry& entry) noexcept {
  constexpr std::size_t kGrain = 16;
  const std::size_t size = entry.key_with(0).name.size();
  if (size < kGrain) return 0;
  return std::max(2 * kGrain, (size + 1 + sizeof(std::size_t) + kGrain - 1) / kGrain * kGrain);
}

/// Takes all out, which `cells` names. A table may have a clear() of its own; it then bears finds beside it.
template <Table T>
void clear(T& table, const Cells& cells) {
  if constexpr (requires { table.clear(); }) {
    table.clear();
  } else {
    for (CellId cell = 0; cell < cells.end(); ++cell) {
      if (const Entry* entry = cells.at(cell)) table.erase(entry, entry->key().hash);
    }
  }
}

/// A table that can fetch what a find will need, so that those of a batch overlap their cache misses.
template <class T>
concept Prefetches = Table<T> && requires(const T& table, std::uint64_t hash) {
  table.prefetch_place(hash);
  // Once the place is there.
  table.prefetch_entry(hash);
};

}  // namespace nearlane::l1
