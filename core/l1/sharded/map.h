// ShardedMap: a power of two of shards, each a lock over a flat open-addressing table. Hits on different
// shards do not meet, and share a shard's lock (then a std::shared_mutex) where the policy allows it.
//
// The flat table finds a group by the hash's top bits and tells slots apart by its lowest eight, so the
// shard is chosen by the bits just above those: with the top bits every table would use only a part of
// its groups.
//
// Source: Boost.Unordered's open-addressing containers (boost/unordered/detail/foa.hpp).
#pragma once

#include <atomic>
#include <bit>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <type_traits>

#include <boost/unordered/unordered_flat_set.hpp>

#include "core/l1/shard.h"

namespace nearlane::l1 {

/// A shard's share of the budget is at least this, so that a value of 2 MB fits one. Unit: bytes.
inline constexpr std::uint64_t kShardBytes = std::uint64_t{16} << 20U;
/// And at least this many entries where the number of entries is limited: small shards fill unevenly.
inline constexpr std::uint64_t kShardEntries = 4096;
/// More shards than cores that are likely to meet; each costs its policy's precision.
inline constexpr std::uint64_t kMostShards = 64;

[[nodiscard]] constexpr std::uint64_t shard_count(std::uint64_t bytes,
                                                  std::uint64_t entries) noexcept {
  std::uint64_t shards = std::min(kMostShards, bytes / kShardBytes);
  if (entries != 0) shards = std::min(shards, entries / kShardEntries);
  return std::bit_floor(std::max<std::uint64_t>(shards, 1));
}

struct FlatTable {
  using Set = boost::unordered_flat_set<Slot, SlotHash, SlotEqual>;
  // A slot of 24 bytes and its byte of metadata, at 0.66 full: the mean of a table that doubles at 7/8.
  static constexpr std::size_t kBytesPerEntry = 38;
};

template <class P>
class ShardedMap final : public L1Map {
 public:
  static constexpr std::string_view kName = "sharded";

  explicit ShardedMap(const L1Config& config)
      : count_(shard_count(config.bytes, config.entries)),
        budget_(config.bytes),
        shards_(std::make_unique<OneShard[]>(count_)) {
    for (std::uint64_t i = 0; i < count_; ++i) {
      shards_[i].set_limits(config.bytes / count_, config.entries / count_);
    }
  }
  ShardedMap(const ShardedMap&) = delete;
  ShardedMap& operator=(const ShardedMap&) = delete;
  ~ShardedMap() override { ShardedMap::clear(); }

  [[nodiscard]] std::string_view name() const noexcept override { return kName; }
  [[nodiscard]] std::string_view policy() const noexcept override { return P::kName; }
  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override {
    return shard(key.hash).find(key);
  }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    for (std::size_t from = 0; from < keys.size();) {
      OneShard& mine = shard(keys[from].hash);
      std::size_t to = from + 1;
      while (to < keys.size() && &shard(keys[to].hash) == &mine) ++to;
      mine.find_run(keys.subspan(from, to - from), out.subspan(from, to - from));
      from = to;
    }
  }
  PutOutcome put(EntryPtr entry) override {
    OneShard& mine = shard(entry->key().hash);
    return mine.put(std::move(entry), reckon_retired(budget_) / count_);
  }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    OneShard& mine = shard(next->key().hash);
    return mine.replace_if(expected, std::move(next), reckon_retired(budget_) / count_);
  }
  bool erase(const KeyRef& key) noexcept override { return shard(key.hash).erase(key); }
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
  void walk(const std::function<void(const Entry&)>& visit) const override {
    for (std::uint64_t i = 0; i < count_; ++i) shards_[i].walk(visit);
  }
  [[nodiscard]] L1Stats stats() const noexcept override {
    L1Stats sum;
    for (std::uint64_t i = 0; i < count_; ++i) shards_[i].add_stats(sum);
    return sum;
  }

 private:
  // A policy that must order every hit can share no lock, and a plain mutex is the cheaper one to take.
  using Mutex = std::conditional_t<P::kHitNeedsExclusive, std::mutex, std::shared_mutex>;
  using OneShard = Shard<FlatTable, P, Mutex>;

  OneShard& shard(std::uint64_t hash) noexcept { return shards_[(hash >> 8U) & (count_ - 1)]; }

  const std::uint64_t count_;
  const std::uint64_t budget_;
  const std::unique_ptr<OneShard[]> shards_;
  std::atomic<std::uint64_t> hand_{0};  // the shard that the sweep is in
};

}  // namespace nearlane::l1
