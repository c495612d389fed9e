// WTinyLfu: a new entry comes into a window, a hundredth of the room, in LRU order. Who has to leave the window
// takes the place of the entry that the main part would give up next, if a sketch of the uses of late has seen
// it more often; else it goes itself. The main part is a segmented LRU: who is used there moves from the
// probation to the protected segment, four fifths of it, and falls back from its end.
//
// The price is LRU's: a hit counts in the sketch and moves the entry, so it needs the lock to itself.
//
// The shares are of what the lists hold now, which is the room when the shard is full and an entry has to go,
// less what tables cost. The protected segment is brought to its share when an entry has to go, in the order
// that doing so at each hit would give. Until a shard is full, what the window has no share for begins in the
// main part. An entry larger than the window is alone in it and is weighed against the main part's when the
// next one has to go, so one that was used once stays no longer. Finds of what is absent are not counted unless
// a put follows. There is no doorkeeper: it would be a second line for each use to touch.
//
// Cost:      21 bytes an entry: 9 for the lists, 12 for the sketch. A hit: a line of the sketch, and the links
//            of five cells. victim() moves as many entries between the lists as it may and hashes two names
//            anew. insert() now and then makes a larger sketch (core/l1/sketch.h).
// Source:    Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", ACM Transactions
//            on Storage 2017, section 4.
#pragma once

#include "core/l1/policy/policy.h"
#include "core/l1/queues.h"
#include "core/l1/sketch.h"

namespace nearlane::l1 {

class WTinyLfu {
 public:
  static constexpr std::string_view kName = "wtinylfu";
  static constexpr bool kHitNeedsExclusive = true;
  static constexpr std::size_t kBytesPerEntry = Queues<3>::kBytesPerEntry + Sketch::kBytesPerEntry;

  explicit WTinyLfu(Room room) : room_(room) {}
  void insert(CellId cell, const Entry& entry, std::uint64_t hash) {
    sketch_.grow(++entries_);
    sketch_.add(hash);
    const bool in_window = lists_.weight(kWindow) <= window_share();
    lists_.push_front(in_window ? kWindow : kProbation, cell, room_.weight(entry));
  }
  void hit(const Entry& entry, std::uint64_t hash) noexcept {
    sketch_.add(hash);
    const CellId cell = entry.cell();
    const auto list = lists_.list_of(cell) == kWindow ? kWindow : kProtected;
    lists_.move_to_front(list, cell, room_.weight(entry));
  }
  void replace(CellId cell, const Entry& old, const Entry& next) noexcept {
    lists_.reweigh(cell, room_.weight(old), room_.weight(next));
  }
  void erase(CellId cell, const Entry& entry) noexcept {
    --entries_;
    lists_.erase(cell, room_.weight(entry));
  }
  /// Uses of late.
  [[nodiscard]] float worth(const Entry& entry) const noexcept {
    return static_cast<float>(sketch_.count(entry.key().hash));
  }
  [[nodiscard]] CellId victim(const Cells& cells, std::size_t& passes) noexcept {
    balance(cells, passes);
    const CellId candidate = lists_.back(kWindow);
    CellId rival = lists_.back(kProbation);
    if (rival == kNoCell) rival = lists_.back(kProtected);
    if (candidate == kNoCell) return rival;
    if (rival == kNoCell || count(cells, candidate) <= count(cells, rival)) return candidate;
    move(cells, candidate, kProbation);
    return rival;
  }
  void clear() noexcept {
    lists_.clear();
    sketch_.clear();
    entries_ = 0;
  }

 private:
  enum List : std::uint8_t { kWindow, kProbation, kProtected };

  [[nodiscard]] std::uint64_t window_share() const noexcept { return lists_.total() / 100; }
  /// Moves what is over the share of the window, which keeps one entry at least, and of the protected.
  void balance(const Cells& cells, std::size_t& passes) noexcept {
    for (; lists_.weight(kWindow) > window_share() && passes > 0; --passes) {
      if (lists_.front(kWindow) == lists_.back(kWindow)) break;
      move(cells, lists_.back(kWindow), kProbation);
    }
    const std::uint64_t main = lists_.total() - lists_.weight(kWindow);
    for (; lists_.weight(kProtected) > main * 4 / 5 && passes > 0; --passes) {
      move(cells, lists_.back(kProtected), kProbation);
    }
  }
  void move(const Cells& cells, CellId cell, List to) noexcept {
    lists_.move_to_front(to, cell, room_.weight(*cells.at(cell)));
  }
  [[nodiscard]] unsigned count(const Cells& cells, CellId cell) const noexcept {
    return sketch_.count(cells.at(cell)->key().hash);
  }

  Room room_;
  Queues<3> lists_;
  Sketch sketch_;
  std::size_t entries_ = 0;
};
static_assert(Policy<WTinyLfu>);

}  // namespace nearlane::l1
