// RefreshQueue: which keys are to be read from L2 without anybody asking, which of them first, and how fast.
//
// Hottest first: what was used since it was last fetched goes before what was not, then what is worth more, and
// among equals the one that changed last, because whoever touched a session is likely to ask for it again within
// seconds. A key waits once, however often it is wanted. Two token buckets pay for the reads: one counts them, the other their
// bytes, which are known only afterwards, so it may be in debt for a while.
//
//      want ──► waiting, at most `most_waiting`: the coldest is dropped ──► take, as the buckets allow
//                   │
//                   └── cancel: the key was forgotten for good
//
// Nothing here decides what may be served: what is taken is fetched and installed like any other read.
//
// Units:     reads and bytes a second; time as an argument.
// Errors:    none; what does not fit is dropped and said so.
// Threads:   any.
// Cost:      one lock and a step in a balanced tree; nothing on a hit.
// Source:    docs/decisions/0012-routing-without-the-1-in-n-law.md.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/entry/entry.h"

namespace nearlane::tier {

struct RefreshLimits {
  std::uint64_t reads_per_s = 1000;  // of one instance; 0: nothing is read unasked
  std::uint64_t bytes_per_s = std::uint64_t{64} << 20U;
  std::size_t most_waiting = 16'384;  // keys
};

/// Longer names are not read unasked, so that what waits stays within tens of megabytes.
inline constexpr std::size_t kMostNameBytes = 1024;

/// Why a key is read unasked.
enum class Unasked : std::uint8_t {
  refresh,   // somebody else changed it while it was hot here
  prefetch,  // somebody else has made it, and says that it may be asked for here
  refill,    // its lane was lost, and L1's copy disowned with it
  warmup,    // a hot-key list names it, and L1 has just begun
  count,
};

/// More than anything that an L1's policy finds its entries worth.
inline constexpr float kAskedForNow = std::numeric_limits<float>::infinity();

struct Wanted {
  Key key;
  Epoch epoch = 0;          // of its lane when it was wanted: a bump cancels it
  std::uint8_t unused = 0;  // how often it was fetched so since it was last used
  Unasked why = Unasked::refresh;
  float worth = kAskedForNow;  // the more, the sooner
};

class RefreshQueue {
 public:
  explicit RefreshQueue(const RefreshLimits& limits) noexcept : limits_(limits) {}

  /// Whether there is room for something so cold, or something colder in its place.
  [[nodiscard]] bool welcomes(std::uint8_t unused, float worth);
  /// False: it, or what was colder, was dropped; so is a name over kMostNameBytes.
  bool want(Wanted wanted);
  void cancel(const KeyRef& key) noexcept;
  /// All that are wanted for this reason; how many they were.
  std::size_t cancel_all(Unasked why) noexcept;
  /// The hottest, if it may be read by now.
  [[nodiscard]] std::optional<Wanted> take(TimePoint now);
  /// When take() may bring something; kForever: nothing waits.
  [[nodiscard]] TimePoint next(TimePoint now);
  /// What was taken last was not read.
  void refund() noexcept;
  /// A read has brought so many bytes.
  void charge(std::size_t bytes) noexcept;
  [[nodiscard]] std::size_t waiting() const noexcept {
    return waiting_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t waiting(Unasked why) const noexcept {
    return waiting_for_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
  }

 private:
  /// Unused, worth (negative), how long ago it was wanted: the map's first is the hottest.
  using Rank = std::tuple<std::uint8_t, float, std::uint64_t>;
  using Places = std::map<Rank, Wanted>;

  struct Bucket {
    double tokens = 0;
    double per_s = 0;
    double most = 0;

    void fill(Duration passed) noexcept;
    /// How long until there is as much as `amount`.
    [[nodiscard]] Duration until(double amount) const noexcept;
  };

  void fill(TimePoint now) noexcept;
  Wanted take_out(Places::iterator place) noexcept;

  const RefreshLimits limits_;
  std::atomic<std::size_t> waiting_{0};
  std::array<std::atomic<std::size_t>, static_cast<std::size_t>(Unasked::count)> waiting_for_{};
  std::mutex mutex_;
  Places places_;
  std::unordered_map<Key, Places::iterator, KeyHash, KeyEqual> by_key_;
  std::uint64_t latest_ = ~std::uint64_t{0};
  std::optional<TimePoint> filled_at_;
  Bucket reads_;
  Bucket bytes_;
};

}  // namespace nearlane::tier
