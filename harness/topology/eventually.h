// Waiting for what another process, or another thread, is about to do.
#pragma once

#include <chrono>
#include <thread>
#include <utility>

#include "core/base/clock.h"

namespace nearlane::harness {

/// Asks until `condition` is true; false if it is not in time. It polls, because what is waited for is remote.
template <class Condition>
[[nodiscard]] bool eventually(Condition&& condition, Duration patience = std::chrono::seconds(5)) {
  for (const TimePoint end = Clock::now() + patience; !condition();) {
    if (Clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// The same for what takes seconds, where what is asked has better things to do.
template <class Condition>
[[nodiscard]] bool soon(Condition&& condition, Duration patience = std::chrono::seconds(20)) {
  return eventually(
      [&] {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return false;
      },
      patience);
}

}  // namespace nearlane::harness
