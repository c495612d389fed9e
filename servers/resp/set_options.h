// Options of SET, SETEX, PSETEX and SETNX, read here so that L1 may keep the value.
//
// What is not read with certainty is not judged either: nullopt, and L2 gets the command as it is and words the error.
//
// Units:     as Redis's: seconds or milliseconds, from now or Unix time.
// Lifetime:  value views the caller's arguments.
// Cost:      no allocation.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

#include "core/tier/tiered_cache.h"

namespace nearlane::resp {

struct SetCommand {
  std::string_view value;
  tier::StoreOptions options;
};

/// SET key value [NX|XX] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]. nullopt also for GET, whose reply is
/// the old value.
[[nodiscard]] std::optional<SetCommand> parse_set(std::span<const std::string_view> args);
/// SETEX key s value, PSETEX key ms value.
[[nodiscard]] std::optional<SetCommand> parse_setex(std::span<const std::string_view> args,
                                                    bool milliseconds);

/// How long EXPIRE key s or PEXPIRE key ms lets the key live; nullopt with options, and where Redis would not set it.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_slide(
    std::span<const std::string_view> args, bool milliseconds);

/// ASCII only, as Redis compares names of commands and options.
[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
[[nodiscard]] constexpr bool equals_ignoring_case(std::string_view text,
                                                  std::string_view wanted) noexcept {
  if (text.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != wanted[i]) return false;
  }
  return true;
}

}  // namespace nearlane::resp
