#include "core/l2/redis/route.h"

#include <utility>

#include "core/l2/redis/tls.h"

namespace nearlane::l2 {

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
