// Shard: a table, a policy, a wheel and a byte budget under one lock. A map is one of these, or many.
//
// Budget.  An entry costs what the allocator gave for it and is likely to lose beside it, plus what table,
// cells, policy and wheel take for one on average. What was retired and not yet freed counts too: it lowers the
// limit, by a quarter of the share at most, because evicting more only retires more. And so do the arrays of a
// time with more and smaller entries, by a third at most, because they do not shrink. A put makes room first and evicts at most
// kEvictionsPerCall entries; what that leaves over the limit the next puts go on with. An entry larger
// than kPromptBytes, for which one call's evictions may not make room, is let in only when no such
// backlog is there, so a shard is never over its share by more than one entry, and an entry may be
// largest() bytes.
//
// Negative entries have a quota: one that does not fit into it is rejected, so that asking for keys that do
// not exist, as whoever guesses at sessions does, pushes nothing out that exists.
//
// Threads:   every public call takes the lock itself, set_room excepted. A find takes none where the table
//            allows it, and shares it where mutex and policy allow that.
// Lifetime:  what leaves is handed to epoch::retire, after the lock was released but for a table that was outgrown.
// Cost:      find: one table look-up, no allocation. put: amortised O(1), evictions capped.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <type_traits>
#include <utility>

#include "core/l1/cells.h"
#include "core/l1/departed.h"
#include "core/l1/l1_map.h"
#include "core/l1/policy/policy.h"
#include "core/l1/table.h"
#include "core/l1/wheel.h"

namespace nearlane::l1 {

/// Entries that one put may evict, which takes `adaptive` some 2 ms, so that a large value does not hold the lock for tens.
inline constexpr std::size_t kEvictionsPerCall = 1024;
static_assert(kEvictionsPerCall < Departed::kMost);
/// Less than what kEvictionsPerCall evictions free even of the smallest entries. Unit: bytes.
inline constexpr std::uint64_t kPromptBytes = std::uint64_t{64} * 1024;
/// An entry may take this part of its shard's share: four large values still make a cache.
inline constexpr std::uint64_t kLargestPart = 4;
/// Negative entries may take this part of a shard's room.
inline constexpr std::uint64_t kNegativePart = 16;
/// Where entries of all sizes come and go, this part of theirs lies between them unused: resident_test.cc.
inline constexpr std::uint64_t kLostPart = 32;
/// Retired bytes may take this part of a share from the living.
inline constexpr std::uint64_t kRetiredPart = 4;
/// And the arrays, which never shrink, of entries that are there no more this part.
inline constexpr std::uint64_t kIdlePart = 3;
/// Entries that a sweep looks at before it lets others at the lock.
inline constexpr std::size_t kSweepChunk = 256;
static_assert(kSweepChunk <= Departed::kMost);

struct SweepStep {
  std::size_t looked = 0;
  std::size_t dropped = 0;
  bool reached_end = false;  // nothing that has expired is left
};

template <Table T, Policy P, class Mutex>
class alignas(128) Shard {
 public:
  /// Before the shard is shared.
  void set_room(Room room) {
    room_ = room;
    policy_ = P(room);
  }
  void set_room(Room room, SharedBy<P>& shared, std::uint64_t shards) requires Learns<P> {
    room_ = room;
    policy_ = P(room, shared, shards);
  }
  /// The most that one entry may cost.
  [[nodiscard]] std::uint64_t largest() const noexcept { return room_.bytes / kLargestPart; }

  [[gnu::always_inline, nodiscard]] const Entry* find(const KeyRef& key) noexcept {
    if constexpr (T::kFindsUnlocked) {
      const Entry* found = table_.find(key);
      if (found != nullptr) hit_unlocked(found, key.hash);
      return found;
    } else {
      const HitLock lock(mutex_);
      const Entry* found = table_.find(key);
      if (found != nullptr) policy_.hit(*found, key.hash);
      return found;
    }
  }
  /// find() that the policy does not hear of.
  [[nodiscard]] const Entry* peek(const KeyRef& key) const noexcept {
    if constexpr (T::kFindsUnlocked) {
      return table_.find(key);
    } else {
      const ReadLock lock(mutex_);
      return table_.find(key);
    }
  }
  /// find for each key, under one lock.
  void find_run(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept
      requires(!T::kFindsUnlocked) {
    const HitLock lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      out[i] = table_.find(keys[i]);
      if (out[i] != nullptr) policy_.hit(*out[i], keys[i].hash);
    }
  }
  [[nodiscard]] const T& table() const noexcept { return table_; }

