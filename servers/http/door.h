// Door: the HTTP listener's own state: the routes, and counters by loop.
//
// Threads:   accept on the connection's loop, the rest from any.
// Lifetime:  outlives the loops' run; the cache outlives it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "servers/http/connection.h"
#include "servers/http/routes.h"
#include "servers/loop/loop_group.h"

namespace nearlane::http {

/// What a connection over a limit is told: 503, or 429 where it is the client's own limit.
[[nodiscard]] loop::Refusals refusals();

class Door {
 public:
  Door(loop::LoopGroup& loops, tier::TieredCache& tier, RoutesConfig routes,
       ConnectionLimits limits);

  [[nodiscard]] std::shared_ptr<loop::Connection> accept(loop::Loop& home, int socket);

  [[nodiscard]] const std::vector<std::unique_ptr<loop::DoorStats>>& stats() const noexcept {
    return stats_;
  }

 private:
  Routes routes_;
  std::optional<FastLane> fast_lane_;
  ConnectionLimits limits_;
  std::vector<std::unique_ptr<loop::DoorStats>> stats_;  // by loop
};

}  // namespace nearlane::http
