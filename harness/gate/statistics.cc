#include "harness/gate/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nearlane::gate {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double trimmed_mean(std::vector<double> values) {
  std::ranges::sort(values);
  const auto cut = static_cast<std::size_t>(kTrimmed * static_cast<double>(values.size()));
  const auto kept = std::span(values).subspan(cut, values.size() - 2 * cut);
  return std::accumulate(kept.begin(), kept.end(), 0.0) / static_cast<double>(kept.size());
}

std::vector<double> resampled(std::span<const double> values, std::size_t size, std::size_t count,
                              harness::Random& random) {
  std::vector<double> means;
  means.reserve(count);
  std::vector<double> drawn(size);
  for (std::size_t i = 0; i < count; ++i) {
    for (double& each : drawn) each = values[random.below(values.size())];
    means.push_back(trimmed_mean(drawn));
  }
  std::ranges::sort(means);
  return means;
}

double quantile(std::span<const double> sorted, double fraction) {
  return sorted[static_cast<std::size_t>(
      std::round(fraction * static_cast<double>(sorted.size() - 1)))];
}

double share_up_to(std::span<const double> sorted, double limit) {
  const auto below = std::ranges::upper_bound(sorted, limit) - sorted.begin();
  return (1 + static_cast<double>(below)) / (1 + static_cast<double>(sorted.size()));
}

std::vector<bool> holm(std::span<const double> p_values, double alpha) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<bool> rejected(p_values.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (p_values[order[i]] > alpha / static_cast<double>(order.size() - i)) break;
    rejected[order[i]] = true;
  }
  return rejected;
}

}  // namespace nearlane::gate
