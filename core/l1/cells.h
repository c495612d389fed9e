// Cells: gives each entry of a shard a small dense number, which policies and the wheel count in.
//
// An array of words: an entry's address, or, for a free cell, twice the next free number plus one
// (addresses are even). So giving a cell back allocates nothing. The entry knows its cell too. A cell is never
// moved, so where few are left of many, next() finds them.
//
// Threads:   under the shard's lock.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/entry/entry.h"
#include "core/l1/bit_tree.h"
#include "core/l1/chunks.h"

namespace nearlane::l1 {

/// An entry's number in its shard: dense from 0, used again after the entry left.
using CellId = std::uint32_t;
inline constexpr CellId kNoCell = std::numeric_limits<CellId>::max();

class Cells {
 public:
  static constexpr std::size_t kBytesPerEntry = sizeof(std::uintptr_t);

  [[nodiscard]] CellId take(const Entry* entry) {
    CellId cell = free_;
    if (cell == kNoCell) {
      assert(words_.size() < kNoCell - 1);
      cell = static_cast<CellId>(words_.size());
      words_.grow(words_.size() + 1);
    } else {
      free_ = static_cast<CellId>(words_[cell] >> 1U);
    }
    live_.insert(cell);
    ++size_;
    set(cell, entry);
    return cell;
  }
  void give_back(CellId cell) noexcept {
    words_[cell] = Word{free_} << 1U | 1U;
    free_ = cell;
    live_.erase(cell);
    --size_;
  }
  void set(CellId cell, const Entry* entry) noexcept {
    words_[cell] = std::bit_cast<Word>(entry);
    entry->set_cell(cell);
  }
  /// Null for a free cell.
  [[nodiscard]] const Entry* at(CellId cell) const noexcept {
    const Word word = words_[cell];
    return (word & 1U) != 0 ? nullptr : std::bit_cast<const Entry*>(word);
  }
  /// Whether `entry`, which a guard keeps alive, is still in the shard.
  [[nodiscard]] bool hold(const Entry* entry) const noexcept {
    const CellId cell = entry->cell();
    return cell < end() && at(cell) == entry;
  }
  /// The cell that holds an entry and is the first of them from `from` on, or from the beginning where none is
  /// behind. kNoCell: there is none.
  [[nodiscard]] CellId next(CellId from) const noexcept {
    const CellId cell = live_.next(from);
    return cell != kNoCell ? cell : live_.next(0);
  }
  /// Entries.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// One past the largest number ever given.
  [[nodiscard]] CellId end() const noexcept { return static_cast<CellId>(words_.size()); }

 private:
  using Word = std::uintptr_t;
  static_assert(kNoCell == BitTree::kNone);
  static_assert(alignof(Entry) >= 2 && sizeof(Word) >= 8);

  Chunks<Word> words_;
  BitTree live_;
  std::size_t size_ = 0;
  CellId free_ = kNoCell;
};

}  // namespace nearlane::l1
