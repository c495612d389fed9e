// A Redis Cluster, all real, on loopback ports of its own: primaries with equal shares of the slots, and their replicas.
//
// Errors:   as RedisServer; timeout where they do not find each other, unavailable where one refuses.
// Threads:  one.
// Lifetime: every process goes with it.
// Cost:     some seconds until all know of each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

struct ClusterOptions {
  std::size_t primaries = 3;
  std::size_t replicas = 1;  // of each
  std::size_t spare = 0;     // primaries without slots
  // Silence that makes a node think that another is down.
  std::chrono::milliseconds node_timeout{1000};
  Duration ready_within = std::chrono::seconds(30);
};

class ClusterGroup {
 public:
  /// Returns once a failover would succeed.
  [[nodiscard]] static Result<ClusterGroup> start(const ClusterOptions& options = {});

  /// Primaries first, then the first replica of each, and so on, then those that are spare.
  [[nodiscard]] std::vector<RedisServer>& servers() noexcept { return servers_; }
  [[nodiscard]] RedisServer& replica_of(std::size_t primary) {
    return servers_[options_.primaries + primary];
  }
  [[nodiscard]] RedisServer& spare() { return servers_.back(); }
  /// redis+cluster://… of all servers.
  [[nodiscard]] std::string url() const;
  /// Which server says that it owns the slot; unavailable: none.
  [[nodiscard]] Result<std::size_t> owner_of(unsigned slot) const;
  /// Where the slot is by one server's map, whatever the others' say; unavailable: nowhere.
  [[nodiscard]] Result<Endpoint> owner_in_map_of(std::size_t server, unsigned slot) const;
  [[nodiscard]] Result<unsigned> slot_of(std::string_view key) const;
  /// Of the key that the owner of its slot has; an error where there is none.
  [[nodiscard]] Result<RedisReply> ask_owner(std::string_view key,
                                             std::initializer_list<std::string_view> command) const;

  // The steps by which a slot goes to another server.
  [[nodiscard]] Result<void> begin_migration(unsigned slot, std::size_t from, std::size_t to);
  /// So many keys at most; how many went.
  [[nodiscard]] Result<std::size_t> migrate_keys(unsigned slot, std::size_t from, std::size_t to,
                                                 std::size_t most);
  [[nodiscard]] Result<void> end_migration(unsigned slot, std::size_t from, std::size_t to);
  /// All of them.
  [[nodiscard]] Result<void> migrate(unsigned slot, std::size_t from, std::size_t to);

 private:
  explicit ClusterGroup(const ClusterOptions& options) : options_(options) {}
  [[nodiscard]] Result<void> start_servers();
  [[nodiscard]] Result<void> meet();
  [[nodiscard]] Result<void> replicate();
  [[nodiscard]] bool is_whole() const;
  [[nodiscard]] Result<std::string> id_of(std::size_t server) const;

  ClusterOptions options_;
  std::vector<RedisServer> servers_;
};

}  // namespace nearlane::harness
