// Durations counted in log-linear cells, so that any quantile can be asked later and two recordings
// add up.
//
// Units:    nanoseconds, 0 to 60 s. What is longer is counted as 60 s and in saturated(); a
// negative
//           duration counts as 0.
// Errors:   three significant digits: a quantile is at most 1/1024 above the value that was
// recorded,
//           never below it.
// Threads:  Histogram belongs to one thread. AtomicHistogram has one writer, any number of readers.
// Lifetime: all memory (about 220 KiB) is allocated in the constructor, none later.
// Cost:     record: one cell and four words, a few ns, no allocation. quantile, merge: a walk over
// the
//           cells between min and max.
// Source:   the cells of HdrHistogram (Gil Tene): 2048 of width 1, then 1024 to each power of two.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace nearlane {

namespace histogram_cells {

inline constexpr std::uint64_t kHighest = 60'000'000'000;  // ns: no wait of ours is longer

/// The cell of a value. Below 2048 each value has its own; above, the eleven leading bits name it.
[[nodiscard]] constexpr std::size_t index(std::uint64_t ns) noexcept {
  const auto shift = static_cast<std::size_t>(std::bit_width(ns | 2047U)) - 11;
  return shift * 1024 + static_cast<std::size_t>(ns >> shift);
}
[[nodiscard]] constexpr std::uint64_t lowest(std::size_t cell) noexcept {
  if (cell < 2048) return cell;
  const std::size_t shift = cell / 1024 - 1;
  return std::uint64_t{cell - shift * 1024} << shift;
}
[[nodiscard]] constexpr std::uint64_t highest(std::size_t cell) noexcept {
  return lowest(cell + 1) - 1;
}

inline constexpr std::size_t kCount = index(kHighest) + 1;

}  // namespace histogram_cells

class Histogram {
 public:
  Histogram() : cells_(histogram_cells::kCount) {}

  void record(Duration value) noexcept { record_n(value, 1); }
  void record_n(Duration value, std::uint64_t times) noexcept;
  /// Afterwards this is what one histogram of both recordings would have been.
  void merge(const Histogram& other) noexcept;
  /// What was recorded after `earlier`, an older copy of this one. Its min and max are known to a cell.
  [[nodiscard]] Histogram since(const Histogram& earlier) const;
  void clear() noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::uint64_t saturated() const noexcept { return saturated_; }
  /// Zero when nothing was recorded, as are max and mean.
  [[nodiscard]] Duration min() const noexcept;
  [[nodiscard]] Duration max() const noexcept { return Duration(static_cast<std::int64_t>(max_)); }
  [[nodiscard]] double mean_ns() const noexcept;
  /// The value that a share `q` (0 to 1) of the recordings does not exceed; q = 0 is the smallest.
  [[nodiscard]] Duration quantile(double q) const noexcept;
  /// How many recordings lie in cells up to that of `value`.
  [[nodiscard]] std::uint64_t count_at_most(Duration value) const noexcept;

  /// "min=5 max=9 sum=23 saturated=0 cells=5:1,9:2": each cell by its lowest value in ns and its
  /// count.
  [[nodiscard]] std::string to_text() const;
  /// Errors: protocol, naming what could not be read.
  [[nodiscard]] static Result<Histogram> from_text(std::string_view text);

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  friend class AtomicHistogram;

  std::vector<std::uint64_t> cells_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = histogram_cells::kHighest;
  std::uint64_t max_ = 0;
  std::uint64_t saturated_ = 0;
};

/// The same for one thread that records while others look on, such as an event loop and /stats.
class AtomicHistogram {
 public:
  AtomicHistogram() : cells_(std::make_unique<Cells>()) {}

  /// Only ever called by one thread.
  void record(Duration value) noexcept { record_n(value, 1); }
  void record_n(Duration value, std::uint64_t times) noexcept;
  /// What had been recorded at some moment during the call, give or take the recordings under way.
  [[nodiscard]] Histogram snapshot() const;

 private:
  using Cell = std::atomic<std::uint64_t>;
  using Cells = std::array<Cell, histogram_cells::kCount>;

  static void add(Cell& cell, std::uint64_t amount) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  std::unique_ptr<Cells> cells_;
  Cell sum_{0};
  Cell min_{histogram_cells::kHighest};
  Cell max_{0};
  Cell saturated_{0};
};

}  // namespace nearlane
