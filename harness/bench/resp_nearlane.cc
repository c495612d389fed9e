#include "harness/bench/resp_nearlane.h"

#include <utility>

#include "harness/topology/pinned.h"

namespace nearlane::harness {
namespace {

constexpr unsigned kLanes = 32;  // as is the default
/// Redis shares its core with a load that polls, and has to wait for its turn.
constexpr const char* kPatient = "5s";
constexpr Duration kLanesWithin = std::chrono::seconds(20);

Result<RedisServer> start_store() {
  const Pinned there(kClientsCore);
  return RedisServer::start();
}

Result<Instance> start_instance(std::string l2, std::vector<std::string> flags) {
  const Pinned there(kServersCore);
  return Instance::start({.l2 = std::move(l2), .flags = std::move(flags)});
}

}  // namespace

Result<std::unique_ptr<RespNearlane>> RespNearlane::start(const std::string& lease,
                                                          std::vector<std::string> flags) {
  auto redis = start_store();
  if (!redis) return redis.error();
  flags.insert(flags.end(), {"--threads", "1", "--pool", std::to_string(kLanes), "--l2-timeout",
                             kPatient, "--lease", lease});
  auto instance = start_instance(redis->url(), std::move(flags));
  if (!instance) return instance.error();
  if (const auto up = instance->lanes_up_within(kLanes, kLanesWithin); !up) return up.error();
  return std::make_unique<RespNearlane>(std::move(*redis), std::move(*instance));
}

}  // namespace nearlane::harness
