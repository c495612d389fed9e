// redis-server with one thread, without persistence.
#include "harness/peers/resp_peer.h"
#include "harness/topology/pinned.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

class RedisPeer final : public RespPeer {
 public:
  explicit RedisPeer(RedisServer redis) : redis_(std::move(redis)) {}
  [[nodiscard]] const Endpoint& resp() const noexcept override { return redis_.endpoint(); }
  [[nodiscard]] const Child& child() const noexcept override { return redis_.child(); }

 private:
  RedisServer redis_;
};

}  // namespace

RespPeerResult start_redis() {
  const Pinned there(kServersCore);
  // As many clients as the scenario with the most of them.
  auto redis = RedisServer::start({.config = {"--maxclients", "12000"}});
  if (!redis) return redis.error();
  return std::make_unique<RedisPeer>(std::move(*redis));
}

}  // namespace nearlane::harness
