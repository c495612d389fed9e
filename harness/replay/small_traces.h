// Traces for tests: written as text or bytes and read back by the real readers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/replay/request_log.h"
#include "harness/workload/random.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {

/// One record of oracleGeneral.
inline std::string oracle_record(std::uint32_t second, std::uint64_t object, std::uint32_t bytes) {
  std::string record;
  const auto put = [&record](std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) record.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(second, 4);
  put(object, 8);
  put(bytes, 4);
  put(~std::uint64_t{0}, 8);
  return record;
}

inline std::string oracle_trace(const std::vector<std::uint32_t>& keys) {
  std::string bytes;
  for (const auto key : keys) bytes += oracle_record(0, key, 1);
  return bytes;
}

inline Result<RequestLog> load_oracle(std::string bytes, const LogLimits& limits = {}) {
  const auto trace = read_oracle_general(from_memory(std::move(bytes)), "t");
  return load_log(*trace, "t", limits);
}

/// Lines of Twitter's form.
inline Result<RequestLog> load_csv(std::string lines, const LogLimits& limits = {}) {
  const auto trace = read_twitter_csv(from_memory(std::move(lines)), "t");
  return load_log(*trace, "t", limits);
}

/// Zipf with exponent 1 in integers only, so that no library's pow() has a say.
inline std::vector<std::uint32_t> zipf_keys(std::uint32_t keys, std::size_t length,
                                            std::uint64_t seed) {
  std::vector<std::uint64_t> upto(keys);
  std::uint64_t total = 0;
  for (std::uint32_t key = 0; key < keys; ++key) {
    total += (std::uint64_t{1} << 40U) / (key + 1);
    upto[key] = total;
  }
  Random random(seed);
  std::vector<std::uint32_t> trace(length);
  for (auto& key : trace) {
    key = static_cast<std::uint32_t>(std::ranges::upper_bound(upto, random.below(total)) -
                                     upto.begin());
  }
  return trace;
}

}  // namespace nearlane::harness
