// Slot: an entry as commands see it, and what the disk has of it. What a DiskStore holds between two commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/l2/embedded/store.h"

namespace nearlane::l2::rocks {

struct Slot : embedded::Store::Entry {
  Slot(std::uint32_t number, std::string_view name)
      : embedded::Store::Entry(std::piecewise_construct, std::forward_as_tuple(name),
                               std::forward_as_tuple()),
        db(number) {}

  /// Bytes of this process's memory.
  [[nodiscard]] std::size_t cost() const noexcept {
    return first.size() + second.bytes.size() + embedded::kEntryOverhead;
  }

  std::uint32_t db;
  bool live = false;
  bool changed = false;
  bool stored = false;
  std::int64_t stored_until = embedded::kNever;
};

/// Of an entry that a DiskStore has given away.
[[nodiscard]] inline Slot& slot_of(embedded::Store::Entry& entry) {
  return static_cast<Slot&>(entry);
}

}  // namespace nearlane::l2::rocks
