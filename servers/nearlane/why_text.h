// The explanation of a key (GET /why/{key}) as a text for people.
//
// Errors:    invalid_argument where the page is not what this version knows.
// Threads:   plain functions.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::server {

struct WhyText {
  bool known = false;  // L1 or L2 has the key
  std::string text;
};

[[nodiscard]] Result<WhyText> why_text(std::string_view page);

/// Each byte that a path segment may not hold bare as %XX.
[[nodiscard]] std::string percent_encode(std::string_view key);

}  // namespace nearlane::server
