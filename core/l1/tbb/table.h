// TbbTable: oneTBB's concurrent_hash_map, which locks a bucket and an element for each find.
//
// Its keys are its own copies, because an entry's bytes go when it is replaced. tbb::…::find may be called
// beside insert and erase; clear and walks may not, so it has no clear().
//
// Source: oneTBB 2021.8, tbb/concurrent_hash_map.h.
#pragma once

#include <bit>
#include <memory>
#include <utility>

#include <oneapi/tbb/concurrent_hash_map.h>

#include "core/base/key.h"
#include "core/l1/table.h"

namespace nearlane::l1 {

class TbbTable {
 public:
  static constexpr std::string_view kName = "tbb";
  static constexpr bool kFindsUnlocked = true;
  static constexpr bool kShards = true;
  // A node of 72 bytes is 80 of the allocator's, a bucket 16 at a mean load of 0.75.
  static constexpr std::size_t kBytesPerEntry = 101;
  static std::size_t bytes_beside(const Entry& entry) noexcept { return bytes_of_name(entry); }

  [[nodiscard]] const Entry* find(const KeyRef& key) const noexcept {
    Map::const_accessor at;
    return map_.find(at, key) ? at->second : nullptr;
  }
  void insert(const Entry* entry, std::uint64_t hash) {
    map_.insert({Key(entry->key_with(hash)), entry});
  }
  void replace(const Entry* old, const Entry* next, std::uint64_t hash) noexcept {
    Map::accessor at;
    if (map_.find(at, old->key_with(hash))) at->second = next;
  }
  void erase(const Entry* entry, std::uint64_t hash) noexcept { map_.erase(entry->key_with(hash)); }
  void tidy() noexcept {}
  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }

 private:
  struct HashCompare {
    using is_transparent = void;
    static std::size_t hash(const Key& key) noexcept { return std::rotr(key.hash, kHomeShift); }
    static std::size_t hash(const KeyRef& key) noexcept { return std::rotr(key.hash, kHomeShift); }
    static bool equal(const Key& a, const Key& b) noexcept { return a == b; }
    static bool equal(const Key& a, const KeyRef& b) noexcept { return a.ref() == b; }
    static bool equal(const KeyRef& a, const Key& b) noexcept { return a == b.ref(); }
  };
  // The allocator of everything else: oneTBB's own is a library that TSan cannot look into, so that it takes
  // a node's second use for a race with the first.
  using Allocator = std::allocator<std::pair<const Key, const Entry*>>;
  using Map = tbb::concurrent_hash_map<Key, const Entry*, HashCompare, Allocator>;

  mutable Map map_;
};
static_assert(Table<TbbTable>);

}  // namespace nearlane::l1
