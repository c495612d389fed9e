// MutexMap: one std::mutex over a standard hash set. The baseline that every other map is measured
// against, and the one whose policy order is exact over the whole map.
#pragma once

#include <mutex>
#include <unordered_set>

#include "core/l1/shard.h"

namespace nearlane::l1 {

struct StdTable {
  using Set = std::unordered_set<Slot, SlotHash, SlotEqual>;
  // A node of 32 bytes is 48 of malloc's; a bucket's 8 bytes at the mean load of 0.75.
  static constexpr std::size_t kBytesPerEntry = 59;
};

template <class P>
class MutexMap final : public L1Map {
 public:
  static constexpr std::string_view kName = "mutex";

  explicit MutexMap(const L1Config& config) : budget_(config.bytes) {
    all_.set_limits(config.bytes, config.entries);
  }
  MutexMap(const MutexMap&) = delete;
  MutexMap& operator=(const MutexMap&) = delete;
  ~MutexMap() override { all_.clear(); }

  [[nodiscard]] std::string_view name() const noexcept override { return kName; }
  [[nodiscard]] std::string_view policy() const noexcept override { return P::kName; }
  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override { return all_.find(key); }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    all_.find_run(keys, out);
  }
  PutOutcome put(EntryPtr entry) override {
    return all_.put(std::move(entry), reckon_retired(budget_));
  }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    return all_.replace_if(expected, std::move(next), reckon_retired(budget_));
  }
  bool erase(const KeyRef& key) noexcept override { return all_.erase(key); }
  std::size_t sweep(TimePoint now, std::size_t max) noexcept override {
    std::size_t dropped = 0;
    for (std::size_t left = max; left > 0;) {
      const SweepStep step = all_.sweep(now, std::min(left, kSweepChunk));
      dropped += step.dropped;
      if (step.reached_end) break;
      left -= step.looked;
    }
    return dropped;
  }
  void clear() noexcept override { all_.clear(); }
  void walk(const std::function<void(const Entry&)>& visit) const override { all_.walk(visit); }
  [[nodiscard]] L1Stats stats() const noexcept override {
    L1Stats sum;
    all_.add_stats(sum);
    return sum;
  }

 private:
  Shard<StdTable, P, std::mutex> all_;
  std::uint64_t budget_;
};

}  // namespace nearlane::l1
