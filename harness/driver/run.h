// What a run of a driver is asked to do, and what it found: the same for RESP, HTTP and in process.
//
// Order:    open loop: an operation counts from when it was *due* (response_time), whether or not the
//           generator or a connection was ready for it; service_time counts from the actual send. A closed
//           loop sends when a reply makes room, so the two are equal and say nothing of arrival rates.
// Units:    rates in operations a second; times as offsets from the run's start.
// Threads:  plain values; the callbacks run on the generator's thread.
// Source:   "How NOT to measure latency" (Gil Tene), wrk2; docs/decisions/0006-whose-delay-it-is.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/histogram.h"
#include "harness/driver/request.h"

namespace nearlane::harness {

/// What reports show times in.
[[nodiscard]] inline double micros(Duration duration) noexcept {
  return std::chrono::duration<double, std::micro>(duration).count();
}

struct Progress {
  Duration elapsed{};
  Duration duration{};
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
};

struct RunOptions {
  bool open_loop = true;
  Duration duration = std::chrono::seconds(10);  // nothing is sent that is due later
  Duration warmup{};  // operations due before it are sent and checked, but not recorded
  std::uint64_t max_operations = UINT64_MAX;
  Checker check = {};
  std::function<void(const Progress&)> progress = {};  // about five times a second
  const std::atomic<bool>* stop = nullptr;             // true ends the run early
};

struct RunReport {
  using Cell = std::pair<Op, Outcome>;

  bool open_loop = true;
  Duration
      elapsed{};  // from the end of the warm-up to the last completion, or the duration if later
  std::uint64_t scheduled = 0;  // operations due after the warm-up
  std::uint64_t answered = 0;   // of those, the ones that the server answered, errors included
  std::uint64_t failed = 0;     // of those, the ones with a Failure, answered or not
  double offered_rate = 0;      // 0 in a closed loop
  double achieved_rate = 0;

  Histogram response_time;    // due to received; of answered operations, as are the next three
  Histogram service_time;     // sent to received
  Histogram send_lag;         // the generator's own delay: from due, and a free connection, to sent
  Histogram connection_wait;  // from due until a connection had room; part of response_time
  std::map<Cell, Histogram> response_by_cell;
  std::array<std::uint64_t, kFailures> failures{};
  std::vector<std::string> failure_texts;  // the first few

  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t reconnects = 0;
  Duration generator_user{};  // CPU time of the generator's thread
  Duration generator_system{};

  std::vector<std::string> void_reasons;  // empty = the run counts
  bool lagged = false;                    // one of them: the generator was late itself

  [[nodiscard]] bool valid() const noexcept { return void_reasons.empty(); }
  [[nodiscard]] std::uint64_t count(Op kind, Outcome outcome) const;
  [[nodiscard]] std::uint64_t count(Outcome outcome) const;
  /// Hits of every tier over gets that were answered hit or miss; 0 without any.
  [[nodiscard]] double hit_rate() const;
};

/// Fills the rates and the reasons for which a run does not count: its generator lagged (send_lag p99 above
/// max(1 ms, half of response_time p99)), it sent or got answered less than 99 % of what was offered while that was
/// due and the last replies were under way (service_time p99, at most a twentieth of the run), or nothing was
/// measured.
void judge(RunReport& report);

}  // namespace nearlane::harness
