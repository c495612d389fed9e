#include "core/tier/refresh_queue.h"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace nearlane::tier {
namespace {

/// A bucket holds what comes together in so long: a burst of invalidations is answered at once, and L2 never
/// sees more than this at a time. Unit: seconds.
constexpr double kBurst = 0.1;

/// It is asked again then. Unit: seconds.
constexpr double kLongestWait = 3600;

}  // namespace

void RefreshQueue::Bucket::fill(Duration passed) noexcept {
  tokens = std::min(most, tokens + std::chrono::duration<double>(passed).count() * per_s);
}

Duration RefreshQueue::Bucket::until(double amount) const noexcept {
  if (tokens >= amount) return Duration::zero();
  const std::chrono::duration<double> wait(std::min((amount - tokens) / per_s, kLongestWait));
  return std::chrono::duration_cast<Duration>(wait) + Duration(1);
}

void RefreshQueue::fill(TimePoint now) noexcept {
  if (!filled_at_) {
    const auto full = [](std::uint64_t per_s) {
      const auto rate = static_cast<double>(per_s);
      const double most = std::max(1.0, rate * kBurst);
      return Bucket{.tokens = most, .per_s = rate, .most = most};
    };
    reads_ = full(limits_.reads_per_s);
    bytes_ = full(limits_.bytes_per_s);
    filled_at_ = now;
  }
  const Duration passed = now - *filled_at_;
  if (passed <= Duration::zero()) return;
  reads_.fill(passed);
  bytes_.fill(passed);
  filled_at_ = now;
}

Wanted RefreshQueue::take_out(Places::iterator place) noexcept {
  auto node = places_.extract(place);
  by_key_.erase(node.mapped().key);
  waiting_for_[static_cast<std::size_t>(node.mapped().why)].fetch_sub(1, std::memory_order_relaxed);
  waiting_.store(places_.size(), std::memory_order_relaxed);
  return std::move(node.mapped());
}

bool RefreshQueue::welcomes(std::uint8_t unused, float worth) {
  if (waiting() < limits_.most_waiting) return true;
  const std::lock_guard lock(mutex_);
  if (places_.empty()) return true;
  // Among equals the first may stay, or a walk over many would put each in the place of the one before.
  const auto& [most_unused, least_worth, when] = std::prev(places_.end())->first;
  return std::pair(unused, -worth) < std::pair(most_unused, least_worth);
}

bool RefreshQueue::want(Wanted wanted) {
  if (limits_.reads_per_s == 0 || limits_.most_waiting == 0) return false;
  if (wanted.key.name.size() > kMostNameBytes) return false;
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(wanted.key); found != by_key_.end()) {
    const Wanted& before = found->second->second;
    if (before.epoch == wanted.epoch) wanted.unused = std::min(wanted.unused, before.unused);
    take_out(found->second);
  }
  const Rank rank(wanted.unused, -wanted.worth, latest_--);
  Key key = wanted.key;
  waiting_for_[static_cast<std::size_t>(wanted.why)].fetch_add(1, std::memory_order_relaxed);
  const auto place = places_.emplace(rank, std::move(wanted)).first;
  by_key_.emplace(std::move(key), place);
  const bool full = places_.size() > limits_.most_waiting;
  if (full) take_out(std::prev(places_.end()));
  waiting_.store(places_.size(), std::memory_order_relaxed);
  return !full;
}

void RefreshQueue::cancel(const KeyRef& key) noexcept {
  if (waiting() == 0) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) take_out(found->second);
}

std::size_t RefreshQueue::cancel_all(Unasked why) noexcept {
  const std::lock_guard lock(mutex_);
  std::size_t cancelled = 0;
  for (auto place = places_.begin(); place != places_.end();) {
    const auto next = std::next(place);
    if (place->second.why == why) {
      take_out(place);
      ++cancelled;
    }
    place = next;
  }
  return cancelled;
}

void RefreshQueue::refund() noexcept {
  const std::lock_guard lock(mutex_);
  reads_.tokens = std::min(reads_.most, reads_.tokens + 1);
}

std::optional<Wanted> RefreshQueue::take(TimePoint now) {
  if (waiting() == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  fill(now);
  if (places_.empty() || reads_.tokens < 1 || bytes_.tokens < 0) return std::nullopt;
  reads_.tokens -= 1;
  return take_out(places_.begin());
}

TimePoint RefreshQueue::next(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (places_.empty()) return kForever;
  fill(now);
  return now + std::max(reads_.until(1), bytes_.until(0));
}

void RefreshQueue::charge(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  bytes_.tokens -= static_cast<double>(bytes);
}

}  // namespace nearlane::tier
