// ReuseModel: how likely an entry is to be used again, by what is known of it and how long ago it was last
// used. Measured while the cache runs, and the one thing that the adaptive policy knows.
//
// Time is counted in ticks, one for each 1/32 of the capacity that is inserted; hits do not move it. What is
// known of an entry are the 16 bits of a Use: the tick of its last use, how often it was used, and how long
// the interval before the last use was. The last two make its class, one of 19. A life begins with every
// use and ends with the next one, and for each class and age the model counts lives and uses: their
// quotient is the hazard, the probability of a use in a tick. Evicted keys go on being measured by way of the
// policy's ghosts, so what the policy chose to keep does not bias what it learns.
//
// There are two memories. The slow one loses a tenth in the time of a capacity; the fast one, of about five
// ticks, says how the present differs from it. A class that has seen few lives leans on all classes of its
// number of uses, and those lean on all, in proportion to a power of the number of uses.
//
// The rank of a class at an age is its Gittins index: the best, over all times that one could go on waiting,
// of the probability of a use until then by the time waited. Where recency foretells reuse the ranks order as
// LRU does, where frequency does as LFU, and in a loop longer than the cache holds the old outrank the new.
//
// Threads:   any. Uses are recorded under a lock that nobody waits for: what finds it taken is not recorded,
//            which only thins the sample. now(), measured() and rank() are single relaxed loads.
// Cost:      a use that is recorded, two counters. A tick moves 10 KB and, at most once in 32 insertions,
//            computes 342 ranks, about 20 us. 17 KB a model.
// Source:    the index: Gittins, "Bandit processes and dynamic allocation indices", 1979; hits for the space
//            and time they take: Beckmann, Chen, Cidon, "LHD", NSDI 2018.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace nearlane::l1 {

/// What is known of an entry's uses; it lies in the entry's mark.
class Use {
 public:
  static constexpr unsigned kTickBits = 9;
  static constexpr unsigned kTicks = 1U << kTickBits;
  static constexpr unsigned kMostUses = 15;
  static constexpr unsigned kUnordered = 8;  // ticks by which two threads may differ

  constexpr Use() noexcept = default;
  constexpr explicit Use(std::uint16_t bits) noexcept : bits_(bits) {}
  /// `uses` beyond the first; `interval` 0 where there was none, else 1 to 3, the longest.
  constexpr Use(unsigned uses, unsigned interval, std::uint32_t tick) noexcept
      : bits_(static_cast<std::uint16_t>(uses << 12U | interval << 10U | (tick & (kTicks - 1)))) {}

  [[nodiscard]] constexpr std::uint16_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr unsigned uses() const noexcept { return bits_ >> 12U; }
  [[nodiscard]] constexpr unsigned interval() const noexcept { return (bits_ >> 10U) & 3U; }
  /// Ticks since the last use, modulo kTicks. A use in a tick that has not come yet for whoever asks, because other
  /// threads move the tick and marks and are seen in any order, is one of now.
  [[nodiscard]] constexpr unsigned age(std::uint32_t now) const noexcept {
    const unsigned ticks = (now - bits_) & (kTicks - 1);
    return ticks > kTicks - kUnordered ? 0 : ticks;
  }

 private:
  std::uint16_t bits_ = 0;
};

class ReuseModel {
 public:
  /// The resolution of recency: LRU's order to 1/32 of the capacity.
  static constexpr unsigned kTicksPerCapacity = 32;
  /// Ages are followed for 8 capacities, half of what a Use can tell apart.
  static constexpr unsigned kHorizon = 256;

  /// For a cache of `capacity` in the units of inserted().
  explicit ReuseModel(std::uint64_t capacity) noexcept;

