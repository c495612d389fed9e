// Lru: the entry that was not used for the longest time goes first. Exact, within a shard.
//
// A doubly linked list in a vector: 32-bit links, 8 bytes an entry, and the entries themselves are not
// touched when one moves. Place 0 is the ring's sentinel, the entry with id i is at i + 1; the
// sentinel's next is the newest, its previous the oldest. A hit moves its entry to the front, so it
// needs the lock to itself: that is LRU's price, and why other policies exist.
#pragma once

#include <cstdint>
#include <vector>

#include "core/l1/policy/policy.h"

namespace nearlane::l1 {

class Lru {
 public:
  static constexpr std::string_view kName = "lru";
  static constexpr bool kHitNeedsExclusive = true;
  static constexpr std::size_t kBytesPerEntry =
      11;  // 8 bytes in a vector that is 3/4 full on average

  void insert(CellId cell, const Entry&) {
    const Place at = cell + 1;
    if (at >= ring_.size()) ring_.resize(at + std::size_t{1});
    push_front(at);
  }
  void hit(CellId cell) noexcept {
    const Place at = cell + 1;
    if (ring_[0].next == at) return;
    unlink(at);
    push_front(at);
  }
  void erase(CellId cell) noexcept { unlink(cell + 1); }
  /// The oldest; of an empty ring the sentinel's own place less one, which is kNoCell.
  [[nodiscard]] CellId victim() const noexcept { return ring_[0].previous - 1; }

 private:
  using Place = std::uint32_t;
  struct Links {
    Place previous = 0;
    Place next = 0;
  };

  void push_front(Place at) noexcept {
    const Place newest = ring_[0].next;
    ring_[at] = {0, newest};
    ring_[newest].previous = at;
    ring_[0].next = at;
  }
  void unlink(Place at) noexcept {
    const auto [previous, next] = ring_[at];
    ring_[previous].next = next;
    ring_[next].previous = previous;
  }

  std::vector<Links> ring_ = std::vector<Links>(1);
};
static_assert(Policy<Lru>);

}  // namespace nearlane::l1
