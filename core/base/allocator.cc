#include "core/base/allocator.h"

#include <array>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace nearlane {
namespace {

constexpr const char* kVariable = "GLIBC_TUNABLES";
constexpr const char* kTunable = "glibc.malloc.hugetlb";

/// Whether the kernel gives huge pages to those who ask, and to them only.
bool given_on_request() {
  std::string modes;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), modes);
  return modes.find("[madvise]") != std::string::npos;
}

/// Not /proc/self/exe itself: the process would be called "exe" in every list. Empty on failure.
std::string own_path() {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0 || static_cast<std::size_t>(size) == path.size()) return {};
  return {path.data(), static_cast<std::size_t>(size)};
}

}  // namespace

void keep_large_values_apart() noexcept {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, kOwnPagesFrom);  // NOLINT(concurrency-mt-unsafe): one thread
#endif
}

void prefer_huge_pages([[maybe_unused]] char* const* argv) noexcept {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // NOLINTBEGIN(concurrency-mt-unsafe): there is one thread
  const char* set = std::getenv(kVariable);
  std::string tunables = set != nullptr ? set : "";
  if (tunables.find(kTunable) != std::string::npos || !given_on_request()) return;
  const std::string path = own_path();
  if (path.empty()) return;
  if (!tunables.empty()) tunables += ':';
  tunables += std::string(kTunable) + "=1";
  if (::setenv(kVariable, tunables.c_str(), 1) != 0) return;
  // NOLINTEND(concurrency-mt-unsafe)
  ::execv(path.c_str(), argv);
#endif
}

}  // namespace nearlane
