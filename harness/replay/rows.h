// What a replay found, a row a policy and a capacity, and the JSON array that carries it.
//
// Errors:   protocol for a text that is no such array; detail says where.
// Threads:  plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/replay/replay.h"

namespace nearlane::harness {

/// What somebody else's simulator found for the same trace and capacity.
struct Comparison {
  double best = 0;  // the least miss ratio of its online policies
  std::string best_policy;
  double excess_percent = 0;           // of our misses over the best's
  std::map<std::string, double> same;  // miss ratios of its policies that are the row's own
};

struct ReplayRow {
  std::string trace;
  std::string policy;
  std::uint64_t capacity = 0;
  Unit unit = Unit::objects;
  std::uint64_t requests = 0;  // reads
  std::uint64_t misses = 0;
  std::string map;
  bool offline = false;  // it knew the future: a ceiling, not a policy
  std::uint64_t rejections = 0;
  std::uint64_t keys = 0;
  std::string file;
  std::string file_hash;
  std::string
      revision;  // of this program, "+" behind it when that had changes that no revision holds
  double seconds = 0;  // that the replay took
  std::optional<Comparison> reference;

  [[nodiscard]] double miss_ratio() const noexcept {
    return requests == 0 ? 0 : static_cast<double>(misses) / static_cast<double>(requests);
  }
};

/// An array, one row a line.
[[nodiscard]] std::string to_json(const std::vector<ReplayRow>& rows);
[[nodiscard]] Result<std::vector<ReplayRow>> rows_from_json(const std::string& text);

}  // namespace nearlane::harness
