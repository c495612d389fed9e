// Redis's table of tracked keys (tracking-table-max-keys): is it large enough for what L1 may hold?
//
// Beyond that many keys Redis announces changes that did not happen, so that it can forget what it tracks.
// That is never stale, but L1 loses entries that are good. So it is read at start, and raised where we may.
//
// Units:     keys; Redis needs about 99 bytes for each.
// Threads:   any.
// Errors:    said in the log; nothing else depends on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

/// More than this, about a gigabyte in Redis, is for its owner to decide.
inline constexpr std::uint64_t kMostTrackedKeys = 10'000'000;

/// To what the limit `now` (0: none) should be raised for `wanted` keys, if at all.
[[nodiscard]] std::optional<std::uint64_t> raised_limit(std::uint64_t now,
                                                        std::uint64_t wanted) noexcept;

/// Asks Redis, raises the limit or warns. `l2` outlives its calls.
void check_tracking_table(L2Backend& l2, std::uint64_t wanted, TimePoint deadline);

}  // namespace nearlane::l2