  /// `key` is the entry's own; `retired` is this shard's part of what waits to be freed.
  PutOutcome put(EntryPtr entry, const KeyRef& key, std::uint64_t retired) {
    Departed gone;
    const std::lock_guard lock(mutex_);
    const Entry* old = table_.find(key);
    const bool was_there = old != nullptr;
    if (old != nullptr) policy_.hit(*old, key.hash);  // so that it is not the next to go
    if (!within_quota(*entry, old) || !make_room(cost(*entry), old, retired, gone)) {
      ++rejections_;
      if (old != nullptr) remove(old, gone);
      return PutOutcome::rejected;
    }
    if (old != nullptr) {
      exchange(old, std::move(entry), key.hash, gone);
    } else {
      insert(std::move(entry), key.hash);
    }
    return was_there ? PutOutcome::replaced : PutOutcome::inserted;
  }

  bool replace_if(const Entry* expected, EntryPtr next, const KeyRef& key, std::uint64_t retired) {
    Departed gone;
    const std::lock_guard lock(mutex_);
    const Entry* old = table_.find(key);
    if (old == nullptr || old != expected) return false;
    if (!within_quota(*next, old) || !make_room(cost(*next), old, retired, gone)) {
      ++rejections_;
      return false;
    }
    if (old != nullptr) {
      exchange(old, std::move(next), key.hash, gone);
    } else {  // it had to go to make room, and under the lock nothing newer can have come
      insert(std::move(next), key.hash);
    }
    return true;
  }

  bool erase(const KeyRef& key) noexcept {
    Departed gone;
    const std::lock_guard lock(mutex_);
    const Entry* entry = table_.find(key);
    if (entry == nullptr) return false;
    remove(entry, key.hash, gone);
    return true;
  }

  /// The deadline of `entry`, which a guard keeps alive, is earlier now.
  void reschedule(const Entry* entry) noexcept {
    const std::lock_guard lock(mutex_);
    if (cells_.hold(entry)) wheel_.reschedule(entry->cell(), entry->deadline());
  }

  /// Looks at up to `max` entries that may have expired.
  SweepStep sweep(TimePoint now, std::size_t max) noexcept {
    Departed gone;
    const std::lock_guard lock(mutex_);
    std::size_t dropped = 0;
    const Wheel::Step step = wheel_.expire(now, max, cells_, [&](const Entry* entry) {
      remove(entry, gone);
      ++dropped;
    });
    expirations_ += dropped;
    table_.tidy();
    return {step.looked, dropped, step.reached_end};
  }

  void clear() noexcept {
    Cells cells;
    {
      const std::lock_guard lock(mutex_);
      std::swap(cells, cells_);
      l1::clear(table_, cells);
      policy_.clear();
      wheel_.clear();
      bytes_ = 0;
      negatives_ = 0;
      negative_part_ = 0;
    }
    for (CellId cell = 0; cell < cells.end(); ++cell) {
      if (const Entry* entry = cells.at(cell); entry != nullptr) Departed::retire(entry);
    }
  }

  /// Visits what is in at most `max` cells from `cell` on, which moves past them. False: there are no more.
  bool walk_on(CellId& cell, std::size_t max,
               const std::function<void(const Entry&, float)>& visit) const {
    const ReadLock lock(mutex_);
    const CellId end = cells_.end();
    for (; max > 0 && cell < end; ++cell, --max) {
      if (const Entry* entry = cells_.at(cell); entry != nullptr) visit(*entry, worth(*entry));
    }
    return cell < end;
  }

  void add_stats(L1Stats& to) const noexcept {
    const ReadLock lock(mutex_);
    to.entries += cells_.size();
    to.bytes += bytes_;
    to.capacity += room_.bytes;
    to.evictions += evictions_;
    to.expirations += expirations_;
    to.rejections += rejections_;
    to.negatives += negatives_;
  }

  /// What `entry` takes from the budget.
  [[nodiscard]] static std::uint64_t cost(const Entry& entry) noexcept {
    return entry.charge() + entry.charge() / kLostPart + kArrays + bytes_beside(entry);
  }

 private:
  static constexpr bool kCanShare = std::is_same_v<Mutex, std::shared_mutex>;
  using ReadLock = std::conditional_t<kCanShare, std::shared_lock<Mutex>, std::unique_lock<Mutex>>;
  using HitLock = std::conditional_t<P::kHitNeedsExclusive, std::unique_lock<Mutex>, ReadLock>;

  /// What the policies count in an entry's mark is a measure where they have no better one.
  [[nodiscard]] float worth(const Entry& entry) const noexcept {
    if constexpr (requires { policy_.worth(entry); }) {
      return policy_.worth(entry);
    } else {
      return entry.mark();
    }
  }

  void hit_unlocked(const Entry* found, std::uint64_t hash) noexcept {
    if constexpr (P::kHitNeedsExclusive) {
      const std::lock_guard lock(mutex_);
      if (cells_.hold(found)) policy_.hit(*found, hash);  // it may have left since it was found
    } else {
      policy_.hit(*found, hash);
    }
  }

