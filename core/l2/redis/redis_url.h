// Reads redis://[[user]:password@]host[:port][/db], and the same with rediss:// for TLS.
//
// Errors:    invalid_argument, saying which part of the URL is wrong; the password is never part of
//            a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace nearlane::l2 {

/// Where a server listens.
struct Endpoint {
  std::string host;  // a name or an address, an IPv6 one without brackets
  std::string port;

  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct RedisUrl {
  Endpoint server = {"127.0.0.1", "6379"};
  bool tls = false;
  std::string user = {};
  std::string password = {};
  std::uint32_t db = 0;
};

[[nodiscard]] Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace nearlane::l2
