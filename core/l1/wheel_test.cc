#include "core/l1/wheel.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nearlane::l1 {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Entries in cells on a wheel, as a shard has them.
class Scheduled {
 public:
  CellId add(TimePoint deadline) {
    entries_.push_back(Entry::build(KeyRef(0, "k"), "v", deadline, 0));
    const CellId cell = cells_.take(entries_.back().get());
    wheel_.schedule(cell, deadline);
    live_[entries_.back().get()] = deadline;
    return cell;
  }
  Wheel::Step expire(TimePoint now, std::size_t max) {
    return wheel_.expire(now, max, cells_, [&](const Entry* entry) {
      if (live_.at(entry) > now) ++early_;
      drop(entry);
    });
  }
  void drop(const Entry* entry) {
    wheel_.cancel(entry->cell());
    cells_.give_back(entry->cell());
    live_.erase(entry);
  }
  void move(const Entry* entry, TimePoint deadline) {
    const bool earlier = deadline < live_.at(entry);
    live_[entry] = deadline;
    entry->set_deadline(deadline);
    if (earlier) wheel_.reschedule(entry->cell(), deadline);
  }
  [[nodiscard]] const std::map<const Entry*, TimePoint>& live() const { return live_; }
  /// What was dropped before its time.
  [[nodiscard]] std::size_t early() const { return early_; }
  [[nodiscard]] std::size_t expired_by(TimePoint now) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(live_, [&](const auto& each) { return each.second <= now; }));
  }

 private:
  std::vector<EntryPtr> entries_;
  Cells cells_;
  Wheel wheel_;
  std::map<const Entry*, TimePoint> live_;
  std::size_t early_ = 0;
};

constexpr TimePoint kStart{hours(1000)};

TEST(Wheel, DropsEachEntryOnTimeAtEveryDistance) {
  for (const Duration distance :
       {Duration(0), Duration(1), Duration(milliseconds(1)), Duration(milliseconds(33)),
        Duration(milliseconds(34)), Duration(seconds(1)), Duration(seconds(3)),
        Duration(seconds(140)), Duration(hours(1)), Duration(hours(24)), Duration(hours(24 * 365)),
        Duration(hours(24 * 365 * 60))}) {
    Scheduled all;
    all.expire(kStart, 10);
    all.add(kStart + distance);
    if (distance > Duration(0)) {
      all.expire(kStart + distance - Duration(1), 10);
      EXPECT_EQ(all.live().size(), 1U) << distance.count();
    }
    all.expire(kStart + distance, 10);
    EXPECT_EQ(all.live().size(), 0U) << distance.count();
  }
}

TEST(Wheel, LeavesWhatNeverExpires) {
  Scheduled all;
  all.add(kForever);
  EXPECT_TRUE(all.expire(kStart, 10).reached_end);
  EXPECT_TRUE(all.expire(TimePoint(Duration(std::numeric_limits<std::int64_t>::max() - 1)), 10)
                  .reached_end);
  EXPECT_EQ(all.live().size(), 1U);
}

TEST(Wheel, AMillionKeysOfOneSecondNeverCostOneCallMoreThanItsShare) {
  Scheduled all;
  constexpr std::size_t kKeys = 1'000'000;
  constexpr std::size_t kShare = 256;
  all.expire(kStart, 1);
  for (std::size_t i = 0; i < kKeys; ++i) {
    all.add(kStart + seconds(60) + Duration(static_cast<std::int64_t>(i) * 1000));
  }
  const TimePoint now = kStart + seconds(61);
  std::size_t calls = 0;
  std::size_t looked = 0;
  for (bool end = false; !end; ++calls) {
    const auto step = all.expire(now, kShare);
    ASSERT_LE(step.looked, kShare);
    looked += step.looked;
    end = step.reached_end;
  }
  EXPECT_EQ(all.live().size(), 0U);
  EXPECT_EQ(looked, kKeys) << "each is looked at once, for it came straight from its slot";
  EXPECT_LE(calls, kKeys / kShare + 2);
}

TEST(Wheel, FindsAllThatHasExpiredAndNothingElse) {
  const bool held = rc::check([] {
    Scheduled all;
    TimePoint now = kStart;
    const auto distance = [] {
      // From nanoseconds to years, each scale as likely.
      const int bits = *rc::gen::inRange(0, 56);
      return Duration(*rc::gen::inRange<std::int64_t>(0, (std::int64_t{1} << bits) + 1));
    };
    const int steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
        case 1:
          all.add(now + distance());
          break;
        case 2: {
          if (all.live().empty()) break;
          auto at = all.live().begin();
          std::advance(at, *rc::gen::inRange<int>(0, static_cast<int>(all.live().size())));
          all.move(at->first, now + distance());
          break;
        }
        default: {
          now += distance();
          while (!all.expire(now, 3).reached_end) {
          }
          RC_ASSERT(all.expired_by(now) == 0U);
          RC_ASSERT(all.early() == 0U);
        }
      }
    }
    const auto left = all.live().size();
    const auto due = all.expired_by(now);
    while (!all.expire(now, 100).reached_end) {
    }
    RC_ASSERT(all.live().size() == left - due);
    RC_ASSERT(all.early() == 0U);
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace nearlane::l1
