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
#include <vector>

#include "core/base/clock.h"
#include "core/base/histogram.h"

namespace nearlane::micro {

/// Times of one kind.
struct Times {
  Histogram all = {};
  std::vector<Duration> longest = {};  // of each round: a machine's own pauses come now and then
};

struct Pauses {
  std::string map;
  Times puts = {};
  Times finds = {};
  Times nothing = {};
};

/// A round more: puts 2 × `keys` values of 64 B into a new map with room for `keys`.
void measure_pauses(std::string_view policy, std::uint64_t keys, Pauses& pauses);

}  // namespace nearlane::micro
