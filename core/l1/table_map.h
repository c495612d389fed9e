// TableMap: the L1Map over one kind of table, in a power of two of shards. The hash chooses the shard, so
// that writers, and readers where the table has them lock, meet only on the same one.
//
// A table finds its place by other bits of the hash than those that choose the shard: with the same ones
// every table would use a part of its places only. Boost's flat table takes the highest and the lowest
// eight, the native one those above kHomeShift, lanes the upper half; shards take the bits from 8 on.
//
// Threads:   any, as L1Map; finds under an epoch guard, which a debug build checks.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <type_traits>
#include <utility>

#include "core/base/epoch.h"
#include "core/l1/shard.h"

namespace nearlane::l1 {

/// A shard's share of the budget is at least this, so that a value of 2 MB fits one. Unit: bytes.
inline constexpr std::uint64_t kShardBytes = std::uint64_t{16} << 20U;
/// More shards than cores that are likely to meet; each costs its policy's precision.
inline constexpr std::uint64_t kMostShards = 64;
/// Keys of a batch that are fetched at once: more than a core has line fill buffers gains nothing, and
/// what comes first must still be there when its turn comes.
inline constexpr std::size_t kAhead = 32;
/// Where the bits of the hash begin that choose the shard.
inline constexpr unsigned kShardShift = 8;
static_assert(kShardShift + std::bit_width(kMostShards - 1) <= kHomeShift);
/// Less than the smallest entry costs. A limit of more entries than this allows for never applies. Unit: bytes.
inline constexpr std::uint64_t kLeastCost = 64;

[[nodiscard]] constexpr std::uint64_t shard_count(std::uint64_t bytes,
                                                  std::uint64_t entries) noexcept {
  std::uint64_t shards = std::min(kMostShards, bytes / kShardBytes);
  if (entries != 0) shards = std::min(shards, entries / kShardEntries);
  return std::bit_floor(std::max<std::uint64_t>(shards, 1));
}

template <Table T, Policy P>
class TableMap final : public L1Map {
 public:
  explicit TableMap(const L1Config& config)
      : count_(T::kShards ? shard_count(config.bytes, config.entries) : 1),
        budget_(config.bytes),
        shards_(std::make_unique<OneShard[]>(count_)) {
    // An idle limit would set what policies and quotas go by.
    const std::uint64_t entries = config.entries > config.bytes / kLeastCost ? 0 : config.entries;
    const Room room{config.bytes / count_, entries / count_};
    if constexpr (Learns<P>) {
      shared_ = std::make_unique<SharedBy<P>>(Room{config.bytes, entries});
      for (std::uint64_t i = 0; i < count_; ++i) shards_[i].set_room(room, *shared_, count_);
    } else {
      for (std::uint64_t i = 0; i < count_; ++i) shards_[i].set_room(room);
    }
  }
  TableMap(const TableMap&) = delete;
  TableMap& operator=(const TableMap&) = delete;
  ~TableMap() override { TableMap::clear(); }

  [[nodiscard]] std::string_view name() const noexcept override { return T::kName; }
  [[nodiscard]] std::string_view policy() const noexcept override { return P::kName; }
  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override {
    assert(epoch::guarded());
    return shard(key.hash).find(key);
  }
  [[nodiscard]] const Entry* peek(const KeyRef& key) const noexcept override {
    assert(epoch::guarded());
    return shard(key.hash).peek(key);
  }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    assert(epoch::guarded());
    if constexpr (T::kFindsUnlocked) {
      find_ahead(keys, out);
    } else {
      find_runs(keys, out);
    }
  }
  PutOutcome put(EntryPtr entry) override {
    const KeyRef key = entry->key();
    return shard(key.hash).put(std::move(entry), key, reckon_retired(budget_) / count_);
  }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    const KeyRef key = next->key();
    return shard(key.hash).replace_if(expected, std::move(next), key,
                                      reckon_retired(budget_) / count_);
  }
  bool erase(const KeyRef& key) noexcept override { return shard(key.hash).erase(key); }
  void reschedule(const Entry& entry) noexcept override {
    shard(entry.key().hash).reschedule(&entry);
  }
  std::size_t sweep(TimePoint now, std::size_t max) noexcept override {
    std::size_t dropped = 0;
    std::size_t left = max;
    for (std::uint64_t finished = 0; finished < count_ && left > 0;) {
      OneShard& mine = shards_[hand_.load(std::memory_order_relaxed) & (count_ - 1)];
      const SweepStep step = mine.sweep(now, std::min(left, kSweepChunk));
      dropped += step.dropped;
      left -= step.looked;
      if (!step.reached_end) continue;
      hand_.fetch_add(1, std::memory_order_relaxed);
      ++finished;
    }
    return dropped;
  }
  void clear() noexcept override {
    for (std::uint64_t i = 0; i < count_; ++i) shards_[i].clear();
  }
  bool walk_on(WalkPlace& from, std::size_t max,
               const std::function<void(const Entry&, float worth)>& visit) const override {
    if (from.shard >= count_) return false;
    if (!shards_[from.shard].walk_on(from.cell, max, visit)) from = {from.shard + 1, 0};
    return from.shard < count_;
  }
  [[nodiscard]] L1Stats stats() const noexcept override {
    L1Stats sum;
    for (std::uint64_t i = 0; i < count_; ++i) shards_[i].add_stats(sum);
    return sum;
  }

 private:
  // Only a find under a lock gains from sharing it, and a plain mutex is the cheaper one to take.
  static constexpr bool kShare = T::kShards && !T::kFindsUnlocked && !P::kHitNeedsExclusive;
  using OneShard = Shard<T, P, std::conditional_t<kShare, std::shared_mutex, std::mutex>>;

  OneShard& shard(std::uint64_t hash) const noexcept {
    return shards_[(hash >> kShardShift) & (count_ - 1)];
  }

  /// Neighbours that share a shard are found under one lock.
  void find_runs(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept {
    for (std::size_t from = 0; from < keys.size();) {
      OneShard& mine = shard(keys[from].hash);
      std::size_t to = from + 1;
      while (to < keys.size() && &shard(keys[to].hash) == &mine) ++to;
      mine.find_run(keys.subspan(from, to - from), out.subspan(from, to - from));
      from = to;
    }
  }
  /// All places are fetched, then all entries, then each is found: the misses of a batch overlap.
  void find_ahead(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept {
    while (!keys.empty()) {
      const auto now = keys.first(std::min(keys.size(), kAhead));
      if constexpr (Prefetches<T>) {
        for (const KeyRef& key : now) shard(key.hash).table().prefetch_place(key.hash);
        for (const KeyRef& key : now) shard(key.hash).table().prefetch_entry(key.hash);
      }
      for (std::size_t i = 0; i < now.size(); ++i) out[i] = shard(now[i].hash).find(now[i]);
      keys = keys.subspan(now.size());
      out = out.subspan(now.size());
    }
  }

  const std::uint64_t count_;
  const std::uint64_t budget_;
  std::unique_ptr<SharedBy<P>>
      shared_;  // what the policies of all shards learn; null if they do not
  const std::unique_ptr<OneShard[]> shards_;
  std::atomic<std::uint64_t> hand_{0};  // the shard that the sweep is in
};

}  // namespace nearlane::l1
