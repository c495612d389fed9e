// What became of requests second by second, and when something was broken: what a plot over time is made of.
//
// A request belongs to the second in which it was due, or sent in a closed loop, so that a stall shows where it began.
//
// Units:    seconds since the start; ns in metrics.
// Threads:  plain values; a recorder belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"

namespace nearlane::harness {

struct Second {
  std::uint64_t answered = 0;  // without a failure; the times are theirs
  std::uint64_t failed = 0;
  /// Nothing where too few were answered for a quantile, as in a Repetition.
  std::optional<double> p50_ns = {};
  std::optional<double> p99_ns = {};
  std::optional<double> max_ns = {};
};

/// A stretch in which something was broken.
struct FaultSpan {
  std::string what;
  double from_s = 0;
  double to_s = 0;
};

struct TimeSeries {
  std::vector<Second> seconds = {};
  std::vector<FaultSpan> faults = {};
};

/// Cost: eight bytes a request until it is asked; then a sort of every second.
class TimeSeriesRecorder {
 public:
  /// What is due later is counted in the last.
  static constexpr std::size_t kMostSeconds = 3600;

  explicit TimeSeriesRecorder(TimePoint start) : start_(start) {}

  /// What was due before the start is left out.
  void answered(TimePoint due, Duration response);
  void failed(TimePoint due);
  void fault(std::string what, TimePoint from, TimePoint to);
  [[nodiscard]] TimeSeries series() const;

 private:
  struct Recorded {
    std::vector<Duration> responses;
    std::uint64_t failed = 0;
  };
  [[nodiscard]] Recorded* second_of(TimePoint due);

  TimePoint start_;
  std::vector<Recorded> seconds_;
  std::vector<FaultSpan> faults_;
};

}  // namespace nearlane::harness
