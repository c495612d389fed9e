// ReplicatedStore: real Redis servers of which one primary can be killed and is replaced by its replica, under Sentinel
// or in a cluster, and what must be known of them to judge what came of it.
//
// Keys are known by number. All of them are the killed primary's under Sentinel, a third of them in a cluster.
//
// Order:     learn(), listen(), the kill, held_by_replica(), replaced(), values().
// Errors:    as the topology; timeout where nothing is replaced in time, unavailable where the replica was promoted
//            before it was read.
// Threads:   one.
// Lifetime:  every process goes with it.
// Cost:      a round trip a key.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {

/// By the key's number; empty: no value.
using StoredValues = std::vector<std::string>;

class ReplicatedStore {
 public:
  /// `silence`: after which the others think that a server is down.
  [[nodiscard]] static Result<std::unique_ptr<ReplicatedStore>> start_sentinel(
      std::chrono::milliseconds silence);
  [[nodiscard]] static Result<std::unique_ptr<ReplicatedStore>> start_cluster(
      std::chrono::milliseconds silence);
  virtual ~ReplicatedStore() = default;
  ReplicatedStore(const ReplicatedStore&) = delete;
  ReplicatedStore& operator=(const ReplicatedStore&) = delete;

  /// For instances.
  [[nodiscard]] virtual std::string url() const = 0;
  [[nodiscard]] virtual std::size_t processes() const = 0;
  /// The one that is killed.
  [[nodiscard]] virtual RedisServer& primary() = 0;
  [[nodiscard]] virtual RedisServer& replica() = 0;

  /// Finds out which primary has which key.
  [[nodiscard]] Result<void> learn(std::vector<std::string> names);
  [[nodiscard]] bool at_primary(std::size_t key) const { return homes_[key] == 0; }
  [[nodiscard]] Result<void> set(std::size_t key, std::string_view value);

  /// From now on no announcement is missed.
  [[nodiscard]] virtual Result<void> listen() { return {}; }
  /// What the replica has of the killed primary's keys: all that it could get, and nothing that is written to itself.
  [[nodiscard]] Result<StoredValues> held_by_replica();

  /// When the store said that the replica is the primary.
  struct Announced {
    TimePoint first{};  // the first server that clients ask
    TimePoint last{};   // the last one
  };
  [[nodiscard]] Result<Announced> replaced(Duration limit);
  /// What the primaries have.
  [[nodiscard]] Result<StoredValues> values();
  /// Nobody has anything any more, and nobody was told.
  [[nodiscard]] Result<void> forget_all();

 protected:
  ReplicatedStore() = default;

 private:
  /// As they are now: the first one is the one that is killed, or what has taken its place.
  [[nodiscard]] virtual std::vector<RedisServer*> primaries() = 0;
  /// How many servers tell clients who is a primary, and whether one of them has said that the replica is.
  [[nodiscard]] virtual std::size_t announcers() const = 0;
  [[nodiscard]] virtual Result<bool> announces(std::size_t announcer) = 0;
  [[nodiscard]] Result<std::string> get(RedisClient& client, std::size_t key) const;

  std::vector<std::string> names_;
  std::vector<std::size_t> homes_;  // in primaries()
};

}  // namespace nearlane::harness
