// Whole files, read and written at once.
//
// Errors:   invalid_argument for what cannot be read or written, naming the path.
// Threads:  any.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::harness {

[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path);
/// Anew, in folders that it makes.
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace nearlane::harness
