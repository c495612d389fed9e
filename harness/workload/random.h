// Seeded random numbers whose sequence is ours, so that a seed means the same with every standard
// library.
//
// Threads:  one. Cost: a few ns a draw; Zipf about two logarithms and an exponential.
// Source:   splitmix64 (Steele, Lea, Flood, OOPSLA 2014); rejection-inversion for Zipf (Hörmann and
//           Derflinger, "Rejection-inversion to generate variates from monotone discrete
//           distributions", TOMACS 1996).
#pragma once

#include <cmath>
#include <cstdint>

namespace nearlane::harness {

/// A bijection of 64 bits that looks random: turns a counter or a rank into a name.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(mix64(seed)) {}

  std::uint64_t next() noexcept {
    const auto drawn = mix64(state_);
    state_ += 0x9e3779b97f4a7c15U;
    return drawn;
  }
  /// Uniform in [0, 1).
  double real() noexcept { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  /// Uniform in [0, bound); bound at least 1. The bias is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) noexcept {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64U);
  }
  /// Exponential with this mean: the gaps of a Poisson process.
  double exponential(double mean) noexcept { return -mean * std::log1p(-real()); }
  double normal() noexcept {
    const double radius = std::sqrt(-2 * std::log1p(-real()));
    return radius * std::cos(6.283185307179586 * real());
  }
  double lognormal(double median, double sigma) noexcept {
    return median * std::exp(sigma * normal());
  }

 private:
  std::uint64_t state_;
};

/// Ranks 0 to count-1, rank r with a probability proportional to 1 / (r + 1)^theta; theta above 0.
class Zipf {
 public:
  Zipf(std::uint64_t count, double theta) noexcept
      : theta_(theta),
        low_(integral(1.5) - 1),
        high_(integral(static_cast<double>(count) + 0.5)),
        accept_(2 - inverse(integral(2.5) - weight(2))),
        count_(count) {}

  std::uint64_t operator()(Random& random) const noexcept {
    for (;;) {
      const double u = high_ + random.real() * (low_ - high_);
      const double x = inverse(u);
      double k = std::floor(x + 0.5);
      if (k < 1) k = 1;
      if (k > static_cast<double>(count_)) k = static_cast<double>(count_);
      if (k - x <= accept_ || u >= integral(k + 0.5) - weight(k)) {
        return static_cast<std::uint64_t>(k) - 1;
      }
    }
  }

 private:
  [[nodiscard]] double weight(double x) const noexcept { return std::exp(-theta_ * std::log(x)); }
  // (x^(1-theta) - 1) / (1-theta) and its inverse, both continuous through theta = 1.
  [[nodiscard]] double integral(double x) const noexcept {
    const double log_x = std::log(x);
    const double t = (1 - theta_) * log_x;
    return (std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2) * log_x;
  }
  [[nodiscard]] double inverse(double x) const noexcept {
    double t = x * (1 - theta_);
    if (t < -1) t = -1;
    return std::exp((std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2) * x);
  }

  double theta_;
  double low_;
  double high_;
  double accept_;
  std::uint64_t count_;
};

}  // namespace nearlane::harness
