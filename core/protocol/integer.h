// Decimal integers as Redis reads them: no sign but a leading '-', no leading zeros, no spaces.
//
// Errors:  nullopt for any other text and for what does not fit 64 bits. "-0" and "007" are not
//          integers.
// Threads: a plain function.
// Source:  string2ll in Redis's util.c, whose strictness clients can see ("value is not an integer
//          or out of range").
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace nearlane::protocol {

[[nodiscard]] inline std::optional<std::int64_t> read_integer(std::string_view text) noexcept {
  if (text == "0") return 0;
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

}  // namespace nearlane::protocol
