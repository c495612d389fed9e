// BitTree: a set of small numbers that finds the next one in a few steps, however far away it is.
//
// A bit a number, and above them a bit for each word of 64 that is not empty, and so on up to a single word.
//
// Threads:   under the shard's lock.
// Cost:      1/8 byte a number and a little. next() looks at two words a level, three levels up to 262,144
//            numbers; insert() and erase() go up only where a word was empty, or has become so.
// Source:    the top of van Emde Boas, "Preserving order in a forest in less than logarithmic time", FOCS 1975.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/l1/chunks.h"

namespace nearlane::l1 {

class BitTree {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  void insert(std::uint32_t number) {
    reach(number);
    std::uint64_t at = number;
    for (std::size_t level = 0; level < levels_; ++level, at /= kBits) {
      std::uint64_t& word = words_[level][at / kBits];
      const bool known_above = word != 0;
      word |= std::uint64_t{1} << at % kBits;
      if (known_above) break;
    }
  }
  /// Precondition: it is in the set.
  void erase(std::uint32_t number) noexcept {
    std::uint64_t at = number;
    for (std::size_t level = 0; level < levels_; ++level, at /= kBits) {
      std::uint64_t& word = words_[level][at / kBits];
      word &= ~(std::uint64_t{1} << at % kBits);
      if (word != 0) break;
    }
  }
  /// The smallest number that is not below `from`.
  [[nodiscard]] std::uint32_t next(std::uint32_t from) const noexcept {
    std::uint64_t at = from;
    for (std::size_t level = 0; level < levels_; ++level) {
      const std::uint64_t word = at / kBits;
      if (word >= words_[level].size()) break;
      const std::uint64_t rest = words_[level][word] & ~std::uint64_t{0} << at % kBits;
      if (rest == 0) {
        at = word + 1;
        continue;
      }
      at = first(word, rest);
      while (level-- > 0) at = first(at, words_[level][at]);
      return static_cast<std::uint32_t>(at);
    }
    return kNone;
  }

 private:
  static constexpr std::uint64_t kBits = 64;
  static constexpr std::size_t kLevels = 6;  // 64^6 is more than there are numbers

  static std::uint64_t first(std::uint64_t word, std::uint64_t bits) noexcept {
    return word * kBits + static_cast<std::uint64_t>(std::countr_zero(bits));
  }
  void reach(std::uint32_t number) {
    std::uint64_t word = number / kBits;
    for (std::size_t level = 0;; ++level) {
      if (level == levels_) {
        words_[level].grow(1);
        // The word that was the top.
        if (level > 0 && words_[level - 1][0] != 0) words_[level][0] = 1;
        ++levels_;
      }
      words_[level].grow(word + 1);
      if (word == 0) break;
      word /= kBits;
    }
  }

  std::array<Chunks<std::uint64_t>, kLevels> words_;
  std::size_t levels_ = 0;
};

}  // namespace nearlane::l1
