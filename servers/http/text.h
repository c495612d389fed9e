// What fields of HTTP are made of: words, and white space between them.
//
// Threads:   plain functions.
// Source:    RFC 9110 section 5.6.
#pragma once

#include <string_view>

namespace nearlane::http {

[[nodiscard]] inline std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Whether the text is this word, in letters of any case. Precondition: `lower` is in lower case.
[[nodiscard]] inline bool is_word(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace nearlane::http
