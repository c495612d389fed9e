// Sentinels: what all sentinels of one master say of it, and which of them is believed.
//
// They do not learn of a switch in the same moment, and one that is cut off from the others may not learn of it for long.
// Each switch has a higher epoch than the one before, so whoever names the highest is believed. Among those who name the
// same one, or may not say, the address that most of them name; where it is as many, whoever has changed its mind last.
// What a sentinel said counts for kCounts, whether or not it is there to repeat it: that one which has not heard of the
// switch outlives one that has must not undo it.
//
// Units:     time on the monotonic clock.
// Threads:   one owner.
// Lifetime:  the route outlives it.
// Cost:      as many steps as there are sentinels, for each answer.
// Source:    Redis, "High availability with Redis Sentinel", configuration epochs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/l2/redis/redis_url.h"
#include "core/l2/redis/route.h"

namespace nearlane::l2 {

class Sentinels {
 public:
  /// A sentinel needs two seconds to hear of a switch from others, and eight to impose its own view on a master that they
  /// have made: what it says after that is so. And sentinels that were set up anew begin with epoch 0.
  static constexpr Duration kCounts = std::chrono::seconds(10);

  /// Moves `route`, whose URL names them.
  explicit Sentinels(Route& route);

  [[nodiscard]] const RedisUrl& url() const noexcept { return route_.url(); }

  /// The `which`th of the URL says that the master is there, since the switch of that epoch.
  void tell(std::size_t which, std::uint64_t epoch, Endpoint master, TimePoint now);
  /// It is of no use for now. Once all are, those who wait are told that nobody knows.
  void give_up(std::size_t which, const std::string& why);
  /// How often somebody has doubted that the master is where they say. Grows.
  [[nodiscard]] std::uint64_t doubts() noexcept;

 private:
  struct Said {
    Endpoint master = {};
    std::uint64_t epoch = 0;
    TimePoint changed = TimePoint::min();  // min(): it has said nothing else before
    TimePoint last = TimePoint::min();     // min(): it has said nothing
    bool useless = false;                  // since then
  };

  [[nodiscard]] const Endpoint& believed(TimePoint now) const;

  Route& route_;
  std::vector<Said> said_;
  std::uint64_t doubts_ = 0;
};

}  // namespace nearlane::l2
