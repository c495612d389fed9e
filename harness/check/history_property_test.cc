// The rule against a register that is known to be right, and against the same one made to lie.
#include <algorithm>
#include <ostream>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "harness/check/history.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBound = 250ms;
constexpr Node kNodes = 3;

TimePoint at(int ms) { return TimePoint(1h) + std::chrono::milliseconds(ms); }

enum class Kind : std::uint8_t { set, erase, read };
/// What becomes of a write, and whether its client learns.
enum class Fate : std::uint8_t { acknowledged, unknown, never };

/// One operation as its client sees it, and the moment at which it really took place.
struct Event {
  Kind kind = Kind::read;
  Node through = 0;
  int begin = 0;
  int moment = 0;
  int end = 0;
  Fate fate = Fate::acknowledged;  // of a write
  int delay = 0;                   // of a read: it brings what was true so many ms before `moment`
};

std::ostream& operator<<(std::ostream& out, const Event& event) {
  constexpr const char* kKinds[] = {"set", "erase", "read"};
  constexpr const char* kFates[] = {"", ", unknown", ", never"};
  return out << kKinds[static_cast<int>(event.kind)] << " at " << event.through << " ["
             << event.begin << ' ' << event.moment << ' ' << event.end << "] -" << event.delay
             << kFates[static_cast<int>(event.fate)];
}

/// It takes effect after it began, so that nobody can have seen it before.
rc::Gen<Event> any_event() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 10), rc::gen::inRange<int>(0, kNodes + 1),
                     rc::gen::inRange(0, 4000), rc::gen::inRange(1, 40), rc::gen::inRange(0, 40),
                     rc::gen::inRange(0, 12), rc::gen::inRange(0, 250)),
      [](const auto& drawn) {
        const auto [kind, through, begin, before, after, fate, delay] = drawn;
        Event event;
        event.kind = kind < 3 ? Kind::set : kind == 3 ? Kind::erase : Kind::read;
        event.through = through == kNodes ? kStore : static_cast<Node>(through);
        event.begin = begin;
        event.moment = begin + before;
        event.end = event.moment + after;
        event.fate = fate == 0 ? Fate::unknown : fate == 1 ? Fate::never : Fate::acknowledged;
        event.delay = event.through == kStore ? 0 : delay;
        return event;
      });
}

/// What the register holds from a moment on, and through whom it was written. Version 0 is absence.
struct State {
  int moment = -1;
  std::uint64_t version = 0;
  Node through = kStore;
};

/// Plays the events in the order in which clients would report them: by begins for writes, whose versions
/// are numbered then, and by ends. `twist` may change what a read brings.
template <class Twist>
HistoryReport play(const std::vector<Event>& events, Twist&& twist) {
  struct Step {
    int when;
    bool begins;  // after the ends of the same moment
    std::size_t event;
    bool operator<(const Step& other) const {
      return std::tie(when, begins, event) < std::tie(other.when, other.begins, other.event);
    }
  };
  std::vector<Step> steps;
  for (std::size_t i = 0; i < events.size(); ++i) {
    steps.push_back({events[i].begin, true, i});
    steps.push_back({events[i].end, false, i});
  }
  std::sort(steps.begin(), steps.end());

  std::vector<std::uint64_t> versions(events.size());
  std::vector<State> states(1);
  std::uint64_t number = 0;
  for (const Step& step : steps) {
    const Event& event = events[step.event];
    if (!step.begins || event.kind == Kind::read) continue;
    versions[step.event] = Stamp{.writer = 1, .number = ++number}.packed();
    if (event.fate == Fate::never) continue;
    states.push_back({.moment = event.moment,
                      .version = event.kind == Kind::set ? versions[step.event] : 0,
                      .through = event.through});
  }
  std::stable_sort(states.begin(), states.end(),
                   [](const State& a, const State& b) { return a.moment < b.moment; });

  // The last write that took place before the read and was answered no later: one connection may have sent both together.
  const auto write_before = [&](const Event& read) {
    std::uint64_t version = 0;
    int latest = -1;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const Event& write = events[i];
      if (write.kind == Kind::read || write.fate != Fate::acknowledged) continue;
      if (write.through != read.through || write.end > read.end) continue;
      if (write.moment > read.moment || write.moment <= latest) continue;
      latest = write.moment;
      version = versions[i];
    }
    return version;
  };

  History history({.bound = kBound});
  for (const Step& step : steps) {
    const Event& event = events[step.event];
    if (event.kind == Kind::read) {
      if (step.begins) continue;
      // The oldest state that an instance may still bring.
      std::uint64_t brought = 0;
      for (const State& state : states) {
        if (state.moment > event.moment) break;
        const bool must_know = state.moment <= event.moment - event.delay;
        if (must_know || state.through == event.through) brought = state.version;
      }
      brought = twist(event, states, brought);
      history.read("k", event.through, at(event.begin), at(step.when),
                   brought == 0 ? std::nullopt : std::optional(brought), write_before(event));
    } else if (step.begins) {
      const auto begun = event.kind == Kind::set
                             ? history.begin_set("k", 1, event.through, at(event.begin))
                             : history.begin_erase("k", 1, event.through, at(event.begin));
      RC_ASSERT(begun == versions[step.event]);
    } else {
      history.end_write("k", versions[step.event],
                        event.fate == Fate::acknowledged ? Effect::happened : Effect::unknown,
                        at(step.when));
    }
  }
  return history.take_report();
}

TEST(HistoryRule, NeverAccusesARegisterThatKeepsItsBound) {
  EXPECT_TRUE(rc::check([] {
    const auto events = *rc::gen::container<std::vector<Event>>(any_event());
    const auto report =
        play(events, [](const Event&, const auto&, std::uint64_t right) { return right; });
    RC_ASSERT(report.violations == std::vector<std::string>{});
    RC_ASSERT(report.lateness.max() <= kBound);
  }));
}

TEST(HistoryRule, CatchesOneReadBeyondTheBoundAmongAnyOthers) {
  EXPECT_TRUE(rc::check([] {
    auto events = *rc::gen::container<std::vector<Event>>(any_event());
    // After everything else: two acknowledged writes that do not overlap, and a read that brings the
    // first of them more than the bound after the second.
    const int late = *rc::gen::inRange(251, 3000);
    const int begin = 5012 + late;
    events.push_back({.kind = Kind::set, .begin = 5000, .moment = 5001, .end = 5002});
    events.push_back({.kind = Kind::set, .begin = 5010, .moment = 5011, .end = 5012});
    events.push_back(
        {.kind = Kind::read, .through = 1, .begin = begin, .moment = begin + 1, .end = begin + 2});
    const auto report =
        play(events, [begin](const Event& event, const auto& states, std::uint64_t right) {
          return event.begin == begin ? states[states.size() - 2].version : right;
        });
    RC_ASSERT(report.stale == 1U);
    RC_ASSERT(report.violation_count() == 1U);
    RC_ASSERT(report.lateness.max() == std::chrono::milliseconds(late));
  }));
}

}  // namespace
}  // namespace nearlane::harness
