// History: what each key of the store was, when, in the store's own order; and which answers were
// possible.
//
// Each change of a key, its end included, is a state with a place in that key's order. An answer is
// possible if some state shows it that was not superseded longer ago than the lease, and that comes
// no earlier than the floor: the place of what the reader's instance has itself acknowledged; and before the ceiling:
// what the reader's connection wrote after it had asked. A state's own end (its TTL) is known to whoever read it, so there is no lease beyond that.
//
// Units:     places count from 0 for each key; version 0 is "no such key".
// Threads:   one owner.
// Cost:      an answer is judged by a walk over the key's states, of which a schedule makes a few.
// Source:    docs/coherence.md, S1 and S2; CacheLib's ValueTracker for judging answers by
//            intervals.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "core/base/clock.h"

namespace nearlane::sim {

/// Every write of a schedule has a version of its own, a deletion too.
using Version = int;
inline constexpr Version kNone = 0;
inline constexpr std::size_t kKeys = 2;  // of a schedule
/// The place of what was there at the start.
inline constexpr int kStartPlace = 0;

inline constexpr int kNoCeiling = std::numeric_limits<int>::max();

class History {
 public:
  explicit History(std::size_t keys = kKeys);

  /// The key now shows `shown` until `expires`. `write` is the version of the write that made it
  /// so, or kNone where no single write did.
  void changed(std::size_t key, Version shown, TimePoint expires, Version write, TimePoint now);

  /// Where the write stands in its key's order; kStartPlace if it was never executed.
  [[nodiscard]] int place_of(Version write) const noexcept;
  [[nodiscard]] int last_place(std::size_t key) const noexcept;
  /// A value, or kNone, served from L1 at `when`.
  [[nodiscard]] bool may_serve(std::size_t key, Version shown, TimePoint when, Duration lease,
                               int floor) const noexcept;
  /// A value, or kNone, answered at `answered` to who had asked at `asked`, and of nothing in `ceiling` or a later place.
  [[nodiscard]] bool may_answer(std::size_t key, Version shown, TimePoint asked, TimePoint answered,
                                Duration lease, int floor, int ceiling = kNoCeiling) const noexcept;

  /// A touch answered with "it is there, and ends at `end` or later" to who had asked at `asked`.
  [[nodiscard]] bool may_touch(std::size_t key, TimePoint asked, Duration lease, int floor,
                               TimePoint end) const noexcept;

 private:
  struct State {
    Version shown = kNone;
    TimePoint expires = kForever;
    TimePoint superseded = kForever;

    /// There was no such key at some time up to `when`, in this state.
    [[nodiscard]] bool gone_by(TimePoint when) const noexcept {
      return shown == kNone || (expires <= when && expires < superseded);
    }
  };
  std::vector<std::vector<State>> states_;  // by key
  std::vector<int> places_;                 // by version
};

}  // namespace nearlane::sim
