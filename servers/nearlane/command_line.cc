#include "servers/nearlane/command_line.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

namespace nearlane::server {

Result<std::string> read_command_line(CLI::App& app, std::vector<std::string> args) {
  try {
    std::reverse(args.begin(), args.end());  // CLI11 takes its arguments from the back
    app.parse(std::move(args));
  } catch (const CLI::Success& asked) {
    std::ostringstream out;
    app.exit(asked, out, out);
    return out.str();
  } catch (const CLI::ParseError& broken) {
    return Error{Errc::invalid_argument, broken.what()};
  }
  return std::string();
}

}  // namespace nearlane::server
