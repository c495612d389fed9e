// Time, which arrives as an argument so that tests own it. Only event loops and mains read a clock.
//
// Units:     std::chrono throughout; nanoseconds since an arbitrary start for TimePoint, Unix time
//            for WallTime.
// Cost:      Clock::now() is about 19 ns where the kernel's vDSO serves it.
#pragma once

#include <chrono>

namespace nearlane {

/// Monotonic: deadlines, leases, latencies. Never steps when somebody sets the machine's clock.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::nanoseconds;

/// Unix time, only where a protocol carries it (EXPIREAT, logs).
using WallClock = std::chrono::system_clock;
using WallTime = std::chrono::time_point<WallClock, std::chrono::milliseconds>;
[[nodiscard]] inline WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(WallClock::now());
}

/// A deadline that never comes.
inline constexpr TimePoint kForever = TimePoint::max();

/// `start + length` that stays at kForever instead of overflowing.
[[nodiscard]] constexpr TimePoint saturating_add(TimePoint start, Duration length) noexcept {
  if (length > Duration::zero() && start > kForever - length) return kForever;
  return start + length;
}

}  // namespace nearlane
