// Watched keys: what counts as a change, who is told, and that a client may leave at any time.
#include "core/cohere/watch.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::cohere {
namespace {

class WatchTest : public testing::Test {
 protected:
  void watch(Watch& who, std::string_view name, std::uint32_t db = 0) {
    watches.add(who, db, name, is_there(db, name));
  }
  bool holds(Watch& who) {
    return watches.holds(who, [this](auto db, auto name) { return is_there(db, name); });
  }
  bool is_there(std::uint32_t db, std::string_view name) const {
    return there.contains({db, std::string(name)});
  }

  std::set<std::pair<std::uint32_t, std::string>> there;
  Watches watches;
};

TEST_F(WatchTest, HoldsWhileNobodyChangesAnythingOfIt) {
  Watch one;
  there.insert({0, "k"});
  watch(one, "k");
  watch(one, "absent");
  watches.changed(0, "other");
  watches.changed(1, "k");
  EXPECT_TRUE(holds(one)) << "the same name in another database is another key";
  Watch nothing;
  EXPECT_TRUE(holds(nothing));
}

TEST_F(WatchTest, WhatCameOrWentBetweenTwoWatchesIsAChange) {
  Watch one;
  watch(one, "k");
  there.insert({0, "k"});
  watch(one, "k");
  there.clear();
  EXPECT_FALSE(holds(one)) << "it is away as it was first, and was there between";
  Watch same;
  watch(same, "k");
  watch(same, "k");
  EXPECT_TRUE(holds(same));
}

TEST_F(WatchTest, AWriteChangesAllWhoWatchTheKey) {
  Watch one;
  Watch two;
  Watch three;
  watch(one, "k");
  watch(two, "k");
  watch(two, "j");
  watch(three, "j");
  watches.changed(0, "k");
  EXPECT_FALSE(holds(one));
  EXPECT_FALSE(holds(two));
  EXPECT_TRUE(holds(three)) << "who has left takes nobody along";
}

TEST_F(WatchTest, WhatIsGoneOrNewIsAChange) {
  there.insert({0, "k"});
  Watch gone;
  watch(gone, "k");
  Watch made;
  watch(made, "new");
  there = {{0, "new"}};
  EXPECT_FALSE(holds(gone));
  EXPECT_FALSE(holds(made));
}

TEST_F(WatchTest, WhatWasChangedOnceStaysSo) {
  Watch one;
  watch(one, "k");
  watches.changed(0, "k");
  watch(one, "k");
  EXPECT_FALSE(holds(one)) << "to watch it again does not mend it";
}

TEST_F(WatchTest, SaysTheSameWhenItIsAskedAgain) {
  Watch one;
  watch(one, "k");
  EXPECT_TRUE(holds(one));
  watches.changed(0, "k");
  there.insert({0, "k"});
  EXPECT_TRUE(holds(one)) << "a transaction that could not be kept is executed again";
  Watch two;
  watch(two, "new");
  there.insert({0, "new"});
  EXPECT_FALSE(holds(two));
  there.clear();
  EXPECT_FALSE(holds(two)) << "and one that was stopped is not";
}

TEST_F(WatchTest, KnowsWhenNobodyWatches) {
  EXPECT_TRUE(watches.empty());
  {
    Watch one;
    watch(one, "k");
    watch(one, "k");
    EXPECT_FALSE(watches.empty());
    Watch two;
    watch(two, "k");
    EXPECT_TRUE(holds(two));
    EXPECT_FALSE(watches.empty());
  }
  EXPECT_TRUE(watches.empty()) << "who ends watches no longer";
  Watch changed;
  watch(changed, "k");
  watches.changed(0, "k");
  EXPECT_TRUE(watches.empty());
}

TEST_F(WatchTest, MayOutliveWhatItWatches) {
  auto short_lived = std::make_unique<Watches>();
  Watch one;
  short_lived->add(one, 0, "k", false);
  short_lived.reset();
}

TEST_F(WatchTest, ClientsLeaveFromTheirOwnThreads) {
  constexpr int kRounds = 20'000;
  std::mutex lock;
  std::shared_ptr<Watch> leaving;
  const auto exchange = [&](std::shared_ptr<Watch> next) {
    const std::lock_guard guard(lock);
    return std::exchange(leaving, std::move(next));
  };
  std::atomic<bool> done{false};
  std::jthread other([&] {
    while (!done) (void)exchange(nullptr);
  });
  for (int i = 0; i < kRounds; ++i) {
    auto one = std::make_shared<Watch>();
    watch(*one, "k");
    watch(*one, std::to_string(i % 7));
    (void)exchange(std::move(one));
    watches.changed(0, i % 2 == 0 ? "k" : "3");
  }
  done = true;
  other.join();
  (void)exchange(nullptr);
  EXPECT_TRUE(watches.empty());
}

}  // namespace
}  // namespace nearlane::cohere
