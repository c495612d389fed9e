// World: what the instances of one schedule share: the clock, chance, the store and its history,
// and the network between them.
//
// A connection delivers each direction's bytes in order, cut anywhere, each piece after a delay of
// its own. It can be stalled, can end with or without what was on its way, and can go deaf in either
// direction without anybody being told (half-open). What an owner had sent before it gave a
// connection up still arrives at the store.
//
// Threads:   one owner.
// Lifetime:  connections stay until the schedule ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/tier/sim/history.h"
#include "core/tier/sim/model_redis.h"
#include "core/tier/sim/mutant.h"
#include "core/tier/sim/pipe.h"
#include "core/tier/sim/random.h"

namespace nearlane::sim {

/// Short, so that a schedule that outlives several leases has few ticks: what matters is how delays
/// compare to it.
inline constexpr Duration kLease = std::chrono::milliseconds(50);

/// Whoever reads from a connection.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual void received(std::string_view bytes) = 0;
  virtual void ended() = 0;
};

struct Connection {
  ModelRedis::Client client;
  Reader* owner;  // null once it was given up
  Pipe to_server = {};
  Pipe to_client = {};
  TimePoint ends = kForever;  // when the owner is told that it has ended
};

class World {
 public:
  World(std::uint64_t seed, const std::vector<ModelRedis::Name>& keys, Mutant planted,
        ModelRedis::Form form = ModelRedis::Form::proper);

  /// How long some bytes take: mostly far less than a lease, at times about as long, rarely longer.
  [[nodiscard]] Duration delay() noexcept;

  /// Runs `task` so long from now, unless the schedule has ended.
  void after(Duration delay, std::function<void()> task);

  Connection& connect(Reader& owner);
  void send(Connection& connection, std::string_view bytes);
  void give_up(Connection& connection) noexcept;

  // What befalls the network.
  void cut(Connection& connection);
  void deafen(Connection& connection);
  void stall(Connection& connection);
  void fail_over();
  /// Nobody answers for a while, and connections end.
  void go_away();
  /// From now on nothing takes long, and the store is there.
  void heal() noexcept;

  /// When the next bytes arrive or the store does something by itself.
  [[nodiscard]] TimePoint next() const noexcept;
  /// Does what next() announced, for `now`.
  void advance();
  /// Hands what the store has to say to the network.
  void collect();
  [[nodiscard]] bool quiet() const noexcept;

  /// Part of what a replay must repeat.
  void record(std::uint64_t what) noexcept;

  Random random;
  TimePoint now{std::chrono::seconds(1000)};
  const Mutant mutant;
  History history;
  ModelRedis redis;
  std::vector<std::unique_ptr<Connection>> connections;
  TimePoint down_until = TimePoint::min();  // nobody listens
  std::uint64_t digest = 0;
  std::uint64_t arrivals = 0;   // of bytes at the store
  std::uint64_t instances = 0;  // so far

 private:
  void send_in_pieces(Pipe& pipe, std::string_view bytes);

  std::multimap<TimePoint, std::function<void()>> tasks_;
  std::uint32_t rough_;  // a piece in so many takes long; 0: none
  TimePoint turn_ends_ = kForever;
};

}  // namespace nearlane::sim
