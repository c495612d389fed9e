// Sketch: how often hashes were seen lately, counted to fifteen. It may say too much of one that shares its
// counters with others, and never too little.
//
// A count-min sketch of four rows. A hash's four counters, of 4 bits, lie in one cache line, and only the
// smallest of them are counted up. When ten uses an entry were seen all counters are halved, and so is the
// number of uses seen: what was used long ago is forgotten. The halving is done a few lines at a time, with
// each of the uses that follow.
//
// Growing makes twice the lines or more, and each is a copy of the one that its hashes had: nothing is forgotten. That
// too is done a few lines at a time; what is not copied yet is counted in the former line. Never both at once: what
// is due waits for the other.
//
// Threads:   under the shard's lock.
// Cost:      8 to 16 bytes an entry, and half as much again until a growth is copied. add() and count() read one line; an add() that follows a growth or comes at
//            the time of a halving goes through eight more. grow() now and then makes a table, which the kernel
//            zeroes as it is used.
// Source:    Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", ACM Transactions
//            on Storage 2017, section 3; counters of one line, as in Caffeine's sketch.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "core/l1/table.h"
#include "core/l1/zeroed.h"

namespace nearlane::l1 {

class Sketch {
 public:
  static constexpr std::size_t kBytesPerEntry = 12;
  static constexpr unsigned kMost = 15;

  static constexpr std::size_t kAtOnce = 8;  // lines that one add() halves or copies

  /// For so many entries.
  void grow(std::size_t entries) {
    entries_ = entries;
    if (pending() != 0 || lines_.size() * kEntriesPerLine >= entries) return;
    Zeroed<Line> larger(std::bit_ceil((entries + kEntriesPerLine - 1) / kEntriesPerLine));
    if (larger.size() == 0) throw std::bad_alloc();
    former_ = std::exchange(lines_, std::move(larger));
    to_copy_ = former_.size();
  }
  /// Lines that are still to be halved or copied. For tests.
  [[nodiscard]] std::size_t pending() const noexcept { return to_copy_ + to_halve_; }
  /// Precondition: grow() was called.
  void add(std::uint64_t hash) noexcept {
    const unsigned least = count(hash);
    if (least < kMost) {
      Line& line = line_of(hash);
      for (unsigned row = 0; row < kRows; ++row) {
        const Place at(hash, row);
        if (at.count(line) == least) line.words[at.word] += std::uint64_t{1} << at.shift;
      }
    }
    grow_older();
  }
  [[nodiscard]] unsigned count(std::uint64_t hash) const noexcept {
    const Line& line = line_of(hash);
    unsigned least = kMost;
    for (unsigned row = 0; row < kRows; ++row) {
      least = std::min(least, Place(hash, row).count(line));
    }
    return least;
  }
  void clear() noexcept {
    for (std::size_t i = 0; i < lines_.size(); ++i) lines_[i] = {};
    former_ = {};
    seen_ = to_copy_ = to_halve_ = 0;
  }

 private:
  static constexpr unsigned kRows = 4;
  static constexpr std::size_t kEntriesPerLine = 8;  // at least: sixteen counters an entry
  static constexpr std::size_t kUsesPerEntry = 10;   // until the counters are halved
  static constexpr unsigned kCounterShift = 44;      // above: 5 bits a row

  /// Each row has two words, 32 counters.
  struct alignas(64) Line {
    std::array<std::uint64_t, std::size_t{2} * kRows> words;
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

  /// Where the hash is counted by now.
  [[nodiscard]] Line& line_of(std::uint64_t hash) const noexcept {
    const std::uint64_t home = hash >> kHomeShift;
    if (to_copy_ != 0) [[unlikely]] {
      const std::size_t former = home & (former_.size() - 1);
      if (former < to_copy_) return former_[former];
    }
    return lines_[home & (lines_.size() - 1)];
  }
  void grow_older() noexcept {
    if (to_copy_ != 0) copy_some();
    if (to_halve_ != 0) {
      halve_some();
    } else if (++seen_ >= kUsesPerEntry * entries_ && to_copy_ == 0) {
      seen_ /= 2;
      to_halve_ = lines_.size();
    }
  }
  void halve_some() noexcept {
    constexpr std::uint64_t kThreeBits = 0x7777'7777'7777'7777;
    for (std::size_t i = 0; i < kAtOnce && to_halve_ != 0; ++i) {
      for (auto& word : lines_[--to_halve_].words) word = word >> 1U & kThreeBits;
    }
  }
  void copy_some() noexcept {
    for (std::size_t i = 0; i < kAtOnce && to_copy_ != 0; ++i) {
      const Line& line = former_[--to_copy_];
      for (std::size_t to = to_copy_; to < lines_.size(); to += former_.size()) lines_[to] = line;
    }
    if (to_copy_ == 0) former_ = {};
  }

  Zeroed<Line> lines_;   // a power of two
  Zeroed<Line> former_;  // those before a growth
  std::size_t entries_ = 0;
  std::size_t seen_ = 0;      // uses; halved with the counters
  std::size_t to_copy_ = 0;   // of former_, from the first on
  std::size_t to_halve_ = 0;  // of lines_, from the first on
};

}  // namespace nearlane::l1
