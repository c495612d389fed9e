// The calling thread, and what it starts meanwhile, on one of the cores that it may use; back on all of them at the end.
//
// Errors:   of Pinned none: where the kernel does not allow it the thread stays as it was. pin_process: unavailable. With
//           fewer cores than are numbered, they are given out in turn.
// Threads:  one, which also destroys it, and one object at a time: a second would choose among the first one's single core.
//           A child that was started meanwhile stays where it is.
#pragma once

#include <cstddef>

#include <sched.h>
#include <sys/types.h>

#include "core/base/result.h"

namespace nearlane::harness {

class Pinned {
 public:
  explicit Pinned(std::size_t nth);
  ~Pinned();
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
  bool pinned_ = false;
};

/// All threads of a process that runs already, on one of the cores that the caller may use; those that it starts later from
/// these as well. After an error some may be there and some not.
[[nodiscard]] Result<void> pin_process(pid_t process, std::size_t nth);

/// Who is measured has a core that the load does not have, where there are two.
inline constexpr std::size_t kServersCore = 0;
inline constexpr std::size_t kClientsCore = 1;

}  // namespace nearlane::harness
