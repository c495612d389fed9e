// Clock: first in, first out, with a second chance. The oldest entry goes, unless it was used since its turn
// came last: then it begins again as the newest. One bit an entry.
//
// A hit sets the bit in the entry's mark, and that only once: it takes no lock and moves nothing.
//
// Cost:      8 bytes an entry; a hit: one load, and one store of the first hit of a turn. victim() passes
//            entries, each for a hit that it had, as many as it may, and then takes the next as it is.
// Source:    Corbató, "A paging experiment with the Multics system", MIT Project MAC, 1968; with the entries
//            in a list, as "FIFO-Reinsertion", it is libCacheSim's Clock with one bit.
#pragma once

#include "core/l1/policy/policy.h"
#include "core/l1/ring.h"

namespace nearlane::l1 {

class Clock {
 public:
  static constexpr std::string_view kName = "clock";
  static constexpr bool kHitNeedsExclusive = false;
  static constexpr std::size_t kBytesPerEntry = Ring::kBytesPerEntry;

  explicit Clock(Room) {}
  void insert(CellId cell, const Entry&, std::uint64_t) { ring_.push_front(kAll, cell); }
  void hit(const Entry& entry, std::uint64_t) noexcept {
    if (entry.mark() != kUsed) entry.set_mark(kUsed);
  }
  void replace(CellId, const Entry&, const Entry&) noexcept {}
  void erase(CellId cell, const Entry&) noexcept { ring_.unlink(cell); }
  [[nodiscard]] CellId victim(const Cells& cells, std::size_t& passes) noexcept {
    CellId oldest = ring_.back(kAll);
    for (; oldest != kNoCell && passes > 0; --passes) {
      const Entry& entry = *cells.at(oldest);
      if (entry.mark() != kUsed) break;
      entry.set_mark(0);
      ring_.move_to_front(kAll, oldest);
      oldest = ring_.back(kAll);
    }
    return oldest;
  }
  void clear() noexcept { ring_.clear(); }

 private:
  static constexpr Ring::List kAll = 0;
  static constexpr std::uint16_t kUsed = 1;
  Ring ring_{1};
};
static_assert(Policy<Clock>);

}  // namespace nearlane::l1
