// FlatTable: a flat open-addressing set. In shards, each under a lock, it is what DashMap is.
//
// Source: Boost.Unordered's open-addressing containers (boost/unordered/detail/foa.hpp).
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>

#include "core/l1/slot.h"
#include "core/l1/table.h"

namespace nearlane::l1 {

class FlatTable : public SlotTable<boost::unordered_flat_set<Slot, SlotHash, SlotEqual>> {
 public:
  static constexpr std::string_view kName = "sharded";
  static constexpr bool kShards = true;
  // A slot of 16 bytes and its byte of metadata, at 0.66 full: the mean of a table that doubles at 7/8.
  static constexpr std::size_t kBytesPerEntry = 26;
};
static_assert(Table<FlatTable>);

}  // namespace nearlane::l1
