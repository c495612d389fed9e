// Queues: the lists of a policy that has several, and what each of them weighs. A cell is in one of them.
//
// Which one is kept beside the links, a byte a cell, and not in the entry's mark: readers write the mark
// without a lock, and might write back an old one.
//
// Units:     the weights of policy.h's Room.
// Threads:   under the shard's lock.
// Cost:      every call is O(1); only push_front() may allocate.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>

#include "core/l1/chunks.h"
#include "core/l1/ring.h"

namespace nearlane::l1 {

template <std::uint8_t kLists>
class Queues {
 public:
  static constexpr std::size_t kBytesPerEntry = Ring::kBytesPerEntry + 1;
  using List = std::uint8_t;

  void push_front(List list, CellId cell, std::uint64_t weight) {
    if (cell >= lists_.size()) lists_.grow(cell + std::size_t{1});
    ring_.push_front(list, cell);
    lists_[cell] = list;
    weights_[list] += weight;
  }
  void move_to_front(List list, CellId cell, std::uint64_t weight) noexcept {
    weights_[lists_[cell]] -= weight;
    weights_[list] += weight;
    lists_[cell] = list;
    ring_.unlink(cell);
    ring_.push_front(list, cell);
  }
  void erase(CellId cell, std::uint64_t weight) noexcept {
    weights_[lists_[cell]] -= weight;
    ring_.unlink(cell);
  }
  /// What is in the cell weighs something else from now on.
  void reweigh(CellId cell, std::uint64_t old, std::uint64_t next) noexcept {
    weights_[lists_[cell]] += next - old;
  }
  void clear() noexcept {
    ring_.clear();
    weights_.fill(0);
  }

  [[nodiscard]] List list_of(CellId cell) const noexcept { return lists_[cell]; }
  /// The oldest; kNoCell of an empty list.
  [[nodiscard]] CellId back(List list) const noexcept { return ring_.back(list); }
  [[nodiscard]] CellId front(List list) const noexcept { return ring_.front(list); }
  [[nodiscard]] std::uint64_t weight(List list) const noexcept { return weights_[list]; }
  [[nodiscard]] std::uint64_t total() const noexcept {
    return std::accumulate(weights_.begin(), weights_.end(), std::uint64_t{0});
  }

 private:
  Ring ring_{kLists};
  Chunks<List> lists_;
  std::array<std::uint64_t, kLists> weights_{};
};

}  // namespace nearlane::l1
