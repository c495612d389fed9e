// LaneView: what readers on every core must know of a lane: its epoch and how long its lease runs.
//
// A lane is one ordered connection to L2, and every key belongs to one lane. An entry may be served
// as fresh while the lane has the epoch that the entry was read in (nothing was lost since), its
// lease has not run out (L2 has proved lately that no push is outstanding) and its own deadline has
// not passed. Losing a connection bumps the epoch, which disowns all entries of the lane at once,
// in O(1), and drops none.
//
// What was disowned may still be of use while L2 cannot be asked, so the view remembers of its last epochs until when
// they were vouched for; kEndsKept of them, since connections that come and go make many.
//
// Threads:   one owner, the lane's event loop, writes; every thread reads. note_hit may be called
//            by any thread.
// Cost:      epoch and lease share a cache line that changes every few milliseconds at most; the
//            hit mark lies on a line of its own and is written only when it is not set yet. vouched_until(): a few
//            loads where the entry is of the epoch, else a walk over kEndsKept of them; never on the path of a hit.
// Source:    docs/coherence.md; Gray and Cheriton, "Leases", SOSP 1989.
#pragma once

#include <array>
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
  static constexpr std::size_t kEndsKept = 16;

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

  /// Until when the entry, whose own end is another matter, was or is vouched for; TimePoint::min(): nobody knows, or what
  /// was read then is known to be gone. `lease` as for vouches().
  [[nodiscard]] TimePoint vouched_until(const Entry& entry, TimePoint lease) const noexcept {
    const Epoch epoch = entry.epoch();
    // Before the end is looked for: it is kept before the next epoch begins.
    if (epoch == this->epoch() && lease != TimePoint::min()) return lease;
    for (const End& end : ends_) {
      if (end.epoch.load(std::memory_order_acquire) != epoch) continue;
      const TimePoint until(Duration(end.lease_until.load(std::memory_order_acquire)));
      // Unless another epoch has taken the place meanwhile.
      if (end.epoch.load(std::memory_order_relaxed) == epoch) return until;
    }
    return TimePoint::min();
  }

  /// A hit was served: the owner keeps the lease of such a lane alive.
  void note_hit() const noexcept {
    if (!hit_.load(std::memory_order_relaxed)) hit_.store(true, std::memory_order_relaxed);
  }

  // For the owner.

  /// Before anybody reads: where a key may go from lane to lane, the epochs of two must never meet.
  void begin_at(Epoch first) noexcept { epoch_.store(first, std::memory_order_release); }
  /// Disowns every entry of the lane and ends its lease. The lease goes first, so that no reader
  /// can pair the new epoch with the old lease.
  void bump() noexcept {
    keep_end();
    lease_until_.store(TimePoint::min().time_since_epoch().count(), std::memory_order_release);
    epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  /// The same, and what was read so far is known to be gone from L2, or may be.
  void bump_for_good() noexcept {
    bump();
    for (End& end : ends_) end.epoch.store(kNoEpoch, std::memory_order_release);
  }
  void set_lease(TimePoint until) noexcept {
    lease_until_.store(until.time_since_epoch().count(), std::memory_order_release);
  }
  /// Whether a hit was noted since the last call.
  bool take_hit() noexcept { return hit_.exchange(false, std::memory_order_relaxed); }

 private:
  struct End {
    std::atomic<Epoch> epoch{kNoEpoch};
    std::atomic<std::int64_t> lease_until{0};
  };

  /// Of the epoch that ends, if it had a lease, and one that ends.
  void keep_end() noexcept {
    const TimePoint lease = lease_until();
    if (lease == TimePoint::min() || lease == kForever) return;
    End& end = ends_[ends_kept_++ % kEndsKept];
    end.epoch.store(kNoEpoch, std::memory_order_relaxed);
    end.lease_until.store(lease.time_since_epoch().count(), std::memory_order_release);
    end.epoch.store(epoch(), std::memory_order_release);
  }

  alignas(64) std::atomic<Epoch> epoch_{1};
  std::atomic<std::int64_t> lease_until_{TimePoint::min().time_since_epoch().count()};
  alignas(64) mutable std::atomic<bool> hit_{false};
  std::size_t ends_kept_ = 0;  // the owner's
  alignas(64) std::array<End, kEndsKept> ends_;
};

/// Which of `lanes` a hash belongs to. Its upper half, because maps use the lower bits. Of keys LaneMap says it.
[[nodiscard]] inline std::size_t lane_of(std::uint64_t hash, std::size_t lanes) noexcept {
  return static_cast<std::size_t>(((hash >> 32U) * lanes) >> 32U);
}

}  // namespace nearlane::cohere
