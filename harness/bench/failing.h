// Failing: how soon operations failed that could not be answered, and whether that was at once.
//
// Units:    times from when the operation was due to its end, be that a reply, the connection's end
//           or a timeout.
// Threads:  plain values.
#pragma once

#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/histogram.h"
#include "harness/driver/request.h"

namespace nearlane::harness {

class Failing {
 public:
  /// Of no fewer a median is told. Those that a stretch of load has are hundreds; of a few, one
  /// that waited for a core would be half.
  static constexpr std::uint64_t kFewest = 20;

  struct Judgement {
    std::vector<std::string> failures = {};
    std::vector<std::string> unknown = {};  // what too few say of
  };

  /// Counts those that failed.
  void add(const Completion& completion);
  /// Reads and writes apart, as one is rarer than the other: half of each within `limit`.
  [[nodiscard]] Judgement judge(Duration limit) const;

 private:
  Histogram gets_;
  Histogram sets_;
};

}  // namespace nearlane::harness
