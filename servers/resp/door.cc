#include "servers/resp/door.h"

#include <utility>

#include <sys/socket.h>

#include "servers/loop/listener.h"
#include "servers/resp/connection.h"

namespace nearlane::resp {

Door::Door(loop::LoopGroup& loops, tier::TieredCache& tier, DoorConfig config)
    : config_(std::move(config)) {
  upstreams_->route = config_.relay_to;
  upstreams_->cluster = config_.relay_to_nodes;
  upstreams_->max_open = config_.max_relays;
  if (config_.relay_to)
    config_.limits.databases = kDatabases;  // which of them there are Redis says
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (config_.relay_to) {
      relays_.emplace_back(new RelayContext{.tier = tier,
                                            .pool = {loops.loop(i).context(), upstreams_},
                                            .catalog = catalog_,
                                            .l2_timeout = config_.l2_timeout});
    }
    stats_.push_back(std::make_unique<loop::DoorStats>(commands().size()));
    contexts_.push_back({.tier = tier,
                         .home = loops.loop(i),
                         .stats = *stats_.back(),
                         .clients = clients_,
                         .channels = channels_,
                         .password = config_.password,
                         .info = config_.info,
                         .relay = config_.relay_to ? relays_.back().get() : nullptr,
                         .l2_timeout = config_.l2_timeout,
                         .limits = config_.limits});
  }
}

std::shared_ptr<loop::Connection> Door::accept(loop::Loop& home, int socket) {
  ClientInfo client;
  client.address = loop::peer_name(socket);
  client.local_address = loop::local_name(socket);
  return std::make_shared<Connection>(
      home, socket, config_.connection,
      [this, &home, client = std::move(client)](Session::Host& host) {
        return CacheSession::make(contexts_[home.index()], host, client);
      });
}

}  // namespace nearlane::resp
