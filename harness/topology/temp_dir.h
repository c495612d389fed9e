// A folder of its own under the system's place for temporary files, removed with everything in it.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.h"

namespace nearlane::harness {

class TempDir {
 public:
  [[nodiscard]] static Result<TempDir> make();
  /// Where writing waits for no disk, if the system has such a place.
  [[nodiscard]] static Result<TempDir> make_in_memory();
  ~TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  [[nodiscard]] static Result<TempDir> make_under(const std::filesystem::path& parent);
  explicit TempDir(std::filesystem::path path) noexcept : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace nearlane::harness
