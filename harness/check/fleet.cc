#include "harness/check/fleet.h"

#include <utility>

#include <fmt/format.h>

namespace nearlane::harness {

Result<Fleet> Fleet::start(const FleetOptions& options) {
  auto redis = RedisServer::start({.config = options.redis});
  if (!redis) return redis.error();
  Fleet fleet{.redis = std::move(*redis), .proxies = {}, .instances = {}, .lanes = options.lanes};
  for (std::size_t i = 0; i < options.instances; ++i) {
    Endpoint l2 = fleet.redis.endpoint();
    if (options.proxied) {
      auto proxy = FaultProxy::start(l2);
      if (!proxy) return proxy.error();
      l2 = proxy->endpoint();
      fleet.proxies.push_back(std::move(*proxy));
    }
    std::vector<std::string> flags = {
        "--threads",
        std::to_string(options.threads),
        "--pool",
        std::to_string(options.lanes),
        "--l1-bytes",
        std::to_string(options.l1_bytes),
        "--max-stale",
        fmt::format("{}ms", options.max_stale.count()),
        "--lease",
        fmt::format("{}ms",
                    std::chrono::duration_cast<std::chrono::milliseconds>(options.lease).count())};
    flags.insert(flags.end(), options.flags.begin(), options.flags.end());
    auto instance = Instance::start({.name = fmt::format("nearlane {}", i),
                                     .l2 = "redis://" + l2.to_string(),
                                     .flags = std::move(flags)});
    if (!instance) return instance.error();
    fleet.instances.push_back(std::move(*instance));
  }
  return fleet;
}

std::vector<Door> Fleet::doors() const {
  std::vector<Door> all;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    const auto node = static_cast<Node>(i);
    all.push_back({.node = node, .protocol = Protocol::resp, .endpoint = instances[i].resp()});
    all.push_back({.node = node, .protocol = Protocol::http, .endpoint = instances[i].http()});
  }
  all.push_back(store_door());
  return all;
}

Door Fleet::store_door() const {
  return {.node = kStore, .protocol = Protocol::resp, .endpoint = redis.endpoint()};
}

Result<void> Fleet::ready_within(Duration patience) const {
  const TimePoint end = Clock::now() + patience;
  for (const Instance& instance : instances) {
    if (const auto up = instance.lanes_up_within(lanes, end - Clock::now()); !up) return up.error();
  }
  return {};
}

}  // namespace nearlane::harness
