// Sketch: how often hashes were seen lately, counted to fifteen. It may say too much of one that shares its
// counters with others, and never too little.
//
// A count-min sketch of four rows. A hash's four counters, of 4 bits, lie in one cache line, and only the
// smallest of them are counted up. When ten uses an entry were seen all counters are halved, and so is the
// number of uses seen: what was used long ago is forgotten. The halving is done a few lines at a time, with
// each of the uses that follow.
//
// Growing doubles the lines and copies the one half into the other, so every hash finds in its new line what
// it had in its old one: nothing is forgotten.
//
// Threads:   under the shard's lock.
// Cost:      8 to 16 bytes an entry. add() and count() read one line. grow() copies the table when the number
//            of entries has doubled.
// Source:    Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", ACM Transactions
//            on Storage 2017, section 3; counters of one line, as in Caffeine's sketch.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/l1/table.h"

namespace nearlane::l1 {

class Sketch {
 public:
  static constexpr std::size_t kBytesPerEntry = 12;
  static constexpr unsigned kMost = 15;

  /// For so many entries.
  void grow(std::size_t entries) {
    entries_ = entries;
    while (lines_.size() * kEntriesPerLine < entries) {
      while (halved_ < lines_.size()) halve_some();
      const std::size_t before = lines_.size();
      lines_.resize(std::max<std::size_t>(2 * before, 1));
      std::copy_n(lines_.begin(), before, lines_.begin() + static_cast<std::ptrdiff_t>(before));
      halved_ = lines_.size();
    }
  }
  /// Precondition: grow() was called.
  void add(std::uint64_t hash) noexcept {
    const unsigned least = count(hash);
    if (least < kMost) {
      Line& line = lines_[line_of(hash)];
      for (unsigned row = 0; row < kRows; ++row) {
        const Place at(hash, row);
        if (at.count(line) == least) line.words[at.word] += std::uint64_t{1} << at.shift;
      }
    }
    grow_older();
  }
  [[nodiscard]] unsigned count(std::uint64_t hash) const noexcept {
    const Line& line = lines_[line_of(hash)];
    unsigned least = kMost;
    for (unsigned row = 0; row < kRows; ++row) {
      least = std::min(least, Place(hash, row).count(line));
    }
    return least;
  }
  void clear() noexcept {
    std::ranges::fill(lines_, Line{});
    seen_ = 0;
    halved_ = lines_.size();
  }

 private:
  static constexpr unsigned kRows = 4;
  static constexpr std::size_t kEntriesPerLine = 8;  // at least: sixteen counters an entry
  static constexpr std::size_t kUsesPerEntry = 10;   // until the counters are halved
  static constexpr std::size_t kHalvedAtOnce = 8;
  static constexpr unsigned kCounterShift = 44;  // above: 5 bits a row

  /// Each row has two words, 32 counters.
  struct alignas(64) Line {
    std::array<std::uint64_t, std::size_t{2} * kRows> words{};
  };
  /// Of a hash's counter in a row.
  struct Place {
    Place(std::uint64_t hash, unsigned row) noexcept {
      const auto bits = static_cast<unsigned>(hash >> (kCounterShift + 5 * row));
      word = 2 * row + (bits >> 4U & 1U);
      shift = 4 * (bits & 15U);
    }
    [[nodiscard]] unsigned count(const Line& line) const noexcept {
      return static_cast<unsigned>(line.words[word] >> shift) & kMost;
    }
    unsigned word;
    unsigned shift;
  };

  [[nodiscard]] std::size_t line_of(std::uint64_t hash) const noexcept {
    return (hash >> kHomeShift) & (lines_.size() - 1);
  }
  void grow_older() noexcept {
    if (halved_ < lines_.size()) {
      halve_some();
    } else if (++seen_ >= kUsesPerEntry * entries_) {
      seen_ /= 2;
      halved_ = 0;
    }
  }
  void halve_some() noexcept {
    constexpr std::uint64_t kThreeBits = 0x7777'7777'7777'7777;
    const std::size_t end = std::min(halved_ + kHalvedAtOnce, lines_.size());
    for (; halved_ < end; ++halved_) {
      for (auto& word : lines_[halved_].words) word = word >> 1U & kThreeBits;
    }
  }

  std::vector<Line> lines_;  // a power of two
  std::size_t entries_ = 0;
  std::size_t seen_ = 0;    // uses; halved with the counters
  std::size_t halved_ = 0;  // lines that this halving has done
};

}  // namespace nearlane::l1
