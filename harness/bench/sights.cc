#include "harness/bench/sights.h"

#include <algorithm>

namespace nearlane::harness {

void Sights::each(TimePoint from, TimePoint to,
                  const std::function<void(const Seen&)>& visit) const {
  const auto first = std::ranges::lower_bound(all_, from, {}, &Seen::at);
  for (auto seen = first; seen != all_.end() && seen->at < to; ++seen) visit(*seen);
}

std::optional<double> Sights::l1_share(std::size_t instance, TimePoint from, TimePoint to) const {
  std::size_t hits = 0;
  std::size_t values = 0;
  each(from, to, [&](const Seen& seen) {
    if (instance != kAll && seen.instance != instance) return;
    if (seen.outcome != Outcome::hit_l1 && seen.outcome != Outcome::hit_l2) return;
    ++values;
    hits += seen.outcome == Outcome::hit_l1 ? 1 : 0;
  });
  if (values < kFewest) return std::nullopt;
  return static_cast<double>(hits) / static_cast<double>(values);
}

std::optional<Duration> Sights::back_after(std::size_t instance, TimePoint from,
                                           double wanted) const {
  if (all_.empty()) return std::nullopt;
  for (TimePoint begin = from; begin + kWindow <= all_.back().at; begin += kStep) {
    const auto share = l1_share(instance, begin, begin + kWindow);
    if (share && *share >= wanted) return begin + kWindow - from;
  }
  return std::nullopt;
}

std::size_t Sights::lost(std::size_t instance, TimePoint from, TimePoint to) const {
  std::size_t count = 0;
  each(from, to, [&](const Seen& seen) {
    count += seen.failure == Failure::lost && (instance == kAll || seen.instance == instance);
  });
  return count;
}

Histogram Sights::response(TimePoint from, TimePoint to) const {
  Histogram times;
  each(from, to, [&](const Seen& seen) {
    if (seen.failure == Failure::none) times.record(seen.response);
  });
  return times;
}

}  // namespace nearlane::harness
