// The CPU time of a process that runs, with that of the processes which it has started.
//
// Units:    user and system time together, to the nanosecond; Child::usage() has them apart, in ticks of 10 ms.
// Errors:   a process that has ended counts nothing, whatever it had used; nor does one that was started later.
// Threads:  any.
// Cost:     a pass over /proc to find them, so before something is timed; then a clock for each of them.
// Source:   clock_getcpuclockid(3), proc_pid_stat(5).
#pragma once

#include <vector>

#include <sys/types.h>

#include "core/base/clock.h"

namespace nearlane::harness {

class ProcessTree {
 public:
  /// `root` and all whose parent, or theirs, it is.
  explicit ProcessTree(pid_t root);
  [[nodiscard]] Duration cpu() const noexcept;

 private:
  std::vector<pid_t> pids_;
};

}  // namespace nearlane::harness
