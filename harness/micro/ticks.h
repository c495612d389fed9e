// The finest clock there is for one read alone, serialised: nothing that stands before a reading is still
// under way, nothing after it has begun. The processor's tick counter on x86-64 (lfence and rdtsc, as the
// peers' programs), the monotonic clock elsewhere.
//
// Units:  ticks; ticks_to_ns says how long one is. Cost: about 20 ns a pair, which clock_ticks measures
//         so that it can be subtracted.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#else
#include "core/base/clock.h"
#endif

namespace nearlane::micro {

#if defined(__x86_64__)
[[nodiscard]] inline std::uint64_t ticks_begin() noexcept {
  _mm_lfence();
  const std::uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}
[[nodiscard]] inline std::uint64_t ticks_end() noexcept {
  unsigned core = 0;
  _mm_lfence();
  const std::uint64_t now = __rdtscp(&core);
  _mm_lfence();
  return now;
}
#else
[[nodiscard]] inline std::uint64_t ticks_begin() noexcept {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}
[[nodiscard]] inline std::uint64_t ticks_end() noexcept { return ticks_begin(); }
#endif

/// Length of one tick, measured once. Unit: ns.
[[nodiscard]] double ticks_to_ns();
/// The median of two readings with nothing between them. Unit: ticks.
[[nodiscard]] double clock_ticks();

}  // namespace nearlane::micro
