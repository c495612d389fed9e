// Secrets that stand in the lines of a file.
//
// Errors:   invalid_argument, naming the option and the file.
// Threads:  plain functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace nearlane::server {

/// Of a file, at most: what is sent is compared with each of them.
inline constexpr std::size_t kMostSecrets = 64;

/// The first line, without its end; empty when no file is named.
[[nodiscard]] Result<std::string> read_secret(const char* option, const std::string& path);
/// Every line that is not empty, of which the first must be one; none when no file is named.
[[nodiscard]] Result<std::vector<std::string>> read_secrets(const char* option,
                                                            const std::string& path);

}  // namespace nearlane::server
