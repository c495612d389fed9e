// Route: how all connections of this process reach the Redis behind it: where it is, as whom, over TLS or not.
//
// Where sentinels know the master, or it is one of the primaries of a cluster, that may change: version() tells, and whoever has a connection to where it was gives
// that up. Before the sentinels have said anything nobody connects; when none of them can say, trouble() says why.
//
// Errors:    of make_route: invalid_argument, naming what is wrong with the URL or the file of authorities.
// Threads:   any.
// Lifetime:  shared by the connections.
// Cost:      version() is one load; server() takes a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "core/l2/redis/connect_rate.h"
#include "core/l2/redis/redis_url.h"

namespace boost::asio::ssl {
class context;
}

namespace nearlane::l2 {

class Route {
 public:
  /// `rate`: of the routes that may lead to the same nodes; null: its own.
  Route(RedisUrl url, std::shared_ptr<boost::asio::ssl::context> tls,
        std::shared_ptr<ConnectRate> rate = nullptr);

  [[nodiscard]] const RedisUrl& url() const noexcept { return url_; }
  /// Null: in clear.
  [[nodiscard]] const std::shared_ptr<boost::asio::ssl::context>& tls() const noexcept {
    return tls_;
  }

  [[nodiscard]] const std::shared_ptr<ConnectRate>& rate() const noexcept { return rate_; }

  /// Whether sentinels, or the nodes of a cluster, say where it is.
  [[nodiscard]] bool may_move() const noexcept {
    return !url_.sentinels.empty() || !url_.nodes.empty();
  }
  /// Grows whenever it is found to be elsewhere. 0: nothing is known yet, not even that nobody knows.
  [[nodiscard]] std::uint64_t version() const noexcept {
    return version_.load(std::memory_order_acquire);
  }
  /// Where it is now.
  [[nodiscard]] Result<Endpoint> server() const;
  /// The same for people.
  [[nodiscard]] std::string where() const;

  /// Whether a connection may be made now, as far as others are being made; who is told so makes one.
  [[nodiscard]] bool may_connect(TimePoint now) const;

  /// It is there, whether or not it was.
  void move_to(Endpoint server);
  /// The next connection goes there; those that there are stay.
  void turn_to(Endpoint server);
  /// Nobody knows where it is. What was known is still believed.
  void lose(std::string why);
  /// A connection to it has ended, or could not be had: somebody should ask whether it is still there.
  void doubt() noexcept { doubted_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool take_doubt() noexcept {
    return doubted_.load(std::memory_order_relaxed) &&
           doubted_.exchange(false, std::memory_order_relaxed);
  }
  /// A connection that had failed to be made is up: the others need not wait until they would have tried again.
  void arrive() noexcept { arrivals_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t arrivals() const noexcept {
    return arrivals_.load(std::memory_order_relaxed);
  }

 private:
  const RedisUrl url_;
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  const std::shared_ptr<ConnectRate> rate_;
  mutable std::mutex mutex_;
  std::optional<Endpoint> server_;
  std::string trouble_;
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> doubted_{false};
  std::atomic<std::uint64_t> arrivals_{0};
};

/// `ca_file`: whom to trust where the URL asks for TLS; empty: whom the system trusts.
[[nodiscard]] Result<std::shared_ptr<Route>> make_route(std::string_view url,
                                                        const std::string& ca_file);

}  // namespace nearlane::l2
