#include "core/base/histogram.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace nearlane {
namespace {

using histogram_cells::highest;
using histogram_cells::index;
using histogram_cells::kCount;
using histogram_cells::kHighest;
using histogram_cells::lowest;

std::uint64_t nanoseconds(Duration value) noexcept {
  return value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count());
}

/// Takes `name` and the number behind it off the front of `text`.
bool take(std::string_view& text, std::string_view name, std::uint64_t& value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

Error unreadable(std::string_view rest) {
  return {Errc::protocol, fmt::format("histogram: cannot read \"{}\"", rest.substr(0, 40))};
}

}  // namespace

void Histogram::record_n(Duration value, std::uint64_t times) noexcept {
  if (times == 0) return;
  const std::uint64_t asked = nanoseconds(value);
  const std::uint64_t ns = std::min(asked, kHighest);
  if (asked > kHighest) saturated_ += times;
  cells_[index(ns)] += times;
  count_ += times;
  sum_ += ns * times;
  min_ = std::min(min_, ns);
  max_ = std::max(max_, ns);
}

void Histogram::merge(const Histogram& other) noexcept {
  if (other.empty()) return;
  for (std::size_t cell = index(other.min_); cell <= index(other.max_); ++cell) {
    cells_[cell] += other.cells_[cell];
  }
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  saturated_ += other.saturated_;
}

Histogram Histogram::since(const Histogram& earlier) const {
  Histogram later;
  for (std::size_t cell = 0; cell < kCount; ++cell) {
    if (cells_[cell] <= earlier.cells_[cell]) continue;
    const std::uint64_t times = cells_[cell] - earlier.cells_[cell];
    later.cells_[cell] = times;
    later.count_ += times;
    later.min_ = std::min(later.min_, std::max(lowest(cell), min_));
    later.max_ = std::min(highest(cell), max_);
  }
  later.sum_ = sum_ - std::min(sum_, earlier.sum_);
  later.saturated_ = saturated_ - std::min(saturated_, earlier.saturated_);
  return later;
}

void Histogram::clear() noexcept {
  std::fill(cells_.begin(), cells_.end(), 0);
  count_ = sum_ = max_ = saturated_ = 0;
  min_ = kHighest;
}

Duration Histogram::min() const noexcept {
  return Duration(empty() ? 0 : static_cast<std::int64_t>(min_));
}

double Histogram::mean_ns() const noexcept {
  return empty() ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

Duration Histogram::quantile(double q) const noexcept {
  if (empty()) return Duration::zero();
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t cell = index(min_); cell <= index(max_); ++cell) {
    seen += cells_[cell];
    if (seen >= rank) return Duration(static_cast<std::int64_t>(std::min(highest(cell), max_)));
  }
  return max();
}

std::string Histogram::to_text() const {
  auto text = fmt::format("min={} max={} sum={} saturated={} cells=", min().count(), max_, sum_,
                          saturated_);
  bool first = true;
  for (std::size_t cell = 0; cell < kCount; ++cell) {
    if (cells_[cell] == 0) continue;
    fmt::format_to(std::back_inserter(text), "{}{}:{}", first ? "" : ",", lowest(cell),
                   cells_[cell]);
    first = false;
  }
  return text;
}

Result<Histogram> Histogram::from_text(std::string_view text) {
  Histogram read;
  std::uint64_t least = 0;
  std::string_view rest = text;
  if (!take(rest, "min=", least) || !take(rest, " max=", read.max_) ||
      !take(rest, " sum=", read.sum_) || !take(rest, " saturated=", read.saturated_) ||
      !rest.starts_with(" cells=")) {
    return unreadable(rest);
  }
  rest.remove_prefix(std::string_view(" cells=").size());
  if (least > read.max_ || read.max_ > kHighest) return unreadable(text);
  std::size_t first = kCount;
  std::size_t last = 0;
  while (!rest.empty()) {
    const std::string_view pair = rest;
    std::uint64_t ns = 0;
    std::uint64_t times = 0;
    const std::string_view before = read.count_ == 0 ? "" : ",";
    if (!take(rest, before, ns) || !take(rest, ":", times)) return unreadable(pair);
    if (ns > kHighest || times == 0 || lowest(index(ns)) != ns) return unreadable(pair);
    const std::size_t cell = index(ns);
    if (read.count_ != 0 && cell <= last) return unreadable(pair);  // each cell once, ascending
    if (times > UINT64_MAX - read.count_) return unreadable(pair);
    first = std::min(first, cell);
    last = cell;
    read.cells_[cell] = times;
    read.count_ += times;
  }
  const bool agrees = read.count_ == 0 ? read.max_ == 0 && read.sum_ == 0 && read.saturated_ == 0
                                       : first == index(least) && last == index(read.max_);
  if (!agrees) return unreadable(text);
  if (read.count_ != 0) read.min_ = least;
  return read;
}

std::uint64_t Histogram::count_at_most(Duration value) const noexcept {
  const std::size_t end = index(std::min(nanoseconds(value), kHighest)) + 1;
  std::uint64_t count = 0;
  for (std::size_t cell = 0; cell < end; ++cell) count += cells_[cell];
  return count;
}

void AtomicHistogram::record_n(Duration value, std::uint64_t times) noexcept {
  if (times == 0) return;
  const std::uint64_t asked = nanoseconds(value);
  const std::uint64_t ns = std::min(asked, kHighest);
  add((*cells_)[index(ns)], times);
  add(sum_, ns * times);
  if (ns < min_.load(std::memory_order_relaxed)) min_.store(ns, std::memory_order_relaxed);
  if (ns > max_.load(std::memory_order_relaxed)) max_.store(ns, std::memory_order_relaxed);
  if (asked > kHighest) add(saturated_, times);
}

Histogram AtomicHistogram::snapshot() const {
  Histogram copy;
  std::size_t first = kCount;
  std::size_t last = 0;
  for (std::size_t cell = 0; cell < kCount; ++cell) {
    const std::uint64_t times = (*cells_)[cell].load(std::memory_order_relaxed);
    if (times == 0) continue;
    copy.cells_[cell] = times;
    copy.count_ += times;
    first = std::min(first, cell);
    last = cell;
  }
  if (copy.empty()) return copy;
  copy.sum_ = sum_.load(std::memory_order_relaxed);
  copy.saturated_ = saturated_.load(std::memory_order_relaxed);
  // The words beside the cells may belong to a recording that the walk had already passed: min and
  // max must lie in the first and last cell that it saw, because merge and quantile walk from one
  // to the other.
  copy.min_ = std::clamp(min_.load(std::memory_order_relaxed), lowest(first), highest(first));
  copy.max_ = std::clamp(max_.load(std::memory_order_relaxed), lowest(last),
                         std::min(highest(last), kHighest));
  return copy;
}

}  // namespace nearlane
