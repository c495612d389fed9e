#include "servers/http/conditions.h"

#include <algorithm>

namespace nearlane::http {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

EntityTag::EntityTag(std::uint64_t digest, std::string_view encoding) noexcept {
  static constexpr std::string_view kHex = "0123456789abcdef";
  char* end = text_.data();
  *end++ = '"';
  for (std::size_t i = kDigits; i-- > 0; digest >>= 4U) end[i] = kHex[digest & 15U];
  end += kDigits;
  if (!encoding.empty()) {
    *end++ = '-';
    end = std::copy(encoding.begin(), encoding.end(), end);
  }
  *end++ = '"';
  size_ = static_cast<std::size_t>(end - text_.data());
}

bool is_star(std::string_view list) { return trim(list) == "*"; }

bool lists_tag(std::string_view list, std::string_view tag) {
  if (is_star(list)) return true;
  while (true) {
    list = trim(list);
    if (list.starts_with(',')) {
      list.remove_prefix(1);
      continue;
    }
    if (list.starts_with("W/")) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    // A tag may hold commas, so the list is read tag by tag.
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    if (list.substr(0, end + 1) == tag) return true;
    list.remove_prefix(end + 1);
    list = trim(list);
    if (list.empty()) return false;
    if (!list.starts_with(',')) return false;
  }
}

}  // namespace nearlane::http
