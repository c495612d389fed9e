// Random: the one source of chance of a simulation, so that a seed replays a schedule exactly.
//
// Cost:      a few instructions, no state to set up: a million schedules each begin with one.
// Threads:   one owner.
// Source:    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014
//            (SplitMix64). The standard's distributions differ between libraries; these do not.
#pragma once

#include <cstdint>

#include "core/base/clock.h"

namespace nearlane::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9E37'79B9'7F4A'7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D0'49BB'1331'11EBU;
    return z ^ (z >> 31U);
  }
  /// Below n.
  std::uint32_t below(std::uint32_t n) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32U) * n) >> 32U);
  }
  /// True once in n times.
  bool once_in(std::uint32_t n) noexcept { return below(n) == 0; }
  /// From `least` up to but not including `most`.
  Duration between(Duration least, Duration most) noexcept {
    const auto span = static_cast<std::uint64_t>((most - least).count());
    return least + Duration(static_cast<std::int64_t>(next() % span));
  }

 private:
  std::uint64_t state_;
};

}  // namespace nearlane::sim
