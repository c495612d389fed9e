// The offline optimum: misses of a cache that knows the future, as the ceiling beside real policies.
//
// Unit sizes.  Belady's MIN: when room is needed, the key whose next use is furthest goes. A miss is
//              always put, as in every map of ours, and a next use is the next read that could be a hit.
//              Under that rule no choice of victims has fewer misses; tests try them all on small traces,
//              with writes, deletes and deadlines too. A policy that keeps a new key out may do better.
// Bytes.       With sizes the optimum is NP-hard, so this is a greedy stand-in, called belady-size: the
//              key with the largest bytes x distance to its next use goes, and that may be the new one.
//              Sizes are sorted into classes an eighth of a power of two wide; within one the furthest
//              use stands for all. It is no proven bound.
// Cost:        O(log n) a request; for bytes a look at each class in use an eviction. Memory: 4 bytes a
//              request for next uses, about 20 bytes a key.
// Threads:     pure functions.
// Source:      Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//              Journal 5(2), 1966; Mattson et al., IBM Systems Journal 9(2), 1970.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "harness/replay/request_log.h"

namespace nearlane::harness {

/// No read of the key after this request could be a hit because of it.
inline constexpr std::uint32_t kNoUse = 0xfffffffeU;

/// For each request the index of the read that would hit if the key were kept until then, or kNoUse.
[[nodiscard]] std::vector<std::uint32_t> next_uses(const RequestLog& log);

[[nodiscard]] std::uint64_t belady_misses(const RequestLog& log,
                                          const std::vector<std::uint32_t>& uses,
                                          std::uint64_t objects);

/// `cost(request)` is what the key and the value of a request take of `bytes`.
[[nodiscard]] std::uint64_t belady_size_misses(
    const RequestLog& log, const std::vector<std::uint32_t>& uses, std::uint64_t bytes,
    const std::function<std::uint64_t(const Request&)>& cost);

}  // namespace nearlane::harness
