// LaneView: what readers on every core must know of a lane: its epoch and how long its lease runs.
//
// A lane is one ordered connection to L2, and every key belongs to one lane. An entry may be served
// as fresh while the lane has the epoch that the entry was read in (nothing was lost since), its
// lease has not run out (L2 has proved lately that no push is outstanding) and its own deadline has
// not passed. Losing a connection bumps the epoch, which disowns all entries of the lane at once,
// in O(1), and drops none.
//
// Threads:   one owner, the lane's event loop, writes; every thread reads. note_hit may be called
//            by any thread.
// Cost:      epoch and lease share a cache line that changes every few milliseconds at most; the
//            hit mark lies on a line of its own and is written only when it is not set yet.
// Source:    docs/coherence.md; Gray and Cheriton, "Leases", SOSP 1989.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/clock.h"
#include "core/entry/entry.h"

namespace nearlane::cohere {

/// The epoch of what nobody vouches for; a lane's own are greater.
inline constexpr Epoch kNoEpoch = 0;

/// Who says that a key has changed.
enum class Coherence : std::uint8_t {
  lanes,   // L2; where it knows no such thing, the writers
  pubsub,  // the writers
  none,    // nobody: for an instance that alone writes
};

class LaneView {
 public:
  [[nodiscard]] Epoch epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  [[nodiscard]] TimePoint lease_until() const noexcept {
    return TimePoint(Duration(lease_until_.load(std::memory_order_acquire)));
  }

  /// Same epoch and not expired: what is left to ask is whether the lease still runs.
  [[nodiscard]] bool vouches_but_for_lease(const Entry& entry, TimePoint now) const noexcept {
    return entry.epoch() == epoch() && now < entry.deadline();
  }
  /// `lease` is what lease_until() said before the entry was looked for. One that is read later may have been
  /// renewed since, by a reply before which the entry's end was announced: the entry, already in hand, would pass.
  /// And read after the epoch it could be the next epoch's.
  [[nodiscard]] bool vouches(const Entry& entry, TimePoint now, TimePoint lease) const noexcept {
    return now < lease && vouches_but_for_lease(entry, now);
  }

  /// A hit was served: the owner keeps the lease of such a lane alive.
  void note_hit() const noexcept {
    if (!hit_.load(std::memory_order_relaxed)) hit_.store(true, std::memory_order_relaxed);
  }

  // For the owner.

  /// Disowns every entry of the lane and ends its lease. The lease goes first, so that no reader
  /// can pair the new epoch with the old lease.
  void bump() noexcept {
    lease_until_.store(TimePoint::min().time_since_epoch().count(), std::memory_order_release);
    epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  void set_lease(TimePoint until) noexcept {
    lease_until_.store(until.time_since_epoch().count(), std::memory_order_release);
  }
  /// Whether a hit was noted since the last call.
  bool take_hit() noexcept { return hit_.exchange(false, std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<Epoch> epoch_{1};
  std::atomic<std::int64_t> lease_until_{TimePoint::min().time_since_epoch().count()};
  alignas(64) mutable std::atomic<bool> hit_{false};
};

/// Which of `lanes` a key belongs to. The hash's upper half, because maps use the lower bits.
[[nodiscard]] inline std::size_t lane_of(std::uint64_t hash, std::size_t lanes) noexcept {
  return static_cast<std::size_t>(((hash >> 32U) * lanes) >> 32U);
}

}  // namespace nearlane::cohere
