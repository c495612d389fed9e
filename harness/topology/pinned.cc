#include "harness/topology/pinned.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace nearlane::harness {
namespace {

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

void pin_process(pid_t process, std::size_t nth) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const auto one = core_of(allowed, nth);
  if (!one) return;
  std::error_code gone;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), gone)) {
    const std::string name = task.path().filename();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    ::sched_setaffinity(thread, sizeof *one, &*one);
  }
}

}  // namespace nearlane::harness