  /// What one entry takes beside itself.
  static constexpr std::uint64_t kArrays =
      T::kBytesPerEntry + Cells::kBytesPerEntry + P::kBytesPerEntry + Wheel::kBytesPerEntry;
  [[nodiscard]] static std::uint64_t bytes_beside(const Entry& entry) noexcept {
    if constexpr (requires { T::bytes_beside(entry); }) {
      return T::bytes_beside(entry);
    } else {
      return 0;
    }
  }
  /// What the arrays keep of a time with more entries, which were smaller.
  [[nodiscard]] std::uint64_t idle() const noexcept {
    return (cells_.end() - cells_.size()) * kArrays;
  }
  /// Whether `entry` may take the place of `old`, or a new one, as far as its being negative goes.
  [[nodiscard]] bool within_quota(const Entry& entry, const Entry* old) const noexcept {
    if (!entry.negative()) return true;
    const std::uint64_t freed = old != nullptr && old->negative() ? part(*old) : 0;
    return negative_part_ - freed + part(entry) <= room_.capacity() / kNegativePart;
  }
  /// What an entry takes of the room's capacity.
  [[nodiscard]] std::uint64_t part(const Entry& entry) const noexcept {
    return room_.entries != 0 ? room_.weight(entry) : cost(entry);
  }
  /// What is counted of the entries in the shard.
  void count_in(const Entry& entry) noexcept {
    bytes_ += cost(entry);
    if (!entry.negative()) return;
    ++negatives_;
    negative_part_ += part(entry);
  }
  void count_out(const Entry& entry) noexcept {
    bytes_ -= cost(entry);
    if (!entry.negative()) return;
    --negatives_;
    negative_part_ -= part(entry);
  }

  /// Evicts until `needed` bytes fit in place of `old`, which may itself go. False: reject.
  [[nodiscard]] bool make_room(std::uint64_t needed, const Entry*& old, std::uint64_t retired,
                               Departed& gone) noexcept {
    if (needed > largest()) return false;
    const std::uint64_t limit = room_.bytes - std::min(room_.bytes / kIdlePart, idle());
    // What is evicted waits to be freed itself. So a put makes the shard smaller for what waits by no more than it
    // needs: else each eviction would ask for the next.
    const std::uint64_t wanted = std::max(limit - std::min(room_.bytes / kRetiredPart, retired),
                                          bytes_ - std::min(bytes_, needed));
    std::uint64_t freed = old != nullptr ? cost(*old) : 0;  // once the old one has gone
    const auto full = [&] {
      return bytes_ - freed + needed > std::min(limit, wanted) ||
             (room_.entries != 0 && cells_.size() + (old == nullptr ? 1 : 0) > room_.entries);
    };
    std::size_t passes = kMostPassed;
    for (std::size_t evicted = 0; full(); ++evicted) {
      if (evicted == kEvictionsPerCall) return needed <= kPromptBytes || bytes_ - freed <= limit;
      const CellId cell = policy_.victim(cells_, passes);
      if (cell == kNoCell) return false;
      const Entry* victim = cells_.at(cell);
      if (victim == old) {
        old = nullptr;
        freed = 0;
      }
      remove(victim, gone);
      ++evictions_;
    }
    return true;
  }

  // No memory for the arrays ends the process: half an entry would be worse.
  void insert(EntryPtr entry, std::uint64_t hash) noexcept {
    entry->set_mark(0);
    const CellId cell = cells_.take(entry.get());
    policy_.insert(cell, *entry, hash);
    wheel_.schedule(cell, entry->deadline());
    count_in(*entry);
    table_.insert(entry.release(), hash);
    if constexpr (requires { policy_.refresh(cells_); }) policy_.refresh(cells_);
  }

  void exchange(const Entry* old, EntryPtr next, std::uint64_t hash, Departed& gone) noexcept {
    const Entry* entry = next.release();
    const CellId cell = old->cell();
    count_out(*old);
    count_in(*entry);
    entry->set_mark(old->mark());
    cells_.set(cell, entry);
    policy_.replace(cell, *old, *entry);
    wheel_.reschedule(cell, entry->deadline());
    table_.replace(old, entry, hash);
    gone.add(old);
  }

  void remove(const Entry* entry, Departed& gone) noexcept {
    remove(entry, entry->key().hash, gone);
  }
  void remove(const Entry* entry, std::uint64_t hash, Departed& gone) noexcept {
    const CellId cell = entry->cell();
    count_out(*entry);
    table_.erase(entry, hash);
    policy_.erase(cell, *entry);
    wheel_.cancel(cell);
    cells_.give_back(cell);
    gone.add(entry);
  }

  // A find reads of these what their own lines keep apart from what writers write.
  T table_;
  P policy_{Room{}};
  alignas(64) mutable Mutex mutex_;
  Room room_;
  Cells cells_;
  Wheel wheel_;
  std::uint64_t bytes_ = 0;
  std::uint64_t negatives_ = 0;
  std::uint64_t negative_part_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint64_t expirations_ = 0;
  std::uint64_t rejections_ = 0;
};

}  // namespace nearlane::l1
