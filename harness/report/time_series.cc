#include "harness/report/time_series.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "harness/report/result.h"

namespace nearlane::harness {
namespace {

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Of sorted times; nothing where too few lie beyond it.
std::optional<double> quantile(const std::vector<Duration>& sorted, double q) {
  if (!enough_beyond(static_cast<double>(sorted.size()), q)) return std::nullopt;
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1].count());
}

}  // namespace

TimeSeriesRecorder::Recorded* TimeSeriesRecorder::second_of(TimePoint due) {
  if (due < start_) return nullptr;
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(due - start_).count();
  const auto index = std::min(static_cast<std::size_t>(second), kMostSeconds - 1);
  if (seconds_.size() <= index) seconds_.resize(index + 1);
  return &seconds_[index];
}

void TimeSeriesRecorder::answered(TimePoint due, Duration response) {
  if (Recorded* second = second_of(due)) second->responses.push_back(response);
}

void TimeSeriesRecorder::failed(TimePoint due) {
  if (Recorded* second = second_of(due)) ++second->failed;
}

void TimeSeriesRecorder::fault(std::string what, TimePoint from, TimePoint to) {
  faults_.push_back({std::move(what), seconds_of(from - start_), seconds_of(to - start_)});
}

TimeSeries TimeSeriesRecorder::series() const {
  TimeSeries series{.faults = faults_};
  for (const Recorded& recorded : seconds_) {
    Second& second = series.seconds.emplace_back();
    second.answered = recorded.responses.size();
    second.failed = recorded.failed;
    if (recorded.responses.empty()) continue;
    auto sorted = recorded.responses;
    std::ranges::sort(sorted);
    second.p50_ns = quantile(sorted, 0.5);
    second.p99_ns = quantile(sorted, 0.99);
    second.max_ns = static_cast<double>(sorted.back().count());
  }
  return series;
}

}  // namespace nearlane::harness
