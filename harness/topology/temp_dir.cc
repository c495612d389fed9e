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
  std::string pattern = (base / "nearlane-XXXXXX").string();
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
