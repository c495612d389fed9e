#include "harness/topology/process_cpu.h"

#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <system_error>

namespace nearlane::harness {
namespace {

namespace fs = std::filesystem;

Duration cpu_of(pid_t pid) noexcept {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// 0 where there is none, or no such process any more.
pid_t parent_of(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string line;
  std::getline(file, line);
  // PID (name) state parent …; a name may hold anything, also brackets and spaces.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos || line.size() < name_end + 5) return 0;
  pid_t parent = 0;
  std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);
  return parent;
}

/// Of every process there is, by its number.
std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> all;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    pid_t pid = 0;
    const auto [stopped, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (wrong == std::errc{} && stopped == name.data() + name.size())
      all[pid] = parent_of(at->path());
  }
  return all;
}

}  // namespace

ProcessTree::ProcessTree(pid_t root) {
  const auto all = parents();
  for (const auto& [pid, parent] : all) {
    pid_t at = pid;
    while (at > 0 && at != root) {
      const auto above = all.find(at);
      at = above == all.end() ? 0 : above->second;
    }
    if (at == root) pids_.push_back(pid);
  }
}

Duration ProcessTree::cpu() const noexcept {
  Duration used{};
  for (const pid_t pid : pids_) used += cpu_of(pid);
  return used;
}

}  // namespace nearlane::harness
