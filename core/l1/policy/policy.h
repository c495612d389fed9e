// Policy: which entry goes when room is needed. A template parameter of the maps, so it costs no call.
//
// A policy never sees keys or values by itself: the shard numbers its entries with small dense ids and
// the policy keeps its own compact table over them (links, bits, queues).
//
// Threads:   called under its shard's lock, exclusive for all but hit(); hit() under a shared lock
//            unless kHitNeedsExclusive.
// Cost:      every call is O(1), amortised; only insert() may allocate.
// Errors:    victim() returns kNoCell for "nothing may go": then the put is rejected.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "core/entry/entry.h"

namespace nearlane::l1 {

/// An entry's number in its shard: dense from 0, used again after the entry left.
using CellId = std::uint32_t;
inline constexpr CellId kNoCell = std::numeric_limits<CellId>::max();

template <class P>
concept Policy = std::default_initializable<P> && std::movable<P> &&
    requires(P policy, const P& fixed, CellId cell, const Entry& entry) {
  // Stable: it names the row in results/.
  { P::kName } -> std::convertible_to<std::string_view>;
  // A hit changes the table in a way that readers beside it must not see.
  { P::kHitNeedsExclusive } -> std::convertible_to<bool>;
  // Mean bytes of its table for an entry; they count against the budget.
  { P::kBytesPerEntry } -> std::convertible_to<std::size_t>;
  policy.insert(cell, entry);  // a new entry, just used
  { policy.hit(cell) }
  noexcept;
  { policy.erase(cell) }
  noexcept;  // evicted, erased or expired
  { fixed.victim() }
  noexcept->std::same_as<CellId>;
};

}  // namespace nearlane::l1
