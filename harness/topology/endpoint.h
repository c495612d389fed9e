// A TCP address as text and back: HOST:PORT.
//
// Errors:   invalid_argument, naming the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::harness {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

}  // namespace nearlane::harness
