// Ghost: which entries left lately, by fingerprints of their hashes; as many of the last as it is told to
// remember.
//
// A table of lines of ten fingerprints, and of the times at which they came, counted in additions. What came
// too long ago counts as free, and each addition clears one more line of such, so no time is ever mistaken
// for a later one. A fingerprint goes to the emptier one of its two lines; where both are full the oldest of
// one makes room. At three quarters full that is one addition in a thousand.
//
// Errors:    one look in 280 million takes another's fingerprint for its own. Where more than 49,000 are
//            remembered the times are rounded, to less than 1/20,000 of how far back it remembers.
// Threads:   under the shard's lock.
// Cost:      6.4 bytes a slot, hence 8.5 to 9.6 an entry remembered. add() reads three lines, take() two.
//            reach() now and then makes a larger table, an eighth more than it needs, which the kernel zeroes as it
//            is used, and forgets what was in the old one: a shard that fills for the first time has nothing to forget.
// Source:    the table of section 4.2 in Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for
//            cache eviction", SOSP 2023; two choices: Azar, Broder, Karlin, Upfal, "Balanced allocations".
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "core/l1/zeroed.h"

namespace nearlane::l1 {

class Ghost {
 public:
  /// Of the entries that it may remember.
  static constexpr std::size_t kBytesPerEntry = 9;

  /// From now on the last `reach` additions are remembered.
  void reach(std::size_t reach) {
    reach_ = reach;
    if (reach * 4 <= lines_.size() * kSlots * 3) return;
    lines_ = {};  // first the old table goes
    lines_ = Zeroed<Line>(reach * 4 / (kSlots * 3) * 9 / 8 + kFewestLines);
    if (lines_.size() == 0) throw std::bad_alloc();
    for (shift_ = 0; lines_.size() * kSlots >> shift_ > kLongest; ++shift_) {
    }
    now_ = 0;
    sweeper_ = 0;
  }
  /// Precondition: reach() was called.
  void add(std::uint64_t hash) noexcept {
    sweeper_ = sweeper_ + 1 < lines_.size() ? sweeper_ + 1 : 0;
    tidy(lines_[sweeper_]);
    auto [one, other] = lines_of(hash);
    Line& line = tidy(lines_[one]) >= tidy(lines_[other]) ? lines_[one] : lines_[other];
    const unsigned slot = stalest(line);
    line.tags[slot] = tag_of(hash);
    line.times[slot] = time();
    ++now_;
  }
  /// Whether it is remembered. It no longer is afterwards.
  bool take(std::uint64_t hash) noexcept {
    auto [one, other] = lines_of(hash);
    return take(lines_[one], tag_of(hash)) || take(lines_[other], tag_of(hash));
  }
  void clear() noexcept {
    for (std::size_t i = 0; i < lines_.size(); ++i) lines_[i].tags = {};
  }

 private:
  using Tag = std::uint32_t;
  using Time = std::uint16_t;
  static constexpr unsigned kSlots = 10;
  static constexpr Tag kFree = 0;  // as a new table is
  static constexpr std::size_t kFewestLines = 8;
  static constexpr std::size_t kLongest = std::numeric_limits<Time>::max();

  struct alignas(64) Line {
    std::array<Tag, kSlots> tags;
    std::array<Time, kSlots> times;
  };

  static Tag tag_of(std::uint64_t hash) noexcept {
    return std::max<Tag>(static_cast<Tag>(hash >> 32U), kFree + 1);
  }
  /// Both come from the half of the hash that the tag is not made of.
  [[nodiscard]] std::pair<std::size_t, std::size_t> lines_of(std::uint64_t hash) const noexcept {
    const auto low = static_cast<std::uint32_t>(hash);
    const auto mixed = static_cast<std::uint32_t>(low * 0x9E3779B1U);  // 2^32 / golden ratio
    return {low * lines_.size() >> 32U, mixed * lines_.size() >> 32U};
  }
  [[nodiscard]] Time time() const noexcept { return static_cast<Time>(now_ >> shift_); }
  [[nodiscard]] Time age(Time since) const noexcept { return static_cast<Time>(time() - since); }

  /// Clears what came too long ago; returns how many slots are free.
  unsigned tidy(Line& line) const noexcept {
    unsigned free = 0;
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      if (age(line.times[slot]) > reach_ >> shift_) line.tags[slot] = kFree;
      free += line.tags[slot] == kFree ? 1 : 0;
    }
    return free;
  }
  /// A free slot, or else the one whose time is the earliest.
  [[nodiscard]] unsigned stalest(const Line& line) const noexcept {
    unsigned found = 0;
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      if (line.tags[slot] == kFree) return slot;
      if (age(line.times[slot]) > age(line.times[found])) found = slot;
    }
    return found;
  }
  bool take(Line& line, Tag tag) const noexcept {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      if (line.tags[slot] != tag) continue;
      line.tags[slot] = kFree;
      return age(line.times[slot]) <= reach_ >> shift_;
    }
    return false;
  }

  Zeroed<Line> lines_;
  std::size_t reach_ = 0;
  std::uint64_t now_ = 0;    // additions
  unsigned shift_ = 0;       // of a time against now_
  std::size_t sweeper_ = 0;  // the line that was tidied last
};

}  // namespace nearlane::l1
