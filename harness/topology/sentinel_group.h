// A master, its replicas, and the sentinels that watch over them, all real, on loopback ports of their own.
//
// Errors:   as RedisServer; timeout where they do not find each other.
// Threads:  one.
// Lifetime: every process goes with it.
// Cost:     some seconds until the sentinels know of each other: they say hello every other second.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

struct SentinelGroupOptions {
  std::size_t replicas = 1;
  std::size_t sentinels = 3;
  std::string name = "mymaster";
  // Silence that makes a sentinel think that a server is down.
  std::chrono::milliseconds down_after{1000};
  Duration ready_within = std::chrono::seconds(30);
};

class SentinelGroup {
 public:
  /// Returns once a failover would succeed.
  [[nodiscard]] static Result<SentinelGroup> start(const SentinelGroupOptions& options = {});

  /// The first is the master to begin with.
  [[nodiscard]] std::vector<RedisServer>& servers() noexcept { return servers_; }
  [[nodiscard]] std::vector<RedisServer>& sentinels() noexcept { return sentinels_; }
  /// redis+sentinel://… of all sentinels, in their order.
  [[nodiscard]] std::string url() const;
  /// Where the master is, as a sentinel says.
  [[nodiscard]] Result<Endpoint> master_of(const RedisServer& sentinel) const;

 private:
  explicit SentinelGroup(SentinelGroupOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Result<void> start_servers();
  [[nodiscard]] Result<void> start_sentinels();
  [[nodiscard]] bool knows_everybody(const RedisServer& sentinel) const;

  SentinelGroupOptions options_;
  std::vector<RedisServer> servers_;
  std::vector<RedisServer> sentinels_;
};

}  // namespace nearlane::harness
