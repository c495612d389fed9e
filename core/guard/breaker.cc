#include "core/guard/breaker.h"

#include <algorithm>
#include <utility>

namespace nearlane::guard {

std::string_view name_of(Breaker::State state) noexcept {
  static constexpr std::array<std::string_view, 4> kNames = {"closed", "open", "half_open", "ramp"};
  return kNames[static_cast<std::size_t>(state)];
}

std::int64_t Breaker::part_of(TimePoint now) noexcept {
  return now.time_since_epoch() / (kWindow / kParts);
}

bool Breaker::admits(TimePoint now, std::uint32_t chance) {
  if (closed()) return true;
  const std::lock_guard lock(mutex_);
  close_if_ramp_is_over(now);
  if (state_ != State::ramp) return state_ == State::closed;
  // Another thread's clock may be a little behind.
  const auto steps = std::clamp<std::int64_t>((now - ramp_since_) / ramp_step_, 0, kRampSteps);
  return chance % (1U << (kRampSteps - static_cast<unsigned>(steps))) == 0;
}

void Breaker::note(bool failed, TimePoint now, std::uint32_t chance) {
  const std::lock_guard lock(mutex_);
  close_if_ramp_is_over(now);
  if (state_ == State::ramp) {
    ++ramp_.calls;
    ramp_.failures += failed ? 1 : 0;
    if (ramp_.calls >= kLeastCalls && ramp_.failures * kRampPart >= ramp_.calls) open(now, chance);
    return;
  }
  // What was asked before it opened may end later: it says nothing of now.
  if (state_ != State::closed) return;
  const std::int64_t number = part_of(now);
  Part& part = window_[static_cast<std::size_t>(number) % kParts];
  if (part.number != number) part = {.number = number};
  ++part.calls;
  if (!failed) return;
  ++part.failures;
  std::uint32_t calls = 0;
  std::uint32_t failures = 0;
  for (const Part& each : window_) {
    if (each.number <= number - static_cast<std::int64_t>(kParts)) continue;
    calls += each.calls;
    failures += each.failures;
  }
  if (calls >= kLeastCalls && 2 * failures >= calls) open(now, chance);
}

void Breaker::trip(TimePoint now, std::uint32_t chance) {
  const std::lock_guard lock(mutex_);
  close_if_ramp_is_over(now);
  if (state_ == State::closed || state_ == State::ramp) open(now, chance);
  away_ = true;
}

void Breaker::back(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(away_, false) && state_ == State::open)
    hold_until_ = std::min(hold_until_, now);
}

unsigned Breaker::probes_due(TimePoint now) {
  if (closed()) return 0;
  const std::lock_guard lock(mutex_);
  if (state_ != State::open || now < hold_until_) return 0;
  state_ = State::half_open;
  probes_left_ = kProbes;
  probes_failed_ = 0;
  return kProbes;
}

void Breaker::probed(bool failed, TimePoint now, std::uint32_t chance) {
  const std::lock_guard lock(mutex_);
  // Those that failed may have opened it already; the others end when they end.
  if (state_ != State::half_open || probes_left_ == 0) return;
  probes_failed_ += failed ? 1 : 0;
  // One may have gone down a connection that is being made.
  if (2 * probes_failed_ > kProbes) return open(now, chance);
  if (--probes_left_ != 0) return;
  state_ = State::ramp;
  ramp_since_ = now;
  ramp_step_ = std::clamp<Duration>((now - away_since_) / kRampSteps, Duration(1), kRampStep);
  ramp_ = {};
}

Breaker::State Breaker::state(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  return ramp_is_over(now) ? State::closed : state_.load();
}

void Breaker::open(TimePoint now, std::uint32_t chance) {
  if (state_ == State::closed && closed_since_ != TimePoint::min() &&
      now - closed_since_ >= kStable)
    openings_ = 0;
  if (state_ == State::closed) {
    away_since_ = now;
    away_ = false;  // of an outage before this one
  }
  const Duration hold = std::min(kLongestHold, kFirstHold * (1 << std::min(openings_, 8U)));
  // From half as long to half longer.
  const auto spread = hold / 2 + hold / 1024 * static_cast<std::int64_t>(chance % 1024);
  ++openings_;
  state_ = State::open;
  hold_until_ = now + spread;
  probes_left_ = 0;
}

void Breaker::close_if_ramp_is_over(TimePoint now) {
  if (!ramp_is_over(now)) return;
  state_ = State::closed;
  closed_since_ = ramp_since_ + kRampSteps * ramp_step_;
  window_ = {};
}

}  // namespace nearlane::guard
