#include "harness/topology/endpoint.h"

#include <charconv>

#include <fmt/format.h>

namespace nearlane::harness {

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos && colon > 0) {
    Endpoint endpoint{.host = std::string(text.substr(0, colon)), .port = 0};
    const auto digits = text.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (error == std::errc{} && end == digits.data() + digits.size() && endpoint.port != 0) {
      return endpoint;
    }
  }
  return Error{Errc::invalid_argument, fmt::format("'{}' is not HOST:PORT", text)};
}

std::string Endpoint::to_string() const { return host + ":" + std::to_string(port); }

}  // namespace nearlane::harness
