#include "servers/nearlane/secret_file.h"

#include <fstream>

#include <fmt/format.h>

namespace nearlane::server {

Result<std::string> read_secret(const char* option, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  std::string secret;
  if (!file || !std::getline(file, secret)) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: cannot read a line from {}", option, path)};
  }
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: the first line of {} is empty", option, path)};
  }
  return secret;
}

}  // namespace nearlane::server
