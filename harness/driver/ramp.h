// The greatest rate at which a server still answers in time: rates are tried one after the other, twice the last one until one does
// not hold, then between the two. One that does not hold is tried once more, so that a hiccup does not decide.
//
// Errors:   run_ramp's are those of the load, invalid_argument where its own values cannot be, and protocol where a value was read
//           that nobody had written.
// Threads:  run_ramp blocks its caller, on whose thread everything runs.
// Cost:     a warm-up and a duration of the load for each rate; some fifteen of them.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/driver/load.h"

namespace nearlane::harness {

/// Which rate to try next. Knows nothing of loads.
class RateSearch {
 public:
  static constexpr double kLeast = 1000;  // requests/s: of fewer no 99th percentile is had in time
  static constexpr double kMost = 1e8;
  /// The answer is less than the least rate that did not hold by no more than this.
  static constexpr double kResolution = 0.05;

  /// Precondition: kLeast to kMost.
  explicit RateSearch(double first) : next_(first) {}

  /// Nothing: the answer is known.
  [[nodiscard]] std::optional<double> next() const noexcept { return next_; }
  /// Of the rate that next() told.
  void tell(bool held) noexcept;
  /// The greatest that held. Nothing: none did.
  [[nodiscard]] std::optional<double> answer() const noexcept { return held_; }

 private:
  std::optional<double> next_;
  std::optional<double> held_;
  std::optional<double> failed_;  // the least
  bool again_ = false;            // it has failed once
};

struct RampSpec {
  LoadSpec load;  // of each rate; its own is the first
  /// Of the response time's 99th percentile. At most a hundredth of the load's duration: a tail that is longer makes fewer
  /// requests a second, whatever the server does.
  Duration p99_most = std::chrono::milliseconds(1);
};

struct RampStep {
  double rate = 0;
  RunReport run;
  std::string why = {};             // it did not hold; empty: it did
  bool generator_at_limit = false;  // and it was the generator's doing, or may have been
};

struct RampReport {
  RampSpec spec;
  std::optional<double> answer;
  bool interrupted = false;
  /// At the least rate that did not hold: the server may hold more.
  bool generator_at_limit = false;

  /// The answer is one, and the server's.
  [[nodiscard]] bool valid() const noexcept {
    return answer.has_value() && !interrupted && !generator_at_limit;
  }
};

/// `run`: run_load, or what stands for it. `tried` sees every step as it ends.
[[nodiscard]] Result<RampReport> run_ramp(
    const RampSpec& spec, const std::function<Result<LoadReport>(const LoadSpec&)>& run,
    const std::function<void(const RampStep&)>& tried, const std::atomic<bool>& stop);

/// Of a step: a line, for people, and the columns' names above all of them.
[[nodiscard]] std::string ramp_head();
[[nodiscard]] std::string to_text(const RampStep& step);
/// What came of it, in a sentence.
[[nodiscard]] std::string to_text(const RampReport& report);

}  // namespace nearlane::harness
