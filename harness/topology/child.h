// A child process that cannot outlive its owner: killed and reaped whatever happens.
//
// Errors:   invalid_argument (no such program), unavailable (could not be started, or has
//           ended), timeout; detail names the child and shows its last lines.
// Threads:  each Child has one thread of its own, which forks the child, reads its output and
//           reaps it. The kernel sends PR_SET_PDEATHSIG when the *thread* that forked ends, so
//           that thread must live as long as the child. All members may be called from any
//           thread.
// Lifetime: the destructor kills the child's whole process group and returns once it is reaped.
//           When the owner itself is killed, even by SIGKILL, the kernel kills the child.
// Cost:     one thread, one pipe, one pidfd; at most ChildSpec::output_cap bytes of output are
//           kept.
// Source:   prctl(2) PR_SET_PDEATHSIG, pidfd_open(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace nearlane::harness {

struct ChildSpec {
  std::string name;                   // what errors and logs call it
  std::vector<std::string> argv;      // argv[0] is looked for in PATH when it has no '/'
  std::vector<std::string> env = {};  // NAME=VALUE, added to the owner's environment
  // Standard output and error are appended here; empty = memory only.
  std::filesystem::path log = {};
  std::size_t log_cap = std::size_t{4} << 20U;  // bytes; the log then ends with a line that says so
  std::size_t output_cap = std::size_t{256} << 10U;  // bytes of the newest output kept in memory
};

struct ExitStatus {
  bool signalled = false;
  int code = 0;  // exit code, or the signal's number

  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

/// What a child has used so far; after its end, what it had used when it was reaped.
struct Usage {
  Duration user{};  // utime and stime of /proc/PID/stat: 10 ms ticks
  Duration system{};
  std::uint64_t rss_bytes = 0;  // 0 once it has ended

  [[nodiscard]] Duration cpu() const noexcept { return user + system; }
};

class Child {
 public:
  [[nodiscard]] static Result<Child> start(ChildSpec spec);
  ~Child();
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;

  [[nodiscard]] pid_t pid() const noexcept;
  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] bool running() const;

  /// Sends a signal to the child (not its group). unavailable if it has ended.
  Result<void> signal(int number) const;
  /// SIGKILL to the child's whole process group; returns once it is reaped.
  void kill();
  /// Waits for the end that somebody else causes.
  [[nodiscard]] Result<ExitStatus> wait(Duration limit) const;
  /// SIGTERM, then wait; past the limit it is killed and the answer is timeout.
  [[nodiscard]] Result<ExitStatus> terminate(Duration limit);

  /// The first whole output line that begins with `prefix`, waiting for it if need be; only what is
  /// still kept (output_cap) is looked at. unavailable as soon as the child ends without it.
  [[nodiscard]] Result<std::string> wait_line(std::string_view prefix, Duration limit) const;
  /// Asks `ready` every few milliseconds until it is true; unavailable as soon as the child ends.
  [[nodiscard]] Result<void> wait_ready(const std::function<bool()>& ready, Duration limit) const;
  /// The newest whole and partial lines, at most `lines` of them.
  [[nodiscard]] std::string last_output(std::size_t lines = 15) const;

  [[nodiscard]] Usage usage() const;

 private:
  struct State;
  explicit Child(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Where a program is: with a '/' as given, else the first executable of that name in PATH.
[[nodiscard]] Result<std::filesystem::path> find_in_path(const std::string& program);
/// A program of ours: beside the running one, else in ../bin.
[[nodiscard]] Result<std::filesystem::path> find_beside(std::string_view program);

}  // namespace nearlane::harness
