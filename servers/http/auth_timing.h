// AuthTiming: what a check of an API key costs, and whether the time that it takes tells anything of the key.
//
// Constant time cannot be seen in a mean, so samples of two classes of keys are taken in random order, one after the
// other, and Welch's t says whether their times differ by more than chance: of two equal distributions |t| is above 5 once
// in a million times, whatever else the machine does, since that meets both classes. A t above kTelling is a leak. What is seen
// grows with the root of the number of samples; that enough are taken is shown by a comparison that stops at the
// first wrong byte, which the same test must find out.
//
// Units:     nanoseconds; t has none.
// Threads:   plain functions, for tests and measurements.
// Cost:      some microseconds a sample.
// Source:    Reparaz, Balasch, Verbauwhede, Dude, is my code constant time?, DATE 2017, and its program dudect: the
//            threshold, samples in random order, the longest ones left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "servers/http/api_keys.h"

namespace nearlane::http {

/// What dudect takes as "probably not constant time".
inline constexpr double kTelling = 10;

/// Times of one class against those of another; its sign says which is longer.
[[nodiscard]] double welch_t(const std::vector<double>& first, const std::vector<double>& second);

/// So many random keys of 32 hexadecimal digits.
[[nodiscard]] std::vector<std::string> random_keys(std::size_t count, std::uint64_t seed);

class AuthTiming {
 public:
  /// Precondition: two keys at least, all of one length.
  AuthTiming(std::vector<std::string> keys, std::size_t samples, std::uint64_t seed);

  /// Of a credential that this connection has not shown yet; mean of all keys.
  [[nodiscard]] double first_ns() const;
  /// Of the one that it was let in with last.
  [[nodiscard]] double remembered_ns() const;

  /// |t| between keys whose first and whose last byte is wrong, where another one was accepted before.
  [[nodiscard]] double t_of_position() const;
  /// The same of reading a request with such a key, by a reader whose last one had the right key (fast_request.h).
  [[nodiscard]] double t_of_reading() const;
  /// |t| between right keys: the one that is compared first, and last.
  [[nodiscard]] double t_of_key() const;
  /// As t_of_position, of a comparison that stops at the first wrong byte: what a leak looks like.
  [[nodiscard]] double t_of_early_exit() const;

 private:
  using Check = std::function<bool(std::string_view)>;
  /// |t| between times of `check` of `first` and of `second`.
  [[nodiscard]] double compare(const std::string& first, const std::string& second,
                               const Check& check) const;
  [[nodiscard]] std::string wrong_at(std::size_t position) const;

  std::vector<std::string> texts_;
  ApiKeys keys_;
  std::size_t samples_;
  std::uint64_t seed_;
};

}  // namespace nearlane::http
