// Shard: a table, a policy and a byte budget under one lock. A locked map is one of these, or many.
//
// Budget.  An entry costs what the allocator gave for it plus what table, cells and policy take for one
// on average. What was retired and not yet freed counts too: it lowers the limit, by a quarter of the
// share at most, because evicting more only retires more. A put makes room first and evicts at most
// kEvictionsPerCall entries; what that leaves over the limit the next puts go on with. An entry larger
// than kPromptBytes, for which one call's evictions may not make room, is let in only when no such
// backlog is there, so a shard is never over its share by more than one entry, and an entry may be
// largest() bytes.
//
// Threads:   every public call takes the lock itself, set_limits excepted. A hit shares the lock where
//            both mutex and policy allow it.
// Lifetime:  what leaves is handed to epoch::retire after the lock was released.
// Cost:      find: one table look-up, no allocation. put: amortised O(1), evictions capped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <type_traits>
#include <utility>

#include "core/base/epoch.h"
#include "core/l1/cells.h"
#include "core/l1/l1_map.h"
#include "core/l1/slot.h"

namespace nearlane::l1 {

/// Entries that one put may evict, so that a large value never holds the lock for milliseconds.
inline constexpr std::size_t kEvictionsPerCall = 1024;
/// Less than what kEvictionsPerCall evictions free even of the smallest entries. Unit: bytes.
inline constexpr std::uint64_t kPromptBytes = std::uint64_t{64} * 1024;
/// An entry may take this part of its shard's share: four large values still make a cache.
inline constexpr std::uint64_t kLargestPart = 4;
/// Retired bytes may take this part of a share from the living.
inline constexpr std::uint64_t kRetiredPart = 4;
/// Beyond this part of the budget in retired bytes a put collects before it evicts.
inline constexpr std::uint64_t kCollectPart = 16;
/// Entries that a sweep looks at before it lets others at the lock.
inline constexpr std::size_t kSweepChunk = 256;

/// Entries that have left a shard, on their way to epoch::retire once the lock is released.
class Departed {
 public:
  Departed() noexcept {}
  Departed(const Departed&) = delete;
  Departed& operator=(const Departed&) = delete;
  ~Departed() { retire_all(); }

  void add(const Entry* entry) noexcept {
    if (count_ == entries_.size()) retire_all();  // rare, and then under the lock
    entries_[count_++] = entry;
  }

  /// Gives up the map's reference to `entry` when no guard can see it any more.
  static void retire(const Entry* entry) noexcept {
    epoch::retire(
        const_cast<Entry*>(entry),
        [](void* object) { EntryPtr::adopt(static_cast<const Entry*>(object)); }, entry->charge());
  }

 private:
  void retire_all() noexcept {
    for (std::size_t i = 0; i < count_; ++i) retire(entries_[i]);
    count_ = 0;
  }

  std::array<const Entry*, 32> entries_;
  std::size_t count_ = 0;
};

/// Retired bytes that a map of `budget` has to reckon with, after collecting where they are many.
[[nodiscard]] inline std::uint64_t reckon_retired(std::uint64_t budget) noexcept {
  std::uint64_t retired = epoch::retired_bytes();
  if (retired > budget / kCollectPart) {
    epoch::collect();
    retired = epoch::retired_bytes();
  }
  return retired;
}

struct SweepStep {
  std::size_t looked = 0;
  std::size_t dropped = 0;
  bool reached_end = false;  // the next step starts over
};

/// `Table` is a struct with `Set`, a set of Slot, and `kBytesPerEntry`, its mean cost.
template <class Table, class P, class Mutex>
class alignas(128) Shard {
  static_assert(Policy<P>);

 public:
  /// Before the shard is shared. `entries` 0: no limit.
  void set_limits(std::uint64_t bytes, std::uint64_t entries) noexcept {
    share_ = bytes;
    max_entries_ = entries != 0 ? entries : std::numeric_limits<std::uint64_t>::max();
  }
  /// The most that one entry may cost.
  [[nodiscard]] std::uint64_t largest() const noexcept { return share_ / kLargestPart; }

  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept {
    const HitLock lock(mutex_);
    return find_locked(key);
  }
  /// find for each key, under one lock.
  void find_run(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept {
    const HitLock lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i) out[i] = find_locked(keys[i]);
  }

  /// `retired` is this shard's part of what waits to be freed.
  PutOutcome put(EntryPtr entry, std::uint64_t retired) {
    Departed gone;
    const std::lock_guard lock(mutex_);
    Place at = set_.find(entry->key());
    const bool was_there = at != set_.end();
    if (!make_room(cost(*entry), at, retired, gone)) {
      ++rejections_;
      if (at != set_.end()) remove(at, gone);
      return PutOutcome::rejected;
    }
    if (at != set_.end()) {
      exchange(at, std::move(entry), gone);
    } else {
      insert(std::move(entry));
    }
    return was_there ? PutOutcome::replaced : PutOutcome::inserted;
  }

  bool replace_if(const Entry* expected, EntryPtr next, std::uint64_t retired) {
    Departed gone;
    const std::lock_guard lock(mutex_);
    Place at = set_.find(next->key());
    if (at == set_.end() || at->entry != expected) return false;
    if (!make_room(cost(*next), at, retired, gone)) {
      ++rejections_;
      return false;
    }
    if (at == set_.end()) return false;  // it had to go to make room
    exchange(at, std::move(next), gone);
    return true;
  }

