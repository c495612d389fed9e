#include "harness/bench/rotation.h"

#include <utility>

#include "harness/bench/server_stats.h"

namespace nearlane::harness {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(5);

}  // namespace

Rotation::Rotation(std::vector<Endpoint> http, Duration every)
    : http_(std::move(http)),
      every_(every),
      in_(std::make_unique<std::atomic<bool>[]>(http_.size())) {
  for (std::size_t i = 0; i < http_.size(); ++i) in_[i] = true;
  asking_ = std::jthread([this](const std::stop_token& stop) { ask(stop); });
}

void Rotation::ask(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    for (std::size_t i = 0; i < http_.size(); ++i)
      in_[i] = http_get(http_[i], "/readyz").has_value();
    std::this_thread::sleep_for(every_);
  }
}

bool Rotation::wait(std::size_t instance, bool in, Duration limit) const {
  for (const TimePoint end = Clock::now() + limit; has(instance) != in;) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

}  // namespace nearlane::harness
