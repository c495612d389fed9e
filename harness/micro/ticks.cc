#include "harness/micro/ticks.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/base/clock.h"

namespace nearlane::micro {

double ticks_to_ns() {
  static const double length = [] {
    // Long beside the cost of reading both clocks, short beside anything else that this program does.
    constexpr auto kSpan = std::chrono::milliseconds(20);
    const TimePoint start = Clock::now();
    const std::uint64_t begin = ticks_begin();
    while (Clock::now() - start < kSpan) {
    }
    const std::chrono::duration<double, std::nano> took = Clock::now() - start;
    return took.count() / static_cast<double>(ticks_end() - begin);
  }();
  return length;
}

double clock_ticks() {
  static const double cost = [] {
    std::array<std::uint64_t, 20001> gaps{};
    for (auto& gap : gaps) {
      const std::uint64_t begin = ticks_begin();
      gap = ticks_end() - begin;
    }
    std::ranges::nth_element(gaps, gaps.begin() + gaps.size() / 2);
    return static_cast<double>(gaps[gaps.size() / 2]);
  }();
  return cost;
}

}  // namespace nearlane::micro
