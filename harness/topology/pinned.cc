#include "harness/topology/pinned.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

/// So often threads are looked for that were started meanwhile.
constexpr int kPasses = 100;

/// One of these; nothing: there is none.
std::optional<cpu_set_t> core_of(const cpu_set_t& allowed, std::size_t nth) {
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  if (cores.empty()) return std::nullopt;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cores[nth % cores.size()], &one);
  return one;
}

Error failed(const std::string& what, int why) {
  return {Errc::unavailable, what + ": " + std::generic_category().message(why)};
}

/// Whether all threads that are listed were there already. What one started before it was moved may be missing in the list.
Result<bool> pin_threads(pid_t process, const cpu_set_t& one) {
  bool there = true;
  std::error_code error;
  std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", process), error);
  for (; !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
    const std::string name = task->path().filename();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    cpu_set_t now;
    CPU_ZERO(&now);
    if (::sched_getaffinity(thread, sizeof now, &now) == 0 && CPU_EQUAL(&now, &one)) continue;
    there = false;
    if (::sched_setaffinity(thread, sizeof one, &one) == 0) continue;
    const int why = errno;
    if (why != ESRCH) return failed(fmt::format("thread {} cannot be pinned", thread), why);
  }
  if (error) return failed(fmt::format("threads of process {}", process), error.value());
  return there;
}

}  // namespace

Pinned::Pinned(std::size_t nth) {
  CPU_ZERO(&before_);
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  const auto one = core_of(before_, nth);
  pinned_ = one && ::sched_setaffinity(0, sizeof *one, &*one) == 0;
}

Pinned::~Pinned() {
  if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
}

Result<void> pin_process(pid_t process, std::size_t nth) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return failed("which cores may be used", errno);
  const auto one = core_of(allowed, nth);
  if (!one) return Error{Errc::unavailable, "there is no core to pin a process to"};
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto there = pin_threads(process, *one);
    if (!there) return there.error();
    if (*there) return {};
  }
  return Error{Errc::unavailable,
               fmt::format("threads of process {} were never all on one core", process)};
}

}  // namespace nearlane::harness
