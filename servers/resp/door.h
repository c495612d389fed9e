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

namespace nearlane::resp {

/// What a connection over the cap is told.
inline constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";

struct DoorConfig {
  std::string password = {};  // empty: clients need not authenticate
  std::chrono::milliseconds l2_timeout{500};
  SessionLimits limits = {};
  std::function<std::string(std::string_view)> info = {};  // INFO's text for a section
};

class Door {
 public:
  Door(loop::LoopGroup& loops, tier::TieredCache& tier, DoorConfig config);

  [[nodiscard]] std::shared_ptr<loop::Connection> accept(loop::Loop& home, int socket);

  [[nodiscard]] const std::vector<std::unique_ptr<loop::DoorStats>>& stats() const noexcept {
    return stats_;
  }

 private:
  DoorConfig config_;
  ClientRegistry clients_;
  std::vector<std::unique_ptr<loop::DoorStats>> stats_;  // by loop
  std::vector<SessionContext> contexts_;                 // by loop
};

}  // namespace nearlane::resp
