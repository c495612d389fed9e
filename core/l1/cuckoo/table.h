// CuckooTable: libcuckoo's cuckoohash_map, which locks the two buckets of a key for each find.
//
// Its keys are its own copies, because an entry's bytes go when it is replaced. More than eight keys of one
// hash do not fit: its insert then throws libcuckoo::load_factor_too_low; and as it grows it appends to its list of locks
// while finds look at that list's end without one (get_current_locks), which the thread sanitizer reports and C++ does not
// define. So it is a peer to measure, not a map to serve from.
//
// Source: libcuckoo 0.3.1; Li, Andersen, Kaminsky, Freedman, "Algorithmic improvements for fast
//         concurrent cuckoo hashing", EuroSys 2014.
#pragma once

#include <bit>

#include <libcuckoo/cuckoohash_map.hh>

#include "core/base/key.h"
#include "core/l1/table.h"

namespace nearlane::l1 {

class CuckooTable {
 public:
  static constexpr std::string_view kName = "cuckoo";
  static constexpr bool kFindsUnlocked = true;
  static constexpr bool kShards = true;
  // Measured: a slot of 56 bytes, a partial hash, a mark and a lock of 64 bytes, in a table that doubles when it is
  // nearly full.
  static constexpr std::size_t kBytesPerEntry = 136;
  static std::size_t bytes_beside(const Entry& entry) noexcept { return bytes_of_name(entry); }

  [[nodiscard]] const Entry* find(const KeyRef& key) const noexcept {
    const Entry* found = nullptr;
    map_.find_fn(key, [&](const Entry* entry) { found = entry; });
    return found;
  }
  void insert(const Entry* entry, std::uint64_t hash) {
    map_.insert(Key(entry->key_with(hash)), entry);
  }
  void replace(const Entry* old, const Entry* next, std::uint64_t hash) noexcept {
    map_.update_fn(old->key_with(hash), [&](const Entry*& entry) { entry = next; });
  }
  void erase(const Entry* entry, std::uint64_t hash) noexcept { map_.erase(entry->key_with(hash)); }
  void tidy() noexcept {}
  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
  void clear() { map_.clear(); }

 private:
  struct HomeHash {
    using is_transparent = void;
    std::size_t operator()(const KeyRef& key) const noexcept {
      return std::rotr(key.hash, kHomeShift);
    }
    std::size_t operator()(const Key& key) const noexcept {
      return std::rotr(key.hash, kHomeShift);
    }
  };
  using Map = libcuckoo::cuckoohash_map<Key, const Entry*, HomeHash, KeyEqual>;

  Map map_{kSmallest};
  static constexpr std::size_t kSmallest = 64;
};
static_assert(Table<CuckooTable>);

}  // namespace nearlane::l1
