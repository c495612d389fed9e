// Turns completions into a RunReport: the one place where a run's arithmetic is done.
//
// Threads:  the generator's.
// Cost:     a completion is five histogram cells and one map walk of at most 28 nodes; nothing is allocated
//           after the constructor (7 MB) but a line a second of the time line.
#pragma once

#include "core/base/clock.h"
#include "harness/driver/run.h"

namespace nearlane::harness {

class Recorder {
 public:
  /// Offsets, and the CPU time of this thread, count from the end of this call.
  explicit Recorder(const RunOptions& options);

  /// An operation became due.
  void scheduled(Duration intended) noexcept;
  /// An operation ended. `ready` is the offset from which only the generator kept it from being sent:
  /// `intended`, or later when it had to wait for a connection. `answered`: a reply of any kind came.
  void completed(Completion completion, Duration ready, bool answered);
  void tell_progress(Duration elapsed) const;

  [[nodiscard]] std::uint64_t completions() const noexcept { return completions_; }
  /// The judged report. `ended`: when the last operation was due, or the duration's end.
  [[nodiscard]] RunReport finish(Duration ended, std::uint64_t bytes_out, std::uint64_t bytes_in,
                                 std::uint64_t reconnects);

  [[nodiscard]] TimePoint start() const noexcept { return start_; }

 private:
  void fail(const Completion& completion);

  const RunOptions& options_;
  RunReport report_;
  TimePoint start_;
  std::uint64_t completions_ = 0;
  Duration last_done_{};
  Duration user_at_start_{};
  Duration system_at_start_{};
};

}  // namespace nearlane::harness
