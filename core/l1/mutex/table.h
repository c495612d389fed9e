// MutexTable: a standard hash set in one shard under one std::mutex. The baseline that every other map is
// measured against, and the one whose policy order is exact over the whole map.
#pragma once

#include <unordered_set>

#include "core/l1/slot.h"
#include "core/l1/table.h"

namespace nearlane::l1 {

class MutexTable : public SlotTable<std::unordered_set<Slot, SlotHash, SlotEqual>> {
 public:
  static constexpr std::string_view kName = "mutex";
  static constexpr bool kShards = false;
  // A node of 24 bytes is 32 of malloc's; a bucket's 8 bytes at the mean load of 0.75.
  static constexpr std::size_t kBytesPerEntry = 43;
};
static_assert(Table<MutexTable>);

}  // namespace nearlane::l1
