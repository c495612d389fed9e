// The statistics of the gate: pure functions over numbers, so that a verdict can be made again from what was recorded.
//
// Units:    ratios are natural logarithms, head by base: 0.05 is 5 % more (to within a tenth of it).
// Errors:   none; what a function needs is said with it.
// Threads:  any.
// Cost:     resampled: count × blocks draws and sorts.
// Source:   Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval);
//           Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/workload/random.h"

namespace nearlane::gate {

/// What is cut off at either end before the mean is taken: an undisturbed block has a nearly normal ratio, for which the
/// median wastes a third of the blocks; one block in five that is far off still moves nothing.
inline constexpr double kTrimmed = 0.2;

/// Precondition: not empty.
[[nodiscard]] double median(std::vector<double> values);
/// The mean of what is left when kTrimmed of the values have been cut off at either end. Precondition: not empty.
[[nodiscard]] double trimmed_mean(std::vector<double> values);

/// The trimmed means of `count` samples of `size`, drawn from `values` with replacement; sorted. Precondition: not empty.
[[nodiscard]] std::vector<double> resampled(std::span<const double> values, std::size_t size,
                                            std::size_t count, harness::Random& random);
/// The value below which the fraction lies. Precondition: sorted and not empty.
[[nodiscard]] double quantile(std::span<const double> sorted, double fraction);
/// How likely the resampled values are not above `limit`, never 0: (1 + so many) / (1 + all).
[[nodiscard]] double share_up_to(std::span<const double> sorted, double limit);

/// Which of several hypotheses are rejected, so that the chance of rejecting any true one is at most `alpha`.
[[nodiscard]] std::vector<bool> holm(std::span<const double> p_values, double alpha);

}  // namespace nearlane::gate
