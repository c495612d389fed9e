#include "core/tier/refresh_queue.h"

#include <string>

#include <gtest/gtest.h>

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kNow{std::chrono::seconds(1000)};

Wanted wanted(const std::string& name, std::uint8_t unused = 0, Epoch epoch = 1) {
  return {.key = Key(0, name), .epoch = epoch, .unused = unused};
}

std::string take(RefreshQueue& queue, TimePoint now = kNow) {
  const auto taken = queue.take(now);
  return taken ? taken->key.name : "";
}

TEST(RefreshQueue, GivesTheUsedBeforeTheUnusedAndTheLatestFirst) {
  RefreshQueue queue({});
  for (const auto& [name, unused] : {std::pair{"cold", 2}, {"old", 0}, {"cool", 1}, {"new", 0}})
    EXPECT_TRUE(queue.want(wanted(name, static_cast<std::uint8_t>(unused))));
  EXPECT_EQ(take(queue), "new");
  EXPECT_EQ(take(queue), "old");
  EXPECT_EQ(take(queue), "cool");
  EXPECT_EQ(take(queue), "cold");
  EXPECT_EQ(take(queue), "");
  EXPECT_EQ(queue.next(kNow), kForever);
}

TEST(RefreshQueue, GivesWhatIsWorthMoreBeforeWhatChangedLater) {
  RefreshQueue queue({.most_waiting = 3});
  const auto want = [&](const std::string& name, float worth) {
    Wanted one = wanted(name);
    one.worth = worth;
    EXPECT_TRUE(queue.welcomes(one.unused, worth));
    queue.want(one);
  };
  want("warm", 2);
  want("cold", 1);
  want("hot", 3);
  EXPECT_FALSE(queue.welcomes(0, 0.5F)) << "full, and nothing is colder";
  want("asked for", kAskedForNow);  // in the place of the coldest
  EXPECT_EQ(take(queue), "asked for");
  EXPECT_EQ(take(queue), "hot");
  EXPECT_EQ(take(queue), "warm");
  EXPECT_EQ(take(queue), "");
}

TEST(RefreshQueue, LetsAKeyWaitOnceAsHotAsItEverWas) {
  RefreshQueue queue({});
  queue.want(wanted("a", 0));
  queue.want(wanted("b", 1));
  queue.want(wanted("a", 2));
  EXPECT_EQ(queue.waiting(), 2U);
  const auto first = queue.take(kNow);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->key.name, "a");
  EXPECT_EQ(first->unused, 0);
  EXPECT_EQ(take(queue), "b");
}

TEST(RefreshQueue, TakesTheEpochOfTheLastWhoWantedIt) {
  RefreshQueue queue({});
  queue.want(wanted("a", 0, 1));
  queue.want(wanted("a", 2, 2));
  const auto taken = queue.take(kNow);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->epoch, 2U);
  EXPECT_EQ(taken->unused, 2) << "what it was under the lost epoch is not known any more";
}

TEST(RefreshQueue, DropsTheColdestWhenFull) {
  RefreshQueue queue({.most_waiting = 2});
  EXPECT_TRUE(queue.want(wanted("a", 1)));
  EXPECT_TRUE(queue.want(wanted("b", 0)));
  EXPECT_FALSE(queue.want(wanted("c", 0)));
  EXPECT_FALSE(queue.want(wanted("d", 2)));
  EXPECT_EQ(take(queue), "c");
  EXPECT_EQ(take(queue), "b");
  EXPECT_EQ(take(queue), "");
}

TEST(RefreshQueue, ForgetsWhatIsCancelled) {
  RefreshQueue queue({});
  queue.want(wanted("a"));
  queue.want(wanted("b"));
  queue.cancel(KeyRef(0, "b"));
  queue.cancel(KeyRef(1, "a"));
  EXPECT_EQ(take(queue), "a");
  EXPECT_EQ(queue.waiting(), 0U);
}

TEST(RefreshQueue, ReadsNoFasterThanItsRate) {
  RefreshQueue queue({.reads_per_s = 100});
  for (int i = 0; i < 1000; ++i) queue.want(wanted(std::to_string(i)));
  int taken = 0;
  TimePoint now = kNow;
  for (; now < kNow + milliseconds(1000); now = queue.next(now)) {
    while (queue.take(now)) ++taken;
    ASSERT_GT(queue.next(now), now);
  }
  EXPECT_GE(taken, 109);
  EXPECT_LE(taken, 111) << "a tenth of a second's at once, and a second's";
}

TEST(RefreshQueue, WaitsUntilTheBytesArePaidFor) {
  RefreshQueue queue({.bytes_per_s = 1000});
  queue.want(wanted("a"));
  queue.want(wanted("b"));
  EXPECT_EQ(take(queue), "b");
  queue.charge(2100);
  EXPECT_EQ(take(queue), "");
  const TimePoint next = queue.next(kNow);
  EXPECT_GE(next, kNow + milliseconds(2000));
  EXPECT_LE(next, kNow + milliseconds(2001));
  EXPECT_EQ(take(queue, next - milliseconds(2)), "");
  EXPECT_EQ(take(queue, next), "a");
}

TEST(RefreshQueue, WantsNothingWithoutARate) {
  RefreshQueue queue({.reads_per_s = 0});
  EXPECT_FALSE(queue.want(wanted("a")));
  EXPECT_EQ(queue.waiting(), 0U);
}

}  // namespace
}  // namespace nearlane::tier
