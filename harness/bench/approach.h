// The three ways to keep sessions, behind one door: a map in each instance, a shared Redis, Nearlane.
//
// Errors:   in the answer. Threads: one. Lifetime: an answer's value is valid until the next call.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "harness/bench/caller.h"

namespace nearlane::harness {

class Approach {
 public:
  virtual ~Approach() = default;
  [[nodiscard]] virtual std::size_t instances() const = 0;
  [[nodiscard]] virtual Answer call(std::size_t instance, const Request& request) = 0;
};

/// Sticky sessions: what one instance stores no other one has.
class LocalMaps final : public Approach {
 public:
  explicit LocalMaps(std::size_t instances) : maps_(instances) {}

  [[nodiscard]] std::size_t instances() const override { return maps_.size(); }
  [[nodiscard]] Answer call(std::size_t instance, const Request& request) override;
  /// What remains when an instance's process ends.
  void lose(std::size_t instance) { maps_.at(instance).clear(); }

 private:
  struct Kept {
    std::string value;
    TimePoint end = kForever;
  };
  std::vector<std::unordered_map<std::string, Kept>> maps_;
};

/// A server reached over the network, or several: Redis and Nearlane differ in nothing but the endpoints.
class Remote final : public Approach {
 public:
  Remote(Protocol protocol, const std::vector<Endpoint>& peers);

  [[nodiscard]] std::size_t instances() const override { return callers_.size(); }
  [[nodiscard]] Answer call(std::size_t instance, const Request& request) override {
    return callers_.at(instance).call(request);
  }

 private:
  std::deque<Caller> callers_;  // a Caller never moves: it owns a socket
};

}  // namespace nearlane::harness