  [[nodiscard]] std::uint32_t now() const noexcept { return now_.load(std::memory_order_relaxed); }
  /// Whether the key's lives are recorded. All are while the cache holds fewer than 8192 entries, then
  /// as many as make 4096 to 8191 residents, but one in 64 at least.
  [[nodiscard]] bool measured(std::uint64_t hash) const noexcept {
    return ((hash >> 40U) & mask_.load(std::memory_order_relaxed)) == 0;
  }
  /// Expected uses a tick. Within a bin of ages the younger is a little better.
  [[nodiscard]] float rank(Use use) const noexcept {
    const unsigned age = std::min(use.age(now()), kHorizon - 1);
    return ranks_[class_of(use)][bin_of(age)].load(std::memory_order_relaxed) *
           (1.0F - 1e-4F * static_cast<float>(age));
  }
  /// What is known after one more use at `age`, at least 1.
  [[nodiscard]] Use used(Use before, unsigned age) const noexcept {
    const unsigned interval = age <= kTicksPerCapacity / 8   ? 1
                              : age <= kTicksPerCapacity / 2 ? 2
                                                             : 3;
    return {std::min(before.uses() + 1, Use::kMostUses), interval, now()};
  }

  /// A key that was not known has been inserted.
  void begin(Use use) noexcept;
  /// A use has ended one life and begun another.
  void use(Use before, Use after) noexcept;
  /// The entry was deleted or has expired: its life says nothing of reuse.
  void end(Use use) noexcept;
  /// Counts an insertion into a cache that now holds about `residents`; time may tick.
  void inserted(std::uint64_t weight, std::uint64_t residents) noexcept;

 private:
  static constexpr unsigned kLevels = 7;  // of the number of uses: 1, 2, 3, 4-5, 6-8, 9-12, more
  static constexpr unsigned kIntervals =
      3;  // the last one up to 1/8, up to 1/2, above 1/2 of the capacity
  static constexpr unsigned kClasses = 1 + (kLevels - 1) * kIntervals;  // one use has no interval
  static constexpr unsigned kBins = 18;  // of ages, about half-octaves, exact below 5 ticks
  static constexpr std::array<unsigned, kBins + 1> kStart{
      0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 161, 193, kHorizon};
  using Table = std::array<std::array<float, kBins>, kClasses>;

  static constexpr auto kBinOf = [] {
    std::array<std::uint8_t, kHorizon> bins{};
    for (unsigned bin = 0; bin < kBins; ++bin) {
      for (unsigned age = kStart[bin]; age < kStart[bin + 1]; ++age) {
        bins[age] = static_cast<std::uint8_t>(bin);
      }
    }
    return bins;
  }();
  static constexpr std::array<std::uint8_t, Use::kMostUses + 1> kLevelOf{0, 1, 2, 3, 3, 4, 4, 4,
                                                                         5, 5, 5, 5, 6, 6, 6, 6};
  static unsigned bin_of(unsigned age) noexcept { return kBinOf[age]; }
  static unsigned class_of(Use use) noexcept {
    const unsigned level = kLevelOf[use.uses()];
    return level == 0 ? 0 : (level - 1) * kIntervals + std::max(1U, use.interval());
  }
  static unsigned level_of_class(unsigned kind) noexcept {
    return kind == 0 ? 0 : 1 + (kind - 1) / kIntervals;
  }
  static float width(unsigned bin) noexcept {
    return static_cast<float>(kStart[bin + 1] - kStart[bin]);
  }

  void begin_locked(Use use) noexcept;
  void tick() noexcept;
  void estimate(unsigned bin, Table& hazard) const noexcept;
  void compute_ranks() noexcept;

  // Hits read this line, and only a tick writes it.
  alignas(64) std::atomic<std::uint32_t> now_{0};
  std::atomic<std::uint32_t> mask_{0};
  const std::uint64_t tick_weight_;
  alignas(64) std::atomic<std::uint64_t> weight_{0};  // inserted since the last tick
  std::array<std::array<std::atomic<float>, kBins>, kClasses> ranks_{};

  alignas(64) std::mutex mutex_;  // of the rest
  std::uint64_t insertions_ = 0;  // since the ranks were computed
  std::array<std::array<std::uint16_t, kHorizon>, kClasses>
      alive_{};  // lives by class and present age
  Table slow_uses_{};
  Table slow_lives_{};  // a life counts once in each tick
  Table fast_uses_{};
  Table fast_lives_{};
};

}  // namespace nearlane::l1
