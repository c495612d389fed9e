// Sights: what the clients of several instances saw, operation by operation, and what that says of a stretch of time.
//
// Units:    times of the monotonic clock; a share is of the values that were answered, 0 to 1.
// Threads:  plain values.
// Cost:     48 bytes an operation; a question looks at every operation of its stretch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/histogram.h"
#include "harness/driver/request.h"

namespace nearlane::harness {

/// An operation's end.
struct Seen {
  TimePoint at{};
  Duration response{};  // since it was due
  std::size_t instance = 0;
  Outcome outcome = Outcome::error;
  Failure failure = Failure::none;
};

class Sights {
 public:
  static constexpr std::size_t kAll = SIZE_MAX;  // instances
  /// A share is told of no fewer values.
  static constexpr std::size_t kFewest = 20;
  /// Over which a share is told when it is looked for, and by how much the next one begins later.
  static constexpr Duration kWindow = std::chrono::milliseconds(500);
  static constexpr Duration kStep = std::chrono::milliseconds(50);

  /// In the order of their ends.
  void add(const Seen& seen) { all_.push_back(seen); }

  /// L1's part of the values; nothing: of too few.
  [[nodiscard]] std::optional<double> l1_share(std::size_t instance, TimePoint from,
                                               TimePoint to) const;
  /// How long after `from` the first window of at least this share ended; nothing: none did.
  [[nodiscard]] std::optional<Duration> back_after(std::size_t instance, TimePoint from,
                                                   double wanted) const;
  /// Operations whose connection to the instance ended before the reply.
  [[nodiscard]] std::size_t lost(std::size_t instance, TimePoint from, TimePoint to) const;
  /// Of what did not fail.
  [[nodiscard]] Histogram response(TimePoint from, TimePoint to) const;

 private:
  void each(TimePoint from, TimePoint to, const std::function<void(const Seen&)>& visit) const;

  std::vector<Seen> all_;
};

}  // namespace nearlane::harness
