// Where a door listens: "ADDR:PORT", "unix:PATH" or "off".
//
// Units:    port 0 lets the system pick one.
// Errors:   invalid_argument, saying what could not be read. No name but "localhost" is resolved.
// Threads:  plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::loop {

struct Address {
  enum class Kind : std::uint8_t { off, tcp, unix_path };
  Kind kind = Kind::off;
  std::string host = {};  // numeric, IPv6 without brackets
  std::uint16_t port = 0;
  std::string path = {};

  /// Only processes of this machine can connect.
  [[nodiscard]] bool local_only() const;
  /// As parse_address reads it.
  [[nodiscard]] std::string to_text() const;

  friend bool operator==(const Address&, const Address&) = default;
};

[[nodiscard]] Result<Address> parse_address(std::string_view text);

}  // namespace nearlane::loop
