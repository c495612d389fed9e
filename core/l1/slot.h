// Slot: what a map's table holds for an entry. Tables hash and compare it by the entry's key.
//
// The hash is kept beside the pointer, so that growing a table and refusing a wrong candidate touch no
// entry.
#pragma once

#include <cstdint>

#include "core/base/key.h"
#include "core/entry/entry.h"
#include "core/l1/policy/policy.h"

namespace nearlane::l1 {

struct Slot {
  // Sets hold their elements const; which entry of its key a slot points to concerns neither hash nor
  // equality.
  mutable const Entry* entry;
  std::uint64_t hash;
  CellId cell;
};

struct SlotHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(const Slot& slot) const noexcept { return slot.hash; }
  std::size_t operator()(const KeyRef& key) const noexcept { return key.hash; }
};

struct SlotEqual {
  using is_transparent = void;
  bool operator()(const Slot& a, const Slot& b) const noexcept {
    return a.hash == b.hash && a.entry->key() == b.entry->key();
  }
  bool operator()(const KeyRef& key, const Slot& slot) const noexcept {
    return key.hash == slot.hash && key == slot.entry->key();
  }
  bool operator()(const Slot& slot, const KeyRef& key) const noexcept { return (*this)(key, slot); }
};

}  // namespace nearlane::l1
