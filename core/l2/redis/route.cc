#include "core/l2/redis/route.h"

#include "core/l2/redis/tls.h"

namespace nearlane::l2 {

Route::Route(RedisUrl url, std::shared_ptr<boost::asio::ssl::context> tls,
             std::shared_ptr<ConnectRate> rate)
    : url_(std::move(url)),
      tls_(std::move(tls)),
      rate_(rate ? std::move(rate) : std::make_shared<ConnectRate>()) {
  if (!may_move()) move_to(url_.server);
}

Result<Endpoint> Route::server() const {
  const std::lock_guard lock(mutex_);
  if (server_) return *server_;
  return Error{Errc::unavailable, trouble_};
}

std::string Route::where() const {
  const auto at = server();
  if (at) return at->to_string();
  return url_.nodes.empty() ? "the master '" + url_.master + "'" : "a primary of the cluster";
}

bool Route::may_connect(TimePoint now) const {
  const auto at = server();
  // Where nobody knows where it is, that is said at once.
  return !at || rate_->take(at->to_string(), now);
}

void Route::move_to(Endpoint server) {
  const std::lock_guard lock(mutex_);
  if (server_ == server) return;
  server_ = std::move(server);
  version_.fetch_add(1, std::memory_order_release);
}

void Route::turn_to(Endpoint server) {
  const std::lock_guard lock(mutex_);
  server_ = std::move(server);
}

void Route::lose(std::string why) {
  const std::lock_guard lock(mutex_);
  trouble_ = std::move(why);
  // So that nobody waits for an answer any longer.
  if (version() == 0) version_.fetch_add(1, std::memory_order_release);
}

Result<std::shared_ptr<Route>> make_route(std::string_view url, const std::string& ca_file) {
  auto parsed = parse_redis_url(url);
  if (!parsed) return parsed.error();
  std::shared_ptr<TlsContext> tls;
  if (parsed->tls) {
    auto context = make_tls_context(ca_file);
    if (!context) return Error{Errc::invalid_argument, "l2: " + context.error().detail};
    tls = std::move(*context);
  }
  return std::make_shared<Route>(std::move(*parsed), std::move(tls));
}

}  // namespace nearlane::l2
