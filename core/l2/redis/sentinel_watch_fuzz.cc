// Whatever a sentinel says, in one piece and byte by byte: the route is moved to addresses alone, and alike.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/l2/redis/sentinel_watch.h"

namespace {

using namespace nearlane;

std::string heard(std::string_view greeting, std::string_view bytes, std::size_t step) {
  l2::Route route(l2::parse_redis_url("redis+sentinel://:pw@a:1/m").value(), nullptr);
  l2::Sentinels sentinels(route);
  l2::SentinelWatch watch(sentinels, 0);
  const TimePoint now = TimePoint{} + std::chrono::hours(1);
  watch.connected(now);
  watch.received(greeting, now);
  for (; !bytes.empty() && !watch.broken(); bytes.remove_prefix(std::min(step, bytes.size())))
    watch.received(bytes.substr(0, step), now);
  const auto server = route.server();
  if (server && (server->host.empty() || server->port.empty())) std::abort();
  if (watch.ready() && !server) std::abort();
  return route.where();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string_view greeting : {"", "%0\r\n", "-NOAUTH\r\n"}) {
    if (heard(greeting, text, size) != heard(greeting, text, 1)) std::abort();
  }
  return 0;
}
