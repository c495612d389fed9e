// ConnectRate: how fast one process connects to each node.
//
// All connections are lost in the same moment where a master is switched or a balancer in between is cut, here and in
// every other instance. A bucket a node lets a few back at once, and the others one after the other, so that together
// they do not overrun the node's backlog, nor the one thread that has to greet them.
//
// Units:     time on the monotonic clock.
// Threads:   any.
// Cost:      a lock an attempt.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "core/base/clock.h"

namespace nearlane::l2 {

class ConnectRate {
 public:
  /// So many at once: 50 instances stay below a backlog of 511 together.
  static constexpr int kAtOnce = 8;
  /// And one each time that this has passed: the 40 connections of an instance take a sixth of a second at least.
  static constexpr Duration kOneEvery = std::chrono::milliseconds(5);

  /// Whether a connection to `server` may be made now, which is then counted.
  [[nodiscard]] bool take(const std::string& server, TimePoint now);

 private:
  std::mutex mutex_;
  std::map<std::string, TimePoint>
      full_at_;  // when each bucket is full again; those that are have no place here
};

}  // namespace nearlane::l2
