// Breaker: whether L2 is asked at all. Where most calls fail, asking costs every caller its timeout and the store what
// little it can do; so for a while nobody is asked, then a few probes, then more and more.
//
//             half of at least 20 calls of a second failed,        hold is over         two of three probes answered
//     closed ────────────────────────────────────────────► open ────────────► half-open ───────────────► ramp
//        ▲                  or trip()                        ▲  two of them   │                          │  │
//        │                                                   └─────── failed ──┘      a quarter failed     │  │
//        │                                                   └────────────────────────────────────────────┘  │
//        └── all are admitted ◄──── twice as many each kRampStep, from one in 64 ────────────────────────────┘
//
// A ramp takes no longer than L2 was away: whoever was not asked for a moment has no herd before it.
// A hold is twice the one before, up to kLongestHold, until the breaker has been closed for a minute: what flaps is left
// alone for longer. It is spread by half, so that instances do not probe together. Probes are ours, no user's call.
//
// A hold is for an L2 that hangs, which nothing but a probe can tell. One that was away (trip) and is there again (back)
// is probed at once.
//
// Time and chance are arguments, so a test owns them.
//
// Threads:   any. A closed breaker admits without a lock, and whether anybody is asked is one load; every outcome
//            takes a lock.
// Cost:      an outcome, one lock. Not on the path of a hit.
// Source:    Nygard, "Release It!", 2007, chapter 5; the ramp against the herd after it closes; hard failures and flap
//            memory as mcrouter's TKO. docs/decisions/0017-when-l2-is-not-asked.md.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "core/base/clock.h"

namespace nearlane::guard {

class Breaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open, ramp };

  static constexpr Duration kWindow = std::chrono::seconds(1);
  static constexpr std::uint32_t kLeastCalls = 20;  // of a window, before it says anything
  static constexpr Duration kFirstHold = std::chrono::milliseconds(200);
  /// Short, because L2 has to be back in full within five seconds, and a hold costs three PINGs.
  static constexpr Duration kLongestHold = std::chrono::milliseconds(800);
  static constexpr Duration kStable = std::chrono::seconds(60);
  static constexpr unsigned kProbes = 3;
  static constexpr Duration kRampStep = std::chrono::milliseconds(100);
  static constexpr unsigned kRampSteps = 6;      // from one in 2^6 on
  static constexpr std::uint32_t kRampPart = 4;  // one failure in so many ends a ramp

  /// Whether a call may go to L2. `chance`: any number, evenly drawn.
  [[nodiscard]] bool admits(TimePoint now, std::uint32_t chance);
  /// How a call that was admitted ended.
  void note(bool failed, TimePoint now, std::uint32_t chance);
  /// L2 is known to be away, whatever the calls say.
  void trip(TimePoint now, std::uint32_t chance);
  /// It is there again. Says nothing where it was not known to be away.
  void back(TimePoint now);

  /// How many probes are to be sent now. Each has to be told of by probed().
  [[nodiscard]] unsigned probes_due(TimePoint now);
  void probed(bool failed, TimePoint now, std::uint32_t chance);

  [[nodiscard]] State state(TimePoint now) const;
  /// No call is admitted, whatever chance says.
  [[nodiscard]] bool refuses_all() const noexcept {
    const State state = state_.load(std::memory_order_relaxed);
    return state == State::open || state == State::half_open;
  }

 private:
  static constexpr std::size_t kParts = 10;  // of the window
  struct Part {
    std::int64_t number = -1;  // of the tenths of a second since the clock began
    std::uint32_t calls = 0;
    std::uint32_t failures = 0;
  };

  /// Or was, when somebody last asked: a ramp ends by itself.
  [[nodiscard]] bool closed() const noexcept {
    return state_.load(std::memory_order_relaxed) == State::closed;
  }
  void open(TimePoint now, std::uint32_t chance);
  [[nodiscard]] bool ramp_is_over(TimePoint now) const noexcept {
    return state_ == State::ramp && now - ramp_since_ >= kRampSteps * ramp_step_;
  }
  void close_if_ramp_is_over(TimePoint now);
  [[nodiscard]] static std::int64_t part_of(TimePoint now) noexcept;

  mutable std::mutex mutex_;  // of the rest, and of changes of the state
  std::atomic<State> state_ = State::closed;
  std::array<Part, kParts> window_{};
  TimePoint closed_since_ = TimePoint::min();
  TimePoint hold_until_{};
  bool away_ = false;       // trip, and not yet back
  TimePoint away_since_{};  // when it opened, having been closed
  TimePoint ramp_since_{};
  Duration ramp_step_ = kRampStep;
  Part ramp_;              // what came of the calls since then
  unsigned openings_ = 0;  // in a row
  unsigned probes_left_ = 0;
  unsigned probes_failed_ = 0;
};

[[nodiscard]] std::string_view name_of(Breaker::State state) noexcept;

}  // namespace nearlane::guard
