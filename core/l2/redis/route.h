// Route: how all connections of this process reach the Redis behind it: where it is, as whom, over TLS or not.
//
// Errors:    of make_route: invalid_argument, naming what is wrong with the URL or the file of authorities.
// Threads:   any.
// Lifetime:  shared by the connections.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/l2/redis/redis_url.h"

namespace boost::asio::ssl {
class context;
}

namespace nearlane::l2 {

class Route {
 public:
  Route(RedisUrl url, std::shared_ptr<boost::asio::ssl::context> tls)
      : url_(std::move(url)), tls_(std::move(tls)) {}

  [[nodiscard]] const Endpoint& server() const noexcept { return url_.server; }
  [[nodiscard]] const std::string& user() const noexcept { return url_.user; }
  /// Empty: none is asked for.
  [[nodiscard]] const std::string& password() const noexcept { return url_.password; }
  [[nodiscard]] std::uint32_t db() const noexcept { return url_.db; }
  /// Null: in clear.
  [[nodiscard]] const std::shared_ptr<boost::asio::ssl::context>& tls() const noexcept {
    return tls_;
  }

 private:
  const RedisUrl url_;
  const std::shared_ptr<boost::asio::ssl::context> tls_;
};

/// `ca_file`: whom to trust where the URL asks for TLS; empty: whom the system trusts.
[[nodiscard]] Result<std::shared_ptr<Route>> make_route(std::string_view url,
                                                        const std::string& ca_file);

}  // namespace nearlane::l2
