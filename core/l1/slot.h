// Slot: what a set of entries holds for one, and the table over any such set.
//
// The hash is kept beside the pointer, so that growing a set and refusing a wrong candidate touch no
// entry.
//
// Threads:   a find needs the lock: these sets move slots when they grow.
#pragma once

#include <cstdint>

#include "core/base/key.h"
#include "core/entry/entry.h"

namespace nearlane::l1 {

struct Slot {
  // Sets hold their elements const; which entry of its key a slot points to concerns neither hash nor
  // equality.
  mutable const Entry* entry;
  std::uint64_t hash;
};

struct SlotHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(const Slot& slot) const noexcept { return slot.hash; }
  std::size_t operator()(const KeyRef& key) const noexcept { return key.hash; }
};

struct SlotEqual {
  using is_transparent = void;
  /// The entry itself: a set has one for each key.
  bool operator()(const Slot& a, const Slot& b) const noexcept { return a.entry == b.entry; }
  bool operator()(const KeyRef& key, const Slot& slot) const noexcept {
    return key.hash == slot.hash && slot.entry->is(key);
  }
  bool operator()(const Slot& slot, const KeyRef& key) const noexcept { return (*this)(key, slot); }
};

template <class Set>
class SlotTable {
 public:
  static constexpr bool kFindsUnlocked = false;

  [[nodiscard]] const Entry* find(const KeyRef& key) const noexcept {
    const auto at = set_.find(key);
    return at == set_.end() ? nullptr : at->entry;
  }
  void insert(const Entry* entry, std::uint64_t hash) { set_.insert(Slot{entry, hash}); }
  void replace(const Entry* old, const Entry* next, std::uint64_t hash) noexcept {
    set_.find(Slot{old, hash})->entry = next;
  }
  void erase(const Entry* entry, std::uint64_t hash) noexcept { set_.erase(Slot{entry, hash}); }
  void tidy() noexcept {}
  [[nodiscard]] std::size_t size() const noexcept { return set_.size(); }
  void clear() noexcept { Set().swap(set_); }

 private:
  Set set_;
};

}  // namespace nearlane::l1
