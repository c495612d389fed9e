// Rotation: which of several instances a balancer sends requests to, as their /readyz says.
//
// Threads:  one of its own, which asks them all in turn; has() from any thread.
// Lifetime: the destructor joins that thread.
// Cost:     one connection and one small page an instance and period.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class Rotation {
 public:
  /// All are in it at first.
  Rotation(std::vector<Endpoint> http, Duration every);

  [[nodiscard]] bool has(std::size_t instance) const noexcept { return in_[instance].load(); }
  /// Until has() says so. False: it did not in time.
  [[nodiscard]] bool wait(std::size_t instance, bool in, Duration limit) const;

 private:
  void ask(const std::stop_token& stop);

  const std::vector<Endpoint> http_;
  const Duration every_;
  const std::unique_ptr<std::atomic<bool>[]> in_;
  std::jthread asking_;  // last: it uses all of the above
};

}  // namespace nearlane::harness
