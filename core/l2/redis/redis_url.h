// Reads redis://[[user]:password@]host[:port][/db], the same with rediss:// for TLS, and
// redis+sentinel://[[user]:password@]host[:port],host[:port]/name[/db], whose hosts are sentinels that know where the
// master of that name is, and redis+cluster://[[user]:password@]host[:port],host[:port], some nodes of a cluster.
//
// Errors:    invalid_argument, saying which part of the URL is wrong; the password is never part of
//            a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::l2 {

/// So many sentinels, or nodes of a cluster, may be named.
inline constexpr std::size_t kMostHosts = 64;

/// Where a server listens.
struct Endpoint {
  std::string host;  // a name or an address, an IPv6 one without brackets
  std::string port;

  [[nodiscard]] std::string to_string() const;
  /// 0: it is none from 1 to 65535.
  [[nodiscard]] std::uint16_t port_number() const noexcept;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct RedisUrl {
  Endpoint server = {};  // empty where sentinels or the nodes of a cluster know it
  std::vector<Endpoint> sentinels = {};
  std::string master = {};           // as the sentinels call it
  std::vector<Endpoint> nodes = {};  // of a cluster
  bool tls = false;
  std::string user = {};
  std::string password = {};
  std::uint32_t db = 0;
};

[[nodiscard]] Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace nearlane::l2
