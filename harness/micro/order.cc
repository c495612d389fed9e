#include "harness/micro/order.h"

#include <algorithm>

#include "harness/workload/random.h"

namespace nearlane::micro {
namespace {

/// Exponent of the Zipf rows, YCSB's.
constexpr double kTheta = 0.99;
constexpr std::uint64_t kSeed = 42;
/// A prime that divides no number of keys in use, so that multiplying by it permutes them: which keys are
/// hot has nothing to do with the order in which they were put, that is, with where they lie.
constexpr std::uint64_t kScatter = 2654435761;

}  // namespace

Name name_of(std::uint64_t key) {
  static constexpr std::string_view kPrefix = "session:";
  static constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
  Name name{};
  std::ranges::copy(kPrefix, name.bytes.begin());
  std::uint64_t bits =
      harness::mix64(key);  // a bijection, and thirteen digits of five bits hold it
  for (std::size_t i = kPrefix.size(); i < kNameBytes; ++i, bits >>= 5U) {
    name.bytes[i] = kDigits[bits & 31U];
  }
  return name;
}

Order::Order(std::uint64_t key_count, bool zipf) : keys(key_count) {
  harness::Random random(kSeed);
  const harness::Zipf ranks(keys, kTheta);
  names.reserve(kDraws);
  for (std::size_t i = 0; i < kDraws; ++i) {
    names.push_back(name_of(zipf ? ranks(random) * kScatter % keys : random.below(keys)));
  }
}

}  // namespace nearlane::micro
