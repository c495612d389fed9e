#include "harness/topology/temp_dir.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace nearlane::harness {

Result<TempDir> TempDir::make() {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  if (error) return Error{Errc::unavailable, "no folder for temporary files: " + error.message()};
  return make_under(base);
}

Result<TempDir> TempDir::make_in_memory() {
  const std::filesystem::path base = "/dev/shm";
  std::error_code error;
  return std::filesystem::is_directory(base, error) ? make_under(base) : make();
}

Result<TempDir> TempDir::make_under(const std::filesystem::path& parent) {
  std::string pattern = (parent / "nearlane-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return Error{Errc::unavailable, pattern + ": " + std::generic_category().message(errno)};
  }
  return TempDir(pattern);
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace nearlane::harness
