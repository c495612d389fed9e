// Whatever an operator writes for a URL is read or refused.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/key.h"
#include "core/l2/redis/redis_url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string_view scheme :
       {"", "redis://", "rediss://", "redis+sentinel://", "redis+cluster://"}) {
    const auto url = nearlane::l2::parse_redis_url(std::string(scheme) + std::string(text));
    if (!url) continue;
    auto endpoints = url->sentinels;
    endpoints.insert(endpoints.end(), url->nodes.begin(), url->nodes.end());
    if (endpoints.empty()) endpoints.push_back(url->server);
    for (const auto& [host, port] : endpoints) {
      if (host.empty() || port.empty()) std::abort();
    }
    if (url->sentinels.empty() != url->master.empty() || url->db >= nearlane::kDatabases)
      std::abort();
  }
  return 0;
}
