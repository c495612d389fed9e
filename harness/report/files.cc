#include "harness/report/files.h"

#include <fstream>
#include <iterator>
#include <system_error>

namespace nearlane::harness {

Result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad())
    return Error{Errc::invalid_argument, path.string() + ": cannot be read"};
  return text;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view text) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (error || !out) return Error{Errc::invalid_argument, path.string() + ": cannot be written"};
  return {};
}

}  // namespace nearlane::harness
