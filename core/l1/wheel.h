// Wheel: which entries of a shard have expired, without looking at the others.
//
// A hierarchical timing wheel. Time is cut into ticks; level 0 has a slot for each of the next 64 ticks,
// a slot of level 1 stands for 64 ticks, one of level 2 for 4096, and so on. An entry lies at the level of
// the highest bit in which its tick differs from the cursor's, so it moves down a level at most once for
// each level, and then expires. When the cursor comes to a slot, its whole list goes to the due list in
// O(1); the due list is worked off in pieces of the caller's size, where each entry either has expired by
// its own deadline, or goes to a slot again. So a million keys of one second cost a million steps, but
// no call costs more than it was allowed.
//
// A deadline that was moved later needs no word to the wheel: the entry is looked at once too early. One
// that was moved earlier does (reschedule).
//
// Units:     ticks of 2^25 ns, 34 ms; within the tick that is running, deadlines count to the nanosecond.
// Threads:   under the shard's lock.
// Cost:      schedule and cancel O(1); expire: at most one splice for each of the 448 slots, and `max`
//            entries. 8 bytes an entry.
// Source:    Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 7.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "core/base/clock.h"
#include "core/l1/cells.h"
#include "core/l1/ring.h"

namespace nearlane::l1 {

class Wheel {
 public:
  static constexpr std::size_t kBytesPerEntry = Ring::kBytesPerEntry;

  struct Step {
    std::size_t looked = 0;
    bool reached_end = false;  // nothing that has expired is left
  };

  /// For a cell that is in no list.
  void schedule(CellId cell, TimePoint deadline) {
    if (deadline == kForever) return ring_.keep_out(cell);
    const std::uint64_t tick = tick_of(deadline);
    if (tick < cursor_) return ring_.push_front(kDue, cell);
    const std::uint64_t differ = tick ^ cursor_;
    const unsigned level =
        differ == 0 ? 0 : static_cast<unsigned>(std::bit_width(differ) - 1) / kLevelBits;
    const unsigned slot = slot_of(tick, level);
    occupied_[level] |= std::uint64_t{1} << slot;
    ring_.push_front(list_of(level, slot), cell);
  }
  void cancel(CellId cell) noexcept { ring_.unlink(cell); }
  void reschedule(CellId cell, TimePoint deadline) {
    ring_.unlink(cell);
    schedule(cell, deadline);
  }

  /// Looks at up to `max` entries that may have expired by `now`, and calls `drop(entry)` for those that
  /// have; it is to cancel their cells. What one call leaves the next goes on with.
  template <class Drop>
  Step expire(TimePoint now, std::size_t max, const Cells& cells, Drop drop) {
    Step step;
    const auto work_off = [&] {
      for (; step.looked < max; ++step.looked) {
        const CellId cell = ring_.back(kLooking);
        if (cell == kNoCell) return true;
        const Entry* entry = cells.at(cell);
        if (entry->deadline() <= now) {
          drop(entry);
        } else {
          reschedule(cell, entry->deadline());
        }
      }
      return ring_.back(kLooking) == kNoCell;
    };
    // A round that an earlier call began comes first. If it was for the same time it was the last: the
    // running tick's entries, once looked at, are not looked at again, or there would be no end.
    const bool goes_on = ring_.back(kLooking) != kNoCell;
    step.reached_end = work_off();
    if (!step.reached_end || (goes_on && round_ == now)) return step;
    round_ = now;
    turn_to(tick_of(now));
    ring_.append(kDue, kLooking);
    step.reached_end = work_off();
    return step;
  }

  void clear() noexcept {
    ring_.clear();
    occupied_ = {};
  }

 private:
  static constexpr unsigned kTickBits = 25;
  static constexpr unsigned kLevelBits = 6;
  static constexpr unsigned kSlots = 1U << kLevelBits;
  // The last level's slots are 64^6 ticks, 73 years: every deadline has a place.
  static constexpr unsigned kLevels = 7;
  static constexpr Ring::List kDue = kLevels * kSlots;
  static constexpr Ring::List kLooking = kDue + 1;

  static std::uint64_t tick_of(TimePoint time) noexcept {
    return static_cast<std::uint64_t>(
               std::max<std::int64_t>(0, Duration(time.time_since_epoch()).count())) >>
           kTickBits;
  }
  static unsigned slot_of(std::uint64_t tick, unsigned level) noexcept {
    return static_cast<unsigned>(tick >> (level * kLevelBits)) & (kSlots - 1);
  }
  static Ring::List list_of(unsigned level, unsigned slot) noexcept {
    return level * kSlots + slot;
  }

  void take(unsigned level, unsigned slot) noexcept {
    occupied_[level] &= ~(std::uint64_t{1} << slot);
    ring_.append(list_of(level, slot), kDue);
  }

  /// Moves the cursor to `now`; what it passes becomes due. Slots of a level that lie ahead of the cursor
  /// share all higher bits with it, so the lowest level that has one has the next one.
  void turn_to(std::uint64_t now) noexcept {
    if (now < cursor_) return;
    take(0, slot_of(cursor_, 0));
    for (unsigned level = 0; level < kLevels;) {
      const unsigned at = slot_of(cursor_, level);
      const std::uint64_t ahead = occupied_[level] & (~std::uint64_t{1} << at);
      if (ahead == 0) {
        ++level;
        continue;
      }
      const auto slot = static_cast<unsigned>(std::countr_zero(ahead));
      const unsigned shift = level * kLevelBits;
      const std::uint64_t begins = ((cursor_ >> shift) - at + slot) << shift;
      if (begins > now) break;
      cursor_ = begins;
      take(level, slot);
      level = 0;
    }
    cursor_ = now;
  }

  Ring ring_{kLooking + 1};
  std::array<std::uint64_t, kLevels> occupied_{};
  TimePoint round_ = TimePoint::min();  // what the present round asks for
  std::uint64_t cursor_ = 0;            // the tick that runs; earlier ones have been taken
};

}  // namespace nearlane::l1
