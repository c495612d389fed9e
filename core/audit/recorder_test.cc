#include "core/audit/recorder.h"

#include <thread>

#include <gtest/gtest.h>

namespace nearlane::audit {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kKey = 42;

TEST(Recorder, TellsWhatBefellAKeyInOrder) {
  Recorder recorder;
  const TimePoint start(1000s);
  recorder.record(Event::fill, kKey, 3, false, start);
  recorder.record(Event::fill, kKey + 1, 3, false, start + 1s);
  recorder.record(Event::push, kKey, 0, false, start + 2s);
  const auto events = recorder.of(kKey);
  ASSERT_EQ(events.size(), 2);
  EXPECT_EQ(events[0].event, Event::fill);
  EXPECT_EQ(events[0].epoch, 3);
  EXPECT_EQ(events[0].at, start);
  EXPECT_EQ(events[1].event, Event::push);
  EXPECT_EQ(recorder.complete_since(), TimePoint::min());
}

TEST(Recorder, ForgetsTheOldestAndSaysSinceWhenItIsComplete) {
  Recorder recorder;
  TimePoint now(1000s);
  for (std::size_t i = 0; i < Recorder::kRecent + 10; ++i)
    recorder.record(Event::fill, i + 1, 1, false, now += 1ms);
  EXPECT_TRUE(recorder.of(10).empty());
  EXPECT_EQ(recorder.of(Recorder::kRecent + 10).size(), 1);
  EXPECT_EQ(recorder.complete_since(), TimePoint(1000s) + 11ms);
  EXPECT_EQ(recorder.of(11).size(), 1);
}

TEST(Recorder, KeepsSampledAndWatchedKeysWhenOthersAreForgotten) {
  Recorder recorder;
  TimePoint now(1000s);
  recorder.record(Event::write, 1, 1, true, now);
  recorder.watch(2);
  EXPECT_TRUE(recorder.watched(2));
  recorder.record(Event::write, 2, 1, false, now);
  recorder.record(Event::write, 3, 1, false, now);
  for (std::size_t i = 0; i < 2 * Recorder::kRecent; ++i)
    recorder.record(Event::fill, i + 100, 1, false, now += 1ms);
  EXPECT_EQ(recorder.of(1).size(), 1);
  EXPECT_EQ(recorder.of(2).size(), 1);
  EXPECT_TRUE(recorder.of(3).empty());
}

TEST(Recorder, IsCompleteSinceTheLaterOfWhatItsTwoRingsForgot) {
  Recorder recorder;
  TimePoint now(1000s);
  for (std::size_t i = 0; i < Recorder::kKept + 10; ++i)
    recorder.record(Event::touch, 1, 1, true, now += 1ms);
  EXPECT_EQ(recorder.complete_since(), TimePoint(1000s) + 11ms)
      << "the other one has forgotten nothing";
}

TEST(Recorder, WatchesTheLastOnesAskedFor) {
  Recorder recorder;
  for (std::uint64_t key = 1; key <= Recorder::kWatched + 1; ++key) {
    recorder.watch(key);
    recorder.watch(key);  // asked again, it takes no second place
  }
  EXPECT_FALSE(recorder.watched(1));
  for (std::uint64_t key = 2; key <= Recorder::kWatched + 1; ++key)
    EXPECT_TRUE(recorder.watched(key));
}

TEST(Recorder, NeverTakesTheFieldsOfTwoEventsForOne) {
  Recorder recorder;
  std::atomic<bool> enough{false};
  std::atomic<std::uint64_t> written{0};
  std::vector<std::jthread> writers;
  writers.reserve(2);
  for (int writer = 0; writer < 2; ++writer) {
    writers.emplace_back([&] {
      // All fields of an event say the same number.
      for (std::uint64_t i = 0; !enough.load(std::memory_order_relaxed); ++i) {
        const std::uint64_t same = i % 8 + 1;
        recorder.record(Event::fill, same, static_cast<Epoch>(same), false,
                        TimePoint(Duration(static_cast<std::int64_t>(same))));
        written.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  // Read until the ring was written over many times while somebody was looking.
  std::uint64_t seen = 0;
  std::uint64_t mixed = 0;
  while (seen == 0 || written.load(std::memory_order_relaxed) < 10 * Recorder::kRecent) {
    for (const Happened& happened : recorder.of(5)) {
      ++seen;
      if (happened.epoch != 5 || happened.at != TimePoint(Duration(5))) ++mixed;
    }
  }
  enough = true;
  EXPECT_EQ(mixed, 0) << "of " << seen;
}

}  // namespace
}  // namespace nearlane::audit
