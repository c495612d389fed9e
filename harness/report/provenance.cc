#include "harness/report/provenance.h"

#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nearlane_revision.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef NEARLANE_BUILD_TYPE
#error "the build says its type and flags through definitions on this file"
#endif

namespace nearlane::harness {
namespace {

std::string first_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  return std::getline(in, line) ? line : "unknown";
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    for (const auto* field : {"model name", "CPU part", "Hardware"}) {
      if (!line.starts_with(field)) continue;
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

unsigned usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

// "always [madvise] never" names the choice in brackets.
std::string chosen(const std::string& line) {
  const auto open = line.find('[');
  const auto close = line.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return line;
  return line.substr(open + 1, close - open - 1);
}

}  // namespace

Provenance provenance() {
  Provenance found;
  found.revision = NEARLANE_REVISION;
  found.dirty = NEARLANE_DIRTY != 0;
  found.build_type = NEARLANE_BUILD_TYPE;
  found.flags = NEARLANE_BUILD_FLAGS;
#if defined(__clang__)
  found.compiler = fmt::format("clang {}", __clang_version__);
#else
  found.compiler = fmt::format("g++ {}", __VERSION__);
#endif
#ifdef NDEBUG
  found.library_build_type = "release";
#else
  found.library_build_type = "debug";
#endif
  found.cpu = cpu_model();
  found.cores = usable_cores();
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) {
    found.memory_bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
  }
  utsname name{};
  found.kernel = uname(&name) == 0
                     ? fmt::format("{} {} {}", name.sysname, name.release, name.machine)
                     : "unknown";
  found.transparent_huge_pages = chosen(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  found.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
  return found;
}

}  // namespace nearlane::harness
