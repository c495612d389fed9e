// Policy: which entry goes when room is needed. A template parameter of the maps, so it costs no call.
//
// A policy never sees values: the shard numbers its entries with small dense cells, and the policy keeps
// compact tables over them (links, queues, fingerprints of what has left). Uses are noted in the entry's
// own 16-bit mark, whose line a hit has read anyway.
//
// Units:     what an entry weighs is the room's question: bytes, or 1 where entries are counted.
// Errors:    victim() returns kNoCell for "nothing may go": then the put is rejected.
// Threads:   called under its shard's lock, all but hit(). With kHitNeedsExclusive hit() is too; without,
//            any number of threads call it beside each other and beside the lock's holder, so it writes
//            no more than the entry's mark, and that only when it changes.
// Cost:      every call is O(1), amortised, and bounded; only insert() and victim() may allocate.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/entry/entry.h"
#include "core/l1/cells.h"

namespace nearlane::l1 {

/// What a shard may hold. Where the number of entries is limited each weighs 1, or as many as its bytes are
/// the part of; else its bytes.
struct Room {
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;  // 0: no limit

  [[nodiscard]] std::uint64_t capacity() const noexcept { return entries != 0 ? entries : bytes; }
  [[nodiscard]] std::uint64_t weight(const Entry& entry) const noexcept {
    if (entries == 0) return entry.charge();
    const std::uint64_t each = bytes / entries;  // 0: a room that was given entries only
    return each == 0 ? 1 : std::max<std::uint64_t>(1, entry.charge() / each);
  }
};

/// Entries that the victims of one put may pass because they were used. A pass takes back a hit, so on average there
/// are no more of them than hits; this bounds the one that comes after many, and the large value that many have to
/// leave for, at the time that so many cache misses take. Then the next entries go though they were used.
inline constexpr std::size_t kMostPassed = 8192;

/// It may also say what an entry is worth keeping for, whatever it weighs: `float worth(entry)`, more for the hotter;
/// and look at some entries after each insertion, so that what it noted of them does not grow too old: `refresh(cells)`.
template <class P>
concept Policy = std::constructible_from<P, Room> && std::movable<P> &&
    requires(P policy, CellId cell, const Entry& entry, std::uint64_t hash, const Cells& cells,
             std::size_t& passes) {
  // Stable: it names the row in results/.
  { P::kName } -> std::convertible_to<std::string_view>;
  { P::kHitNeedsExclusive } -> std::convertible_to<bool>;
  // Mean bytes of its tables for an entry; they count against the budget.
  { P::kBytesPerEntry } -> std::convertible_to<std::size_t>;
  // A new entry, whose mark is 0.
  policy.insert(cell, entry, hash);
  // The entry was found, or is about to be replaced.
  { policy.hit(entry, hash) }
  noexcept;
  // In the cell, `next` has taken the place of `old`, and its mark.
  { policy.replace(cell, entry, entry) }
  noexcept;
  // The entry leaves: evicted, erased or expired.
  { policy.erase(cell, entry) }
  noexcept;
  // The entry that is evicted next: erase() of that cell follows at once. `passes` is how many used ones may be passed
  // before it, less those that were.
  { policy.victim(cells, passes) }
  noexcept->std::same_as<CellId>;
  policy.clear();
};

/// A policy whose shards learn together: its map makes one Shared for the room of all, which outlives them.
/// `shards` is how many share it.
template <class P>
concept Learns = Policy<P> && std::constructible_from<typename P::Shared, Room> &&
    std::constructible_from<P, Room, typename P::Shared&, std::uint64_t>;

struct NothingShared {};
template <class P>
struct SharedOf {
  using type = NothingShared;
};
template <Learns P>
struct SharedOf<P> {
  using type = typename P::Shared;
};
template <class P>
using SharedBy = typename SharedOf<P>::type;

}  // namespace nearlane::l1
