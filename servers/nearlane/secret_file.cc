#include "servers/nearlane/secret_file.h"

#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace nearlane::server {

namespace {

Error bad(std::string text) { return {Errc::invalid_argument, std::move(text)}; }

bool read_line(std::ifstream& file, std::string& line) {
  if (!std::getline(file, line)) return false;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

/// The first line, and `file` behind it.
Result<std::string> first_line(std::ifstream& file, const char* option, const std::string& path) {
  std::string line;
  if (!file || !read_line(file, line)) {
    return bad(fmt::format("{}: cannot read a line from {}", option, path));
  }
  if (line.empty()) return bad(fmt::format("{}: the first line of {} is empty", option, path));
  return line;
}

}  // namespace

Result<std::string> read_secret(const char* option, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  return first_line(file, option, path);
}

Result<std::vector<std::string>> read_secrets(const char* option, const std::string& path) {
  if (path.empty()) return std::vector<std::string>();
  std::ifstream file(path);
  auto line = first_line(file, option, path);
  if (line.has_error()) return line.error();
  std::vector<std::string> secrets{*line};
  while (read_line(file, *line)) {
    if (!line->empty()) secrets.push_back(*line);
    if (secrets.size() > kMostSecrets) {
      return bad(fmt::format("{}: {} holds more than {} secrets", option, path, kMostSecrets));
    }
  }
  return secrets;
}

}  // namespace nearlane::server
