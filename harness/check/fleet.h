// Fleet: several instances over one real redis-server, each behind a fault proxy of its own, or none.
//
// Errors:   as those of RedisServer, FaultProxy and Instance.
// Threads:  one. Lifetime: every process goes with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/check/traffic.h"
#include "harness/topology/fault_proxy.h"
#include "harness/topology/instance.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

struct FleetOptions {
  std::size_t instances = 2;
  Duration lease = std::chrono::milliseconds(250);
  bool proxied = true;
  unsigned threads = 1;  // of each instance
  unsigned lanes = 32;   // of each instance to Redis
  std::uint64_t l1_bytes = std::uint64_t{256} << 20U;
  // What they answer is judged by the lease, and RESP cannot say that an answer may be old.
  std::chrono::milliseconds max_stale{};
  std::vector<std::string> flags = {};  // of every instance
  std::vector<std::string> redis = {};  // as on its command line
};

struct Fleet {
  RedisServer redis;
  std::vector<FaultProxy> proxies;  // proxy i stands between instance i and Redis; or none
  std::vector<Instance> instances;
  unsigned lanes = 0;

  [[nodiscard]] static Result<Fleet> start(const FleetOptions& options);

  /// Both doors of every instance, and the way straight to the store.
  [[nodiscard]] std::vector<Door> doors() const;
  /// The last of them alone.
  [[nodiscard]] Door store_door() const;
  /// Waits until all lanes of every instance are up.
  [[nodiscard]] Result<void> ready_within(Duration patience) const;
};

}  // namespace nearlane::harness
