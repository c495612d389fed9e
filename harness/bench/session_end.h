// When a session ends that was written with a TTL. Redis has executed the write between its sending and its acknowledgement,
// so the end lies between these two, a TTL later.
//
// Threads:  plain values.
#pragma once

#include "core/base/clock.h"

namespace nearlane::harness {

/// Redis counts in milliseconds, of a clock that need not tick with ours.
inline constexpr Duration kRedisTick = std::chrono::milliseconds(1);
/// And reads it once for all that it does in a turn of its loop, which on a crowded machine is long: a TTL may begin so much before its
/// command was sent.
inline constexpr Duration kRedisLags = std::chrono::milliseconds(100);

struct SessionEnd {
  TimePoint earliest = kForever;
  TimePoint latest = kForever;

  /// `ttl`: zero for a session that does not end.
  [[nodiscard]] static SessionEnd of(TimePoint sent, TimePoint acknowledged, Duration ttl) {
    if (ttl == Duration::zero()) return {};
    return {.earliest = sent + ttl, .latest = acknowledged + ttl};
  }
  /// Whether who has been answered at this time may have been told that there is no session.
  [[nodiscard]] bool may_have_come(TimePoint answered) const noexcept {
    return answered + kRedisLags >= earliest;
  }
  /// Whether who asked at this time must be told so.
  [[nodiscard]] bool has_come(TimePoint asked) const noexcept {
    return asked - kRedisTick > latest;
  }
};

}  // namespace nearlane::harness
