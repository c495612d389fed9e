// Times what is shorter than reading the clock twice: in batches for the mean, one by one for the tail.
//
// Units:    nanoseconds. A sample includes one reading of the clock, whose own cost is clock_cost().
// Threads:  one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/histogram.h"

namespace nearlane::harness {

struct Timing {
  double ns_per_op = 0;  // of whole batches, so the clock is paid once a batch
  Histogram samples;     // single operations, each between two readings of the clock
};

/// Forces `value` to be computed.
template <class T>
inline void keep(const T& value) noexcept {
  asm volatile("" : : "r,m"(value) : "memory");
}

/// Calls `op(i)` for i below `count`: twice over, in batches and then with every `every`th sampled.
/// `batch(begin, end)` wraps what a batch of at most 64 shares, such as an epoch guard.
template <class Batch>
[[nodiscard]] Timing time_ops(std::size_t count, std::size_t every, Batch&& batch) {
  constexpr std::size_t kBatch = 64;  // requests that one recv of a busy connection brings
  Timing timing;
  const auto begin = Clock::now();
  for (std::size_t at = 0; at < count; at += kBatch) batch(at, std::min(at + kBatch, count));
  timing.ns_per_op =
      static_cast<double>((Clock::now() - begin).count()) / static_cast<double>(count);
  for (std::size_t at = 0; at < count; ++at) {
    if (at % every != 0) {
      batch(at, at + 1);
      continue;
    }
    const auto before = Clock::now();
    batch(at, at + 1);
    timing.samples.record(Clock::now() - before);
  }
  return timing;
}

/// What a sample of nothing takes.
[[nodiscard]] inline Histogram clock_cost() {
  constexpr int kSamples = 20'000;
  Histogram cost;
  for (int i = 0; i < kSamples; ++i) {
    const auto before = Clock::now();
    cost.record(Clock::now() - before);
  }
  return cost;
}

}  // namespace nearlane::harness
