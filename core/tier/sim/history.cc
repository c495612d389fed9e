#include "core/tier/sim/history.h"

#include <algorithm>

namespace nearlane::sim {

History::History(std::size_t keys) : states_(keys) {
  for (auto& states : states_) {
    states.reserve(8);
    states.emplace_back();
  }
  places_.reserve(16);
}

void History::changed(std::size_t key, Version shown, TimePoint expires, Version write,
                      TimePoint now) {
  auto& states = states_[key];
  states.back().superseded = now;
  states.push_back({.shown = shown, .expires = expires});
  if (write == kNone) return;
  const auto index = static_cast<std::size_t>(write);
  if (places_.size() <= index) places_.resize(index + 1, kStartPlace);
  places_[index] = last_place(key);
}

int History::place_of(Version write) const noexcept {
  const auto index = static_cast<std::size_t>(write);
  return index < places_.size() ? places_[index] : kStartPlace;
}

int History::last_place(std::size_t key) const noexcept {
  return static_cast<int>(states_[key].size()) - 1;
}

bool History::may_serve(std::size_t key, Version shown, TimePoint when, Duration lease,
                        int floor) const noexcept {
  const auto& states = states_[key];
  for (std::size_t i = states.size(); i-- > static_cast<std::size_t>(floor);) {
    const State& state = states[i];
    if (state.superseded <= when - lease) return false;  // and so are all before it
    if (shown == kNone ? state.gone_by(when) : shown == state.shown && when < state.expires)
      return true;
  }
  return false;
}

bool History::may_answer(std::size_t key, Version shown, TimePoint asked, TimePoint answered,
                         Duration lease, int floor, int ceiling) const noexcept {
  const auto& states = states_[key];
  const auto end = std::min(states.size(), static_cast<std::size_t>(ceiling));
  for (std::size_t i = end; i-- > static_cast<std::size_t>(floor);) {
    const State& state = states[i];
    if (state.superseded <= asked - lease) return false;
    // A fill that was joined may have read the value as much as a lease before the asker came.
    if (shown == kNone ? state.gone_by(answered)
                       : shown == state.shown && asked - lease < state.expires)
      return true;
  }
  return false;
}

bool History::may_touch(std::size_t key, TimePoint asked, Duration lease, int floor,
                        TimePoint end) const noexcept {
  const auto& states = states_[key];
  for (std::size_t i = states.size(); i-- > static_cast<std::size_t>(floor);) {
    const State& state = states[i];
    if (state.superseded <= asked - lease) return false;
    if (state.shown != kNone && end <= state.expires) return true;
  }
  return false;
}

}  // namespace nearlane::sim
