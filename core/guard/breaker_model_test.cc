// The breaker under whatever comes, held against what it promises: random calls, outcomes, pauses and probes.
#include <deque>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/guard/breaker.h"

namespace nearlane::guard {
namespace {

using namespace std::chrono_literals;
using State = Breaker::State;

/// What the last second has seen while it was closed, call by call.
struct Window {
  std::deque<std::pair<TimePoint, bool>> calls;

  /// Tenths of a second are forgotten whole.
  static auto tenth(TimePoint at) { return at.time_since_epoch() / 100ms; }
  bool has_to_open(TimePoint now) {
    while (!calls.empty() && tenth(calls.front().first) <= tenth(now) - 10) calls.pop_front();
    std::size_t failures = 0;
    for (const auto& [at, failed] : calls) failures += failed ? 1 : 0;
    return calls.size() >= Breaker::kLeastCalls && 2 * failures >= calls.size();
  }
};

RC_GTEST_PROP(BreakerModel, KeepsItsPromisesWhateverComes, ()) {
  Breaker breaker;
  Window window;
  TimePoint now(1000s);
  TimePoint opened{};
  unsigned probing = 0;
  State before = State::closed;
  const auto steps = *rc::gen::container<std::vector<std::tuple<int, int, std::uint32_t>>>(
      400, rc::gen::tuple(rc::gen::inRange(0, 100), rc::gen::inRange(0, 300),
                          rc::gen::arbitrary<std::uint32_t>()));
  const bool bad = *rc::gen::arbitrary<bool>();
  for (const auto& [what, amount, chance] : steps) {
    if (what < 60) {
      const bool admitted = breaker.admits(now, chance);
      const State at = breaker.state(now);
      RC_ASSERT(!admitted || at == State::closed || at == State::ramp);
      RC_ASSERT(admitted || at != State::closed);
      if (admitted) {
        const bool failed = bad ? amount % 4 != 0 : amount % 8 == 0;
        if (at == State::closed) window.calls.emplace_back(now, failed);
        breaker.note(failed, now, chance);
        // It opens when it has to, and, closed, for no other reason.
        if (at == State::closed) {
          RC_ASSERT((breaker.state(now) == State::open) == (failed && window.has_to_open(now)));
        }
      }
    } else if (what < 75) {
      now += amount * 1ms;
    } else if (what < 85) {
      const unsigned due = breaker.probes_due(now);
      RC_ASSERT(due == 0 || (before == State::open && due == Breaker::kProbes));
      if (due != 0) probing = due;
      // A hold is never longer than this, so a store that is back is noticed.
      if (before == State::open && now - opened >= Breaker::kLongestHold * 3 / 2) {
        RC_ASSERT(due == Breaker::kProbes);
      }
    } else if (probing > 0) {
      --probing;
      breaker.probed(bad && amount % 2 == 0, now, chance);
    }
    const State at = breaker.state(now);
    if (at == State::open && before != State::open) {
      opened = now;
      window.calls.clear();
    }
    before = at;
  }
  // Whatever came before: once nothing fails any more, it is closed within five seconds.
  for (const TimePoint end = now + 5s; now < end; now += 10ms) {
    for (unsigned due = breaker.probes_due(now); probing + due > 0;) {
      due > 0 ? --due : --probing;
      breaker.probed(false, now, 7);
    }
    if (breaker.admits(now, 0)) breaker.note(false, now, 7);
  }
  RC_ASSERT(breaker.state(now) == State::closed);
}

}  // namespace
}  // namespace nearlane::guard
