#include "servers/http/auth_timing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "core/base/clock.h"
#include "servers/http/fast_request.h"

namespace nearlane::http {
namespace {

constexpr std::size_t kKeyDigits = 32;
/// Before any sample counts.
constexpr std::size_t kWarmUp = 1000;
/// The longest samples are interrupts, and would hide everything else. Unit: share of all that is kept.
constexpr double kKept = 0.9;
/// Checks between two readings of the clock, where only their mean is asked for.
constexpr std::size_t kBatch = 1000;

/// Forces `value` to be computed.
void keep(bool value) noexcept { asm volatile("" : : "r"(value) : "memory"); }

/// A leak, for comparison.
[[gnu::noinline]] bool stops_at_first_difference(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

struct Moments {
  double mean = 0;
  double variance_of_mean = 0;
};

Moments moments_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .variance_of_mean = squares / (count - 1) / count};
}

template <class Op>
double mean_ns(std::size_t count, Op&& op) {
  std::vector<double> batches;
  for (std::size_t done = 0; done < count; done += kBatch) {
    const TimePoint begin = Clock::now();
    for (std::size_t i = 0; i < kBatch; ++i) op(i);
    batches.push_back(static_cast<double>((Clock::now() - begin).count()) / kBatch);
  }
  // A disturbance only ever adds.
  const auto middle = batches.begin() + static_cast<std::ptrdiff_t>(batches.size() / 2);
  std::nth_element(batches.begin(), middle, batches.end());
  return *middle;
}

}  // namespace

double welch_t(const std::vector<double>& first, const std::vector<double>& second) {
  const Moments a = moments_of(first);
  const Moments b = moments_of(second);
  const double spread = std::sqrt(a.variance_of_mean + b.variance_of_mean);
  if (spread == 0) return a.mean == b.mean ? 0 : std::copysign(HUGE_VAL, a.mean - b.mean);
  return (a.mean - b.mean) / spread;
}

std::vector<std::string> random_keys(std::size_t count, std::uint64_t seed) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::mt19937_64 random(seed);
  std::vector<std::string> keys(count);
  for (std::string& key : keys) {
    while (key.size() < kKeyDigits) key += kHex[random() % kHex.size()];
  }
  return keys;
}

AuthTiming::AuthTiming(std::vector<std::string> keys, std::size_t samples, std::uint64_t seed)
    : texts_(std::move(keys)), keys_(texts_), samples_(samples), seed_(seed) {}

double AuthTiming::first_ns() const {
  return mean_ns(samples_, [this](std::size_t i) {
    Caller caller(keys_);
    keep(caller.admitted(std::nullopt, texts_[i % texts_.size()]));
  });
}

double AuthTiming::remembered_ns() const {
  Caller caller(keys_);
  const std::string& key = texts_.back();
  keep(caller.admitted(std::nullopt, key));
  return mean_ns(samples_, [&](std::size_t) { keep(caller.admitted(std::nullopt, key)); });
}

std::string AuthTiming::wrong_at(std::size_t position) const {
  std::string key = texts_.front();
  key[position] = key[position] == '0' ? '1' : '0';
  return key;
}

double AuthTiming::compare(const std::string& first, const std::string& second,
                           const Check& check) const {
  const std::array<const std::string*, 2> classes = {&first, &second};
  std::mt19937_64 random(seed_);
  // Both lie in the same place when they are checked, so that where they come from makes no difference.
  std::string shown(first.size(), '\0');
  std::array<std::vector<double>, 2> took;
  std::vector<double> all;
  for (std::size_t sample = 0; sample < kWarmUp + samples_; ++sample) {
    const std::size_t which = random() & 1U;
    std::copy(classes[which]->begin(), classes[which]->end(), shown.begin());
    const TimePoint begin = Clock::now();
    keep(check(shown));
    const auto ns = static_cast<double>((Clock::now() - begin).count());
    if (sample < kWarmUp) continue;
    took[which].push_back(ns);
    all.push_back(ns);
  }
  const auto last =
      all.begin() + static_cast<std::ptrdiff_t>(kKept * static_cast<double>(all.size()));
  std::nth_element(all.begin(), last, all.end());
  for (auto& times : took) std::erase_if(times, [&](double ns) { return ns > *last; });
  return std::abs(welch_t(took[0], took[1]));
}

double AuthTiming::t_of_position() const {
  Caller caller(keys_);
  keep(caller.admitted(std::nullopt, texts_.front()));
  return compare(wrong_at(0), wrong_at(texts_.front().size() - 1),
                 [&](std::string_view key) { return caller.admitted(std::nullopt, key); });
}

double AuthTiming::t_of_reading() const {
  const auto request_with = [](const std::string& key) {
    return "GET /cache/a HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key + "\r\n\r\n";
  };
  const std::string right = request_with(texts_.front());
  FastReader reader;
  DecodedKey decoded;
  return compare(request_with(wrong_at(0)), request_with(wrong_at(texts_.front().size() - 1)),
                 [&](std::string_view shown) {
                   keep(reader.read(right, decoded).has_value());
                   return reader.read(shown, decoded).has_value();
                 });
}

double AuthTiming::t_of_key() const {
  return compare(texts_.front(), texts_.back(), [this](std::string_view key) {
    Caller caller(keys_);
    return caller.admitted(std::nullopt, key);
  });
}

double AuthTiming::t_of_early_exit() const {
  return compare(wrong_at(0), wrong_at(texts_.front().size() - 1), [this](std::string_view key) {
    return stops_at_first_difference(key, texts_.front());
  });
}

}  // namespace nearlane::http
