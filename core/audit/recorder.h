// Recorder: the last things that befell keys, for whoever asks why a key is answered as it is.
//
// Two rings of fixed size. `kept` has the events of sampled keys and of the last kWatched keys that somebody
// asked for, which are so few that they reach back for minutes; `recent` has those of all other keys, which on a
// busy server reach back a second or so. Hits are no events: they write nothing here.
//
// An event names its key by the hash alone: two keys of one hash would be told as one.
//
// Units:     time on the monotonic clock.
// Threads:   any. A writer takes a place and fills it; a reader leaves out what is being written.
// Cost:      an event: one atomic addition, one exchange and four stores; a question: both rings once.
//            1.3 MiB, whatever happens.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/entry/entry.h"

namespace nearlane::audit {

enum class Event : std::uint8_t {
  fill,          // a value, or that there is none, was read from L2 and installed
  fill_dropped,  // it was read, and not installed: the key had changed meanwhile, or L1 may not have it
  write,         // a write of ours was acknowledged, and L1 took its value
  write_dropped,  // it ended otherwise, or L1 did not take its value
  touch,          // the deadline was moved
  push,           // L2 announced a change by others
  evict,  // L1 forgot it: before and after commands whose result it does not know, or after a verdict
  verdict,  // the auditor found it out of order
  bump,     // of the key's lane: everything read before is disowned
};
[[nodiscard]] std::string_view name_of(Event event) noexcept;

struct Happened {
  Event event;
  TimePoint at;
  Epoch epoch;  // of the answer, where there was one; of the lane, for a bump
};

class Recorder {
 public:
  static constexpr std::size_t kRecent = std::size_t{1} << 15U;
  static constexpr std::size_t kKept = std::size_t{1} << 13U;
  static constexpr std::size_t kWatched = 16;

  /// `keep`: the key is sampled.
  void record(Event event, std::uint64_t hash, Epoch epoch, bool keep, TimePoint now) noexcept;
  /// From now on the key's events are kept, until kWatched others were asked for.
  void watch(std::uint64_t hash) noexcept;
  [[nodiscard]] bool watched(std::uint64_t hash) const noexcept;
  /// Of one key, oldest first.
  [[nodiscard]] std::vector<Happened> of(std::uint64_t hash) const;
  /// Events of any key before this may have been forgotten.
  [[nodiscard]] TimePoint complete_since() const noexcept;

 private:
  static constexpr std::uint64_t kEmpty = 0;
  static constexpr std::uint64_t kWriting = ~std::uint64_t{0};
  struct Place {
    std::atomic<std::uint64_t> number{kEmpty};  // of the event, from 1, or one of the above
    std::atomic<std::uint64_t> hash{0};
    std::atomic<std::int64_t> at{0};
    std::atomic<std::uint64_t> what{0};  // event, and the epoch above it
  };
  template <std::size_t kSize>
  struct Ring {
    std::atomic<std::uint64_t> last{0};
    std::unique_ptr<std::array<Place, kSize>> places = std::make_unique<std::array<Place, kSize>>();
    void add(Event event, std::uint64_t hash, Epoch epoch, TimePoint now) noexcept;
    void collect(std::uint64_t hash, std::vector<Happened>& out) const;
    [[nodiscard]] TimePoint complete_since() const noexcept;
  };

  Ring<kRecent> recent_;
  Ring<kKept> kept_;
  std::array<std::atomic<std::uint64_t>, kWatched> watched_{};  // 0: none
  std::atomic<std::size_t> next_watched_{0};
};

}  // namespace nearlane::audit
