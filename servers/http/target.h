// Reads a request target: which route, which key, which parameters.
//
// Errors:    invalid_argument, saying what a client must mend; too_large for a key over 64 KiB.
// Threads:   plain functions.
// Cost:      linear, one string for the key. The key is percent-decoded once, into bytes.
// Source:    RFC 9112 section 3.2, RFC 3986 section 2.1; the routes are the project's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::http {

enum class Route : std::uint8_t {
  entry,
  touch,
  batch,
  why,
  healthz,
  readyz,
  metrics,
  stats,
  unknown
};

struct Target {
  Route route = Route::unknown;
  std::string key = {};
  std::optional<std::chrono::milliseconds> ttl = {};  // ?ttl=seconds or ?px=milliseconds
  bool strict = false;                                // ?strict
  std::optional<std::uint32_t> db = {};               // why: ?db=number
};

[[nodiscard]] Result<Target> parse_target(std::string_view target);

/// "%2F" to "/". Errors: a percent sign without two hex digits, a character that a path may not
/// hold bare.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text);

}  // namespace nearlane::http
