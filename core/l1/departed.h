// What happens to entries that leave a map: a reader may still see them, so they are retired.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "core/base/epoch.h"
#include "core/entry/entry.h"

namespace nearlane::l1 {

/// Beyond this part of the budget in retired bytes a put collects before it evicts.
inline constexpr std::uint64_t kCollectPart = 16;

/// Entries that have left a shard, on their way to epoch::retire once the lock is released.
class Departed {
 public:
  Departed() noexcept {}
  Departed(const Departed&) = delete;
  Departed& operator=(const Departed&) = delete;
  ~Departed() {
    for (std::size_t i = 0; i < count_; ++i) retire(entries_[i]);
  }

  /// As many as one put may evict, and the one that it replaces.
  static constexpr std::size_t kMost = 1025;

  void add(const Entry* entry) noexcept {
    assert(count_ < kMost);
    entries_[count_++] = entry;
  }

  /// Gives up the map's reference to `entry` when no guard can see it any more.
  static void retire(const Entry* entry) noexcept {
    epoch::retire(
        const_cast<Entry*>(entry),
        [](void* object) { EntryPtr::adopt(static_cast<const Entry*>(object)); }, entry->charge());
  }

 private:
  std::array<const Entry*, kMost> entries_;
  std::size_t count_ = 0;
};

/// Retired bytes that a map of `budget` has to reckon with, after collecting where they are many.
[[nodiscard]] inline std::uint64_t reckon_retired(std::uint64_t budget) noexcept {
  std::uint64_t retired = epoch::retired_bytes();
  if (retired > budget / kCollectPart) {
    epoch::collect();
    retired = epoch::retired_bytes();
  }
  return retired;
}

}  // namespace nearlane::l1
