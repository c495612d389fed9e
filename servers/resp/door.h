// Door: the RESP listener's own state: sessions' contexts and counters by loop, and who is
//       connected.
//
// Threads:   accept on the connection's loop, the rest from any.
// Lifetime:  outlives the loops' run; the cache outlives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "servers/loop/loop_group.h"
#include "servers/resp/cache_session.h"
#include "servers/resp/connection.h"

namespace nearlane::resp {

/// What a connection over a limit is told, in Redis's words and near them.
[[nodiscard]] inline loop::Refusals refusals() {
  return {.full = "-ERR max number of clients reached\r\n",
          .client_is_full = "-ERR max number of clients of this address reached\r\n"};
}

struct DoorConfig {
  std::string password = {};  // empty: clients need not authenticate
  std::chrono::milliseconds l2_timeout{500};
  SessionLimits limits = {};
  ConnectionLimits connection = {};
  std::function<std::string(std::string_view)> info = {};  // INFO's text for a section
  /// To the Redis that answers what our table does not have; null: there is none.
  std::shared_ptr<l2::Route> relay_to = {};
  l2::ClusterRoutes* relay_to_nodes = nullptr;  // of that Redis, where it is a cluster
  unsigned max_relays = 1024;                   // connections to it that speak for clients
};

class Door {
 public:
  Door(loop::LoopGroup& loops, tier::TieredCache& tier, DoorConfig config);

  [[nodiscard]] std::shared_ptr<loop::Connection> accept(loop::Loop& home, int socket);

  /// Connections to Redis that speak for clients, idle ones among them.
  [[nodiscard]] unsigned relays() const noexcept {
    return upstreams_->open.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const std::vector<std::unique_ptr<loop::DoorStats>>& stats() const noexcept {
    return stats_;
  }

 private:
  DoorConfig config_;
  ClientRegistry clients_;
  Channels channels_;
  CommandCatalog catalog_;
  std::shared_ptr<UpstreamLimits> upstreams_ = std::make_shared<UpstreamLimits>();
  std::vector<std::unique_ptr<RelayContext>> relays_;    // by loop; none: nothing is relayed
  std::vector<std::unique_ptr<loop::DoorStats>> stats_;  // by loop
  std::vector<SessionContext> contexts_;                 // by loop
};

}  // namespace nearlane::resp
