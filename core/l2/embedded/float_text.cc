#include "core/l2/embedded/float_text.h"

#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace nearlane::l2::embedded {

namespace {
constexpr std::size_t kLongestFloat = 5 * 1024;  // bytes of text, as in Redis
}  // namespace

std::optional<long double> read_float(std::string_view text) {
  if (text.empty() || text.size() >= kLongestFloat) return std::nullopt;
  if (std::isspace(static_cast<unsigned char>(text.front())) != 0) return std::nullopt;
  const std::string terminated(text);
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(terminated.c_str(), &end);
  if (end != terminated.c_str() + terminated.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || std::fpclassify(value) == FP_ZERO)) {
    return std::nullopt;
  }
  return value;
}

std::string write_float(long double value) {
  std::array<char, kLongestFloat> buffer{};
  const int size = std::snprintf(buffer.data(), buffer.size(), "%.17Lf", value);
  std::string text(buffer.data(), static_cast<std::size_t>(size));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

bool is_finite(long double value) { return std::isfinite(value); }

}  // namespace nearlane::l2::embedded
