// Cells: gives each entry of a shard a small dense number, which policies and the sweep count in.
//
// A vector of words: an entry's address, or, for a free cell, twice the next free number plus one
// (addresses are even). So releasing a cell allocates nothing.
//
// Threads:   under the shard's lock.
#pragma once

#include <bit>
#include <cassert>
#include <cstdint>
#include <vector>

#include "core/l1/policy/policy.h"

namespace nearlane::l1 {

class Cells {
 public:
  static constexpr std::size_t kBytesPerEntry =
      11;  // 8 bytes in a vector that is 3/4 full on average

  [[nodiscard]] CellId take(const Entry* entry) {
    if (free_ == kNoCell) {
      assert(words_.size() < kNoCell - 1);
      words_.push_back(std::bit_cast<Word>(entry));
      return static_cast<CellId>(words_.size() - 1);
    }
    const CellId cell = free_;
    free_ = static_cast<CellId>(words_[cell] >> 1U);
    words_[cell] = std::bit_cast<Word>(entry);
    return cell;
  }
  void give_back(CellId cell) noexcept {
    words_[cell] = Word{free_} << 1U | 1U;
    free_ = cell;
  }
  void set(CellId cell, const Entry* entry) noexcept { words_[cell] = std::bit_cast<Word>(entry); }
  /// Null for a free cell.
  [[nodiscard]] const Entry* at(CellId cell) const noexcept {
    const Word word = words_[cell];
    return (word & 1U) != 0 ? nullptr : std::bit_cast<const Entry*>(word);
  }
  /// One past the largest number ever given.
  [[nodiscard]] CellId end() const noexcept { return static_cast<CellId>(words_.size()); }

 private:
  using Word = std::uintptr_t;
  static_assert(alignof(Entry) >= 2 && sizeof(Word) >= 8);

  std::vector<Word> words_;
  CellId free_ = kNoCell;
};

}  // namespace nearlane::l1
