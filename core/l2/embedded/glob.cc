#include "core/l2/embedded/glob.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace nearlane::l2::embedded {

namespace {

/// Whether the class that `pattern` starts with ('[' is already taken) has `c`. Takes it from the
/// pattern, its ']' too if there is one.
bool class_has(std::string_view& pattern, char c) {
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  bool has = false;
  while (!pattern.empty() && pattern.front() != ']') {
    if (pattern.front() == '\\' && pattern.size() >= 2) {
      has |= pattern[1] == c;
      pattern.remove_prefix(2);
    } else if (pattern.size() >= 3 && pattern[1] == '-') {
      // Bounds compare as the platform's char does in Redis; bytes above 127 differ there too.
      const auto [low, high] = std::minmax(pattern[0], pattern[2]);
      has |= low <= c && c <= high;
      pattern.remove_prefix(3);
    } else {
      has |= pattern.front() == c;
      pattern.remove_prefix(1);
    }
  }
  if (!pattern.empty()) pattern.remove_prefix(1);
  return has != negated;
}

/// Matches one element of the pattern, which is no star, against `c`, and takes it.
bool takes(std::string_view& pattern, char c) {
  const char first = pattern.front();
  pattern.remove_prefix(1);
  if (first == '?') return true;
  if (first == '[') return class_has(pattern, c);
  if (first != '\\' || pattern.empty()) return first == c;
  const char literal = pattern.front();
  pattern.remove_prefix(1);
  return literal == c;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) noexcept {
  // Redis does not try stars on an empty text, and so says no where one would expect yes.
  if (text.empty()) return pattern.empty();
  // Behind the last star, and the text from where it has to match; tried again one byte later each.
  std::string_view star_pattern;
  std::string_view star_text;
  bool starred = false;
  while (true) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star_pattern = pattern;
      star_text = text;
      starred = true;
      continue;
    }
    if (text.empty() && pattern.empty()) return true;
    if (!text.empty() && !pattern.empty() && takes(pattern, text.front())) {
      text.remove_prefix(1);
      continue;
    }
    if (!starred || star_text.empty()) return false;
    star_text.remove_prefix(1);
    pattern = star_pattern;
    text = star_text;
  }
}

}  // namespace nearlane::l2::embedded
