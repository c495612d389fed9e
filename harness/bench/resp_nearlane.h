// Nearlane under measurement over RESP: one event loop, alone on kServersCore, before a Redis of its own that shares the load's core.
//
// Errors:   those of the topology.
// Threads:  start from one thread, which is not pinned.
// Lifetime: both processes go with the object.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/peers/resp_peer.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

class RespNearlane final : public RespPeer {
 public:
  /// `lease`: of its L1, whose answers end with it where Redis is kept from its core for so long. `flags`: besides those that
  /// say where Redis is, and that there is one loop.
  [[nodiscard]] static Result<std::unique_ptr<RespNearlane>> start(const std::string& lease,
                                                                   std::vector<std::string> flags);
  RespNearlane(RedisServer redis, Instance instance)
      : redis_(std::move(redis)), instance_(std::move(instance)) {}

  [[nodiscard]] const Endpoint& resp() const noexcept override { return instance_.resp(); }
  [[nodiscard]] const Child& child() const noexcept override { return instance_.child(); }
  [[nodiscard]] const Endpoint& http() const noexcept { return instance_.http(); }
  /// The Redis behind it.
  [[nodiscard]] const Endpoint& store() const noexcept { return redis_.endpoint(); }

 private:
  RedisServer redis_;
  Instance instance_;
};

}  // namespace nearlane::harness
