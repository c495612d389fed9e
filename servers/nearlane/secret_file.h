// A secret that stands in the first line of a file.
//
// Errors:   invalid_argument, naming the option and the file.
// Threads:  a plain function.
#pragma once

#include <string>

#include "core/base/result.h"

namespace nearlane::server {

/// Without its line's end; empty when no file is named.
[[nodiscard]] Result<std::string> read_secret(const char* option, const std::string& path);

}  // namespace nearlane::server
