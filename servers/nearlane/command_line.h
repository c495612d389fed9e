// A command line read by CLI11, with its help as an answer and its complaint as an error.
//
// Errors:   invalid_argument, in CLI11's words, which name the argument.
// Threads:  plain functions.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace CLI {
class App;
}

namespace nearlane::server {

/// Reads `args` into what `app` was told of. Not empty: what was asked for is to be printed, and nothing else done.
[[nodiscard]] Result<std::string> read_command_line(CLI::App& app, std::vector<std::string> args);

}  // namespace nearlane::server
