// Pauses: how long a put and a find may take while a map grows from nothing and then evicts, in wall time.
//
// One thread puts keys, twice as many as there is room for, so that tables grow, policies build what they
// remember by, entries are evicted and reclaimed. Another reads keys that are there, and times each read.
// Beside it stands what the machine does to a thread that only looks at the clock for as long as a usual find
// takes, while another puts the same.
//
// Units:     ns.
// Threads:   two, each on a core of its own where there are two.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/histogram.h"

namespace nearlane::micro {

struct Pauses {
  std::string map;
  Histogram puts = {};
  Histogram finds = {};
  Histogram nothing = {};
};

/// Puts 2 × `keys` values of 64 B into a map with room for `keys`.
[[nodiscard]] Pauses measure_pauses(std::string_view map, std::string_view policy,
                                    std::uint64_t keys);

}  // namespace nearlane::micro
