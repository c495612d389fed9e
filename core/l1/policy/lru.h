// Lru: the entry that was not used for the longest time goes first. Exact, within a shard.
//
// A hit moves its entry to the front, so it needs the lock to itself: that is LRU's price, and why other
// policies exist.
//
// Cost:      8 bytes an entry; a hit: the lock, and four links. victim(): the last of the list.
// Source:    Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2),
//            1970, where it is the first of the stack algorithms.
#pragma once

#include "core/l1/policy/policy.h"
#include "core/l1/ring.h"

namespace nearlane::l1 {

class Lru {
 public:
  static constexpr std::string_view kName = "lru";
  static constexpr bool kHitNeedsExclusive = true;
  static constexpr std::size_t kBytesPerEntry = Ring::kBytesPerEntry;

  explicit Lru(Room) {}
  void insert(CellId cell, const Entry&, std::uint64_t) { ring_.push_front(kAll, cell); }
  void hit(const Entry& entry, std::uint64_t) noexcept { ring_.move_to_front(kAll, entry.cell()); }
  void replace(CellId, const Entry&, const Entry&) noexcept {}
  void erase(CellId cell, const Entry&) noexcept { ring_.unlink(cell); }
  [[nodiscard]] CellId victim(const Cells&, std::size_t&) noexcept { return ring_.back(kAll); }
  void clear() noexcept { ring_.clear(); }

 private:
  static constexpr Ring::List kAll = 0;
  Ring ring_{1};
};
static_assert(Policy<Lru>);

}  // namespace nearlane::l1
