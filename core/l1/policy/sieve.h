// Sieve: a hand goes from the oldest entry to the newest, round and round. What was used since the hand came
// by last stays where it is, the first that was not goes. New entries come in behind the hand's back, so one
// that is never used is gone soon, while what is used stays among the old, out of its way.
//
// A hit sets a bit in the entry's mark, and that only once: it takes no lock and moves nothing. Nor does the
// hand: unlike Clock's, it leaves the order as it is.
//
// Cost:      8 bytes an entry; a hit: one load, and one store of the first hit of a round. victim() passes
//            entries, each for a hit that it had, as many as it may, and then takes the next as it is.
// Source:    Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is Simpler than LRU", NSDI 2024, algorithm 1.
#pragma once

#include "core/l1/policy/policy.h"
#include "core/l1/ring.h"

namespace nearlane::l1 {

class Sieve {
 public:
  static constexpr std::string_view kName = "sieve";
  static constexpr bool kHitNeedsExclusive = false;
  static constexpr std::size_t kBytesPerEntry = Ring::kBytesPerEntry;

  explicit Sieve(Room) {}
  void insert(CellId cell, const Entry&, std::uint64_t) { ring_.push_front(kAll, cell); }
  void hit(const Entry& entry, std::uint64_t) noexcept {
    if (entry.mark() != kUsed) entry.set_mark(kUsed);
  }
  void replace(CellId, const Entry&, const Entry&) noexcept {}
  void erase(CellId cell, const Entry&) noexcept {
    if (cell == hand_) hand_ = ring_.newer(cell);
    ring_.unlink(cell);
  }
  [[nodiscard]] CellId victim(const Cells& cells, std::size_t& passes) noexcept {
    if (hand_ == kNoCell) hand_ = ring_.back(kAll);
    for (; hand_ != kNoCell && passes > 0; --passes) {
      const Entry& entry = *cells.at(hand_);
      if (entry.mark() != kUsed) break;
      entry.set_mark(0);
      hand_ = ring_.newer(hand_);
      if (hand_ == kNoCell) hand_ = ring_.back(kAll);
    }
    return hand_;
  }
  void clear() noexcept {
    ring_.clear();
    hand_ = kNoCell;
  }

 private:
  static constexpr Ring::List kAll = 0;
  static constexpr std::uint16_t kUsed = 1;
  Ring ring_{1};
  CellId hand_ = kNoCell;  // kNoCell: it begins a round
};
static_assert(Policy<Sieve>);

}  // namespace nearlane::l1
