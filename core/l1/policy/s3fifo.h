// S3Fifo: three queues, first in, first out. New entries wait in a small one, a tenth of the room; whoever was
// used twice there moves to the main one, the others go and leave their fingerprints in the ghost. Who comes
// back while its fingerprint is there begins in the main queue. So what is used once passes through the tenth
// only. In the main queue what was used goes round again, once for each use, at most three times.
//
// A hit counts up to three in the entry's mark: it takes no lock and moves nothing. Two readers that count at
// the same time may count one.
//
// The shares are of what the queues hold now, which is the room when the shard is full and an entry has to go,
// less what tables cost. The ghost remembers as many as the main queue's share would hold.
//
// Cost:      17 bytes an entry: 9 for the queues, 8 for the ghost (0.9 of an entry's 9). A hit: one load, and
//            one store of each of the first three. victim() passes as many used ones as it may and then takes
//            the next as it is. insert() now and then makes a larger ghost (core/l1/ghost.h).
// Source:    Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023,
//            algorithm 1, with the shares and thresholds of its evaluation.
#pragma once

#include <algorithm>

#include "core/l1/ghost.h"
#include "core/l1/policy/policy.h"
#include "core/l1/queues.h"

namespace nearlane::l1 {

class S3Fifo {
 public:
  static constexpr std::string_view kName = "s3fifo";
  static constexpr bool kHitNeedsExclusive = false;
  static constexpr std::size_t kBytesPerEntry =
      Queues<2>::kBytesPerEntry + Ghost::kBytesPerEntry * 9 / 10;

  explicit S3Fifo(Room room) : room_(room) {}
  void insert(CellId cell, const Entry& entry, std::uint64_t hash) {
    ++entries_;
    ghost_.reach(main_share(entries_));
    queues_.push_front(ghost_.take(hash) ? kMain : kSmall, cell, room_.weight(entry));
  }
  void hit(const Entry& entry, std::uint64_t) noexcept {
    const std::uint16_t uses = entry.mark();
    if (uses < kMostUses) entry.set_mark(static_cast<std::uint16_t>(uses + 1U));
  }
  void replace(CellId cell, const Entry& old, const Entry& next) noexcept {
    queues_.reweigh(cell, room_.weight(old), room_.weight(next));
  }
  void erase(CellId cell, const Entry& entry) noexcept {
    --entries_;
    queues_.erase(cell, room_.weight(entry));
  }
  /// Who is in the main queue has been used more than who waits in the small one.
  [[nodiscard]] float worth(const Entry& entry) const noexcept {
    const bool proven = queues_.list_of(entry.cell()) == kMain;
    return static_cast<float>(entry.mark() + (proven ? kMostUses + 1 : 0));
  }
  [[nodiscard]] CellId victim(const Cells& cells, std::size_t& passes) noexcept {
    if (queues_.weight(kMain) <= main_share(queues_.total())) {
      const CellId cell = next_of_small(cells, passes);
      if (cell != kNoCell) return cell;
    }
    return next_of_main(cells, passes);
  }
  void clear() noexcept {
    queues_.clear();
    ghost_.clear();
    entries_ = 0;
  }

 private:
  enum : std::uint8_t { kSmall, kMain };
  static constexpr std::uint16_t kMostUses = 3;    // two bits
  static constexpr std::uint16_t kUsesToMove = 2;  // from the small queue to the main one

  static std::uint64_t main_share(std::uint64_t all) noexcept { return all - all / 10; }

  CellId next_of_small(const Cells& cells, std::size_t& passes) noexcept {
    for (CellId cell = queues_.back(kSmall); cell != kNoCell; cell = queues_.back(kSmall)) {
      const Entry& entry = *cells.at(cell);
      if (entry.mark() < kUsesToMove || passes == 0) {
        ghost_.add(entry.key().hash);
        return cell;
      }
      --passes;
      entry.set_mark(0);
      queues_.move_to_front(kMain, cell, room_.weight(entry));
    }
    return kNoCell;
  }
  CellId next_of_main(const Cells& cells, std::size_t& passes) noexcept {
    for (CellId cell = queues_.back(kMain);; cell = queues_.back(kMain)) {
      if (cell == kNoCell || passes == 0) return cell;
      const Entry& entry = *cells.at(cell);
      const std::uint16_t uses = entry.mark();
      if (uses == 0) return cell;
      --passes;
      entry.set_mark(static_cast<std::uint16_t>(uses - 1U));
      queues_.move_to_front(kMain, cell, room_.weight(entry));
    }
  }

  Room room_;
  Queues<2> queues_;
  Ghost ghost_;
  std::size_t entries_ = 0;
};
static_assert(Policy<S3Fifo>);

}  // namespace nearlane::l1