  bool erase(const KeyRef& key) noexcept {
    Departed gone;
    const std::lock_guard lock(mutex_);
    const Place at = set_.find(key);
    if (at == set_.end()) return false;
    remove(at, gone);
    return true;
  }

  /// Looks at up to `max` cells from where the last step stopped.
  SweepStep sweep(TimePoint now, std::size_t max) noexcept {
    Departed gone;
    const std::lock_guard lock(mutex_);
    SweepStep step;
    for (; step.looked < max && hand_ < cells_.end(); ++hand_, ++step.looked) {
      const Entry* entry = cells_.at(hand_);
      if (entry == nullptr || entry->deadline() > now) continue;
      remove(set_.find(entry->key()), gone);
      ++step.dropped;
    }
    expirations_ += step.dropped;
    step.reached_end = hand_ >= cells_.end();
    if (step.reached_end) hand_ = 0;
    return step;
  }

  void clear() noexcept {
    Cells cells;
    typename Table::Set set;
    {
      const std::lock_guard lock(mutex_);
      std::swap(cells, cells_);
      std::swap(set, set_);
      policy_ = P();
      bytes_ = 0;
      hand_ = 0;
    }
    for (CellId cell = 0; cell < cells.end(); ++cell) {
      if (const Entry* entry = cells.at(cell); entry != nullptr) Departed::retire(entry);
    }
  }

  void walk(const std::function<void(const Entry&)>& visit) const {
    const ReadLock lock(mutex_);
    for (CellId cell = 0; cell < cells_.end(); ++cell) {
      if (const Entry* entry = cells_.at(cell); entry != nullptr) visit(*entry);
    }
  }

  void add_stats(L1Stats& to) const noexcept {
    const ReadLock lock(mutex_);
    to.entries += set_.size();
    to.bytes += bytes_;
    to.capacity += share_;
    to.evictions += evictions_;
    to.expirations += expirations_;
    to.rejections += rejections_;
  }

  /// What `entry` takes from the budget.
  [[nodiscard]] static std::uint64_t cost(const Entry& entry) noexcept {
    return entry.charge() + Table::kBytesPerEntry + Cells::kBytesPerEntry + P::kBytesPerEntry;
  }

 private:
  using Place = typename Table::Set::const_iterator;
  static constexpr bool kCanShare = std::is_same_v<Mutex, std::shared_mutex>;
  using ReadLock = std::conditional_t<kCanShare, std::shared_lock<Mutex>, std::unique_lock<Mutex>>;
  using HitLock = std::conditional_t<P::kHitNeedsExclusive, std::unique_lock<Mutex>, ReadLock>;

  const Entry* find_locked(const KeyRef& key) noexcept {
    const auto at = set_.find(key);
    if (at == set_.end()) return nullptr;
    policy_.hit(at->cell);
    return at->entry;
  }

  /// Evicts until `needed` bytes fit in place of what is at `at`, which may itself go. False: reject.
  [[nodiscard]] bool make_room(std::uint64_t needed, Place& at, std::uint64_t retired,
                               Departed& gone) noexcept {
    if (needed > largest()) return false;
    const std::uint64_t limit = share_ - std::min(retired, share_ / kRetiredPart);
    std::uint64_t old = 0;
    if (at != set_.end()) {
      old = cost(*at->entry);
      policy_.hit(at->cell);  // so that it is not the next to go
    }
    const auto full = [&] {
      return bytes_ - old + needed > limit || set_.size() + (old == 0 ? 1 : 0) > max_entries_;
    };
    for (std::size_t evicted = 0; full(); ++evicted) {
      if (evicted == kEvictionsPerCall) return needed <= kPromptBytes || bytes_ - old <= limit;
      const CellId victim = policy_.victim();
      if (victim == kNoCell) return false;
      const Place leaving = set_.find(cells_.at(victim)->key());
      if (leaving == at) {
        at = set_.end();
        old = 0;
      }
      remove(leaving, gone);
      ++evictions_;
    }
    return true;
  }

  void insert(EntryPtr entry) {
    const CellId cell = cells_.take(entry.get());
    policy_.insert(cell, *entry);
    bytes_ += cost(*entry);
    const std::uint64_t hash = entry->key().hash;
    set_.insert(Slot{entry.release(), hash, cell});
  }

  void exchange(Place at, EntryPtr next, Departed& gone) noexcept {
    bytes_ += cost(*next) - cost(*at->entry);
    gone.add(at->entry);
    at->entry = next.release();
    cells_.set(at->cell, at->entry);
  }

  void remove(Place at, Departed& gone) noexcept {
    bytes_ -= cost(*at->entry);
    policy_.erase(at->cell);
    cells_.give_back(at->cell);
    gone.add(at->entry);
    set_.erase(at);
  }

  mutable Mutex mutex_;
  typename Table::Set set_;
  Cells cells_;
  P policy_;
  std::uint64_t bytes_ = 0;
  std::uint64_t share_ = 0;
  std::uint64_t max_entries_ = 0;
  CellId hand_ = 0;  // of the sweep
  std::uint64_t evictions_ = 0;
  std::uint64_t expirations_ = 0;
  std::uint64_t rejections_ = 0;
};

}  // namespace nearlane::l1
