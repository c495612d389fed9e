// Ring: doubly linked lists over cells, two 32-bit links a cell. A cell is in one list at most.
//
// The links of all lists of a shard lie in one array beside the entries, so that moving an entry touches
// no entry. A list is named by its head, which has links of its own; the first `lists` places are heads.
//
// Threads:   under the shard's lock.
// Cost:      every call is O(1); only insertion may allocate.
#pragma once

#include <cstdint>

#include "core/l1/cells.h"
#include "core/l1/chunks.h"

namespace nearlane::l1 {

class Ring {
 public:
  static constexpr std::size_t kBytesPerEntry = 2 * sizeof(std::uint32_t);
  using List = std::uint32_t;

  explicit Ring(List lists) : lists_(lists) { reset(); }

  /// At the list's front, where the newest are.
  void push_front(List list, CellId cell) {
    const Place at = place(cell);
    if (at >= links_.size()) links_.grow(at + std::size_t{1});
    const Place newest = links_[list].next;
    links_[at] = {list, newest};
    links_[newest].previous = at;
    links_[list].next = at;
  }
  void move_to_front(List list, CellId cell) noexcept {
    if (links_[list].next == place(cell)) return;
    unlink(cell);
    push_front(list, cell);
  }
  void unlink(CellId cell) noexcept {
    const auto [previous, next] = links_[place(cell)];
    links_[previous].next = next;
    links_[next].previous = previous;
  }
  /// Into no list; to unlink such a cell does nothing.
  void keep_out(CellId cell) {
    const Place at = place(cell);
    if (at >= links_.size()) links_.grow(at + std::size_t{1});
    links_[at] = {at, at};
  }
  /// The oldest; kNoCell of an empty list.
  [[nodiscard]] CellId back(List list) const noexcept { return cell_at(links_[list].previous); }
  [[nodiscard]] CellId front(List list) const noexcept { return cell_at(links_[list].next); }
  /// The next one toward the front; kNoCell at the front.
  [[nodiscard]] CellId newer(CellId cell) const noexcept {
    return cell_at(links_[place(cell)].previous);
  }
  /// Puts all of `from` behind the back of `to`, in O(1).
  void append(List from, List to) noexcept {
    if (links_[from].next == from) return;
    const auto [oldest, newest] = links_[from];
    const Place back = links_[to].previous;
    links_[back].next = newest;
    links_[newest].previous = back;
    links_[oldest].next = to;
    links_[to].previous = oldest;
    links_[from] = {from, from};
  }
  void clear() noexcept {
    links_ = {};
    reset();
  }

 private:
  using Place = std::uint32_t;
  struct Links {
    Place previous = 0;
    Place next = 0;
  };

  [[nodiscard]] Place place(CellId cell) const noexcept { return cell + lists_; }
  [[nodiscard]] CellId cell_at(Place at) const noexcept {
    return at < lists_ ? kNoCell : at - lists_;
  }
  void reset() {
    links_.grow(lists_);
    for (List list = 0; list < lists_; ++list) links_[list] = {list, list};
  }

  List lists_;
  Chunks<Links> links_;
};

}  // namespace nearlane::l1
