// What is going on, for whoever waits: one line that is rewritten on a terminal, plain lines elsewhere.
//
// Threads:  one. Cost: writes to standard error at most ten times a second, or once a phase.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace nearlane::harness {

class Meter {
 public:
  Meter();
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// A scenario begins; `steps` is how many advance() calls it will make.
  void begin(std::string_view scenario, std::uint64_t steps);
  void phase(std::string_view what);
  /// One step is done. The expected time is the elapsed one scaled by the steps that are left.
  void advance();
  void end(std::string_view verdict);

 private:
  void draw();

  bool terminal_;
  std::string scenario_;
  std::string phase_;
  std::uint64_t steps_ = 0;
  std::uint64_t done_ = 0;
  TimePoint started_{};
  TimePoint drawn_{};
};

}  // namespace nearlane::harness
