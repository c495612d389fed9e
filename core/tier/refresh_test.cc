// What the tier reads unasked, what it says to others, and which touches it answers itself, over a store that the
// test speaks for.
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The embedded store, with others' changes and hints by hand.
class Shared final : public l2::ForwardingBackend {
 public:
  Shared() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)) {}
  void start(l2::Listener& listener) override {
    heard = &listener;
    ForwardingBackend::start(listener);
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == l2::Op::fetch) ++fetches;
    if (call->command.op == l2::Op::transact) ++transactions;
    if (held) return held->push_back(std::move(call));
    ForwardingBackend::submit(std::move(call));
  }
  void hint(std::string_view what) noexcept override { hints.emplace_back(what); }

  void release() {
    auto calls = *std::exchange(held, std::nullopt);
    for (auto& call : calls) ForwardingBackend::submit(std::move(call));
  }

  l2::Listener* heard = nullptr;
  std::optional<std::vector<std::unique_ptr<l2::Call>>> held;  // set: calls wait here
  int fetches = 0;
  int transactions = 0;
  std::vector<std::string> hints;
};

class RefreshTest : public testing::Test {
 protected:
  explicit RefreshTest(const KeyRules& rules = {.touch_coalescing = true,
                                                .refresh = true,
                                                .prefetch = true},
                       RefreshLimits limits = {}) {
    auto l2 = std::make_unique<Shared>();
    store = l2.get();
    TierConfig config{
        .prefixes = {{.match = "s:", .rules = rules}},
        .after = [this](Duration delay,
                        std::function<void()> task) { tasks.emplace_back(delay, std::move(task)); },
        .refresh = limits};
    tier = std::make_unique<TieredCache>(
        std::move(config),
        *l1::make_l1({.map = "native", .policy = "lru", .bytes = std::uint64_t{64} << 20U}),
        std::move(l2));
    tier->start();
  }

  void set(const std::string& key, const std::string& value, milliseconds ttl = seconds(100)) {
    tier->set(KeyRef(0, key), value, {.expiry = Expiry::in(ttl)}, kForever,
              [](const Result<StoreOutcome>& stored) { ASSERT_TRUE(stored); });
  }
  std::string find(const std::string& key) {
    const epoch::Guard guard;
    const Entry* entry = tier->find(KeyRef(0, key), Clock::now());
    return entry == nullptr ? "" : std::string(entry->value());
  }
  bool slide(const std::string& key, milliseconds ttl) {
    const epoch::Guard guard;
    return tier->slide(KeyRef(0, key), ttl, Clock::now());
  }
  void touch(const std::string& key, milliseconds ttl) {
    tier->touch(KeyRef(0, key), ttl, kForever, [](const Result<bool>& there) {
      ASSERT_TRUE(there);
      EXPECT_TRUE(*there);
    });
  }
  void others_change(const std::string& key) { store->heard->invalidate(key); }
  /// Runs what waits for its time, whatever the time.
  void let_time_pass() {
    for (auto& [delay, task] : std::exchange(tasks, {})) task();
  }

  Shared* store = nullptr;
  std::deque<std::pair<Duration, std::function<void()>>> tasks;
  std::unique_ptr<TieredCache> tier;
};

TEST_F(RefreshTest, ReadsAgainWhatWasUsedWhenSomebodyChangedIt) {
  set("s:1", "v");
  others_change("s:1");
  EXPECT_EQ(find("s:1"), "") << "nothing vouches for it any more";
  EXPECT_EQ(store->fetches, 0) << "not in the middle of the lane's stream";
  let_time_pass();
  EXPECT_EQ(store->fetches, 1);
  EXPECT_EQ(find("s:1"), "v");
}

TEST_F(RefreshTest, LeavesAloneWhatNoPrefixNames) {
  set("other", "v");
  others_change("other");
  let_time_pass();
  EXPECT_EQ(store->fetches, 0);
  EXPECT_TRUE(store->hints.empty());
}

TEST_F(RefreshTest, LetsGoOfWhatNobodyUsesAnyMore) {
  set("s:1", "v");
  const auto change_often = [&] {
    for (int i = 0; i < 10; ++i) {
      others_change("s:1");
      let_time_pass();
    }
  };
  change_often();
  EXPECT_EQ(store->fetches, 3) << "most_unused";
  EXPECT_EQ(find("s:1"), "");
  tier->get(Key(0, "s:1"), ReadFrom::l1_first, kForever, [](const Result<Lookup>&) {});
  store->fetches = 0;
  change_often();
  EXPECT_EQ(store->fetches, 3) << "it was used, and gets as many again";
}

TEST_F(RefreshTest, GoesOnAsLongAsItIsUsed) {
  set("s:1", "v");
  for (int i = 1; i <= 10; ++i) {
    others_change("s:1");
    let_time_pass();
    EXPECT_EQ(find("s:1"), "v");
    EXPECT_EQ(store->fetches, i);
  }
}

TEST_F(RefreshTest, ReadsNothingAfterItsOwnWriteOfTheKey) {
  set("s:1", "v");
  others_change("s:1");
  tier->remove(KeyRef(0, "s:1"), kForever, [](const Result<bool>&) {});
  let_time_pass();
  EXPECT_EQ(store->fetches, 0);
}

TEST_F(RefreshTest, TellsOthersOfWhatIsNewHere) {
  set("s:1", "v");
  EXPECT_EQ(store->hints, std::vector<std::string>{"0 s:1"});
  set("s:1", "w");
  EXPECT_EQ(store->hints.size(), 1U) << "who has it hears of the change from the store";
}

TEST_F(RefreshTest, ReadsWhatOthersHaveMade) {
  tier->execute({.args = {"SET", "s:1", "w"}, .keys = {"s:1"}}, kForever,
                [](const Result<protocol::Reply>&) {});
  ASSERT_EQ(find("s:1"), "");
  store->heard->hinted("0 s:1");
  let_time_pass();
  EXPECT_EQ(store->fetches, 1);
  EXPECT_EQ(find("s:1"), "w");
  store->heard->hinted("0 s:1");
  let_time_pass();
  EXPECT_EQ(store->fetches, 1) << "it has it";
}

TEST_F(RefreshTest, LeavesWhatSomebodyIsFetchingToHim) {
  tier->execute({.args = {"SET", "s:1", "w"}, .keys = {"s:1"}}, kForever,
                [](const Result<protocol::Reply>&) {});
  store->held.emplace();
  int answers = 0;
  const auto ask = [&] {
    tier->get(Key(0, "s:1"), ReadFrom::l1_first, kForever, [&](const Result<Lookup>& found) {
      ASSERT_TRUE(found);
      ++answers;
    });
  };
  ask();
  store->heard->hinted("0 s:1");
  let_time_pass();
  EXPECT_EQ(store->fetches, 1);
  store->release();
  EXPECT_EQ(answers, 1);

  // And nobody waits for what nobody has asked for, whose deadline is not his.
  others_change("s:1");
  store->held.emplace();
  let_time_pass();
  ask();
  EXPECT_EQ(store->fetches, 3);
  store->release();
  EXPECT_EQ(answers, 2);
}

TEST_F(RefreshTest, TakesNoHintForMoreThanAHint) {
  for (const char* hint :
       {"", " ", "0", "0 ", "s:1", "64 s:1", "-1 s:1", "99999999999 s:1", "0s:1", "0 other"}) {
    store->heard->hinted(hint);
  }
  store->heard->hinted("0 s:" + std::string(kMaxKeyBytes, 'x'));
  let_time_pass();
  EXPECT_EQ(store->fetches, 0);
  store->heard->hinted("0 s:nothing");
  let_time_pass();
  EXPECT_EQ(store->fetches, 1);
  EXPECT_EQ(find("s:nothing"), "");
}

TEST_F(RefreshTest, AnswersATouchThatMovesTheEndByLittle) {
  set("s:1", "v", seconds(100));
  store->transactions = 0;
  EXPECT_TRUE(slide("s:1", seconds(100)));
  EXPECT_TRUE(slide("s:1", seconds(104)));
  EXPECT_FALSE(slide("s:1", seconds(106))) << "5 % of 106 s";
  EXPECT_FALSE(slide("s:1", seconds(99))) << "that would end it sooner";
  EXPECT_FALSE(slide("s:2", seconds(100))) << "there is none";
  EXPECT_EQ(store->transactions, 0);
  touch("s:1", seconds(106));
  EXPECT_EQ(store->transactions, 1) << "touch() itself asks L2";
  EXPECT_TRUE(slide("s:1", seconds(106)));
}

TEST_F(RefreshTest, SendsEqualTouchesOfOneTimeOnce) {
  set("s:1", "v", seconds(100));
  store->transactions = 0;
  store->held.emplace();
  int answers = 0;
  const auto slide_to = [&](milliseconds ttl) {
    tier->touch(KeyRef(0, "s:1"), ttl, kForever, [&](const Result<bool>& there) {
      ASSERT_TRUE(there);
      EXPECT_TRUE(*there);
      ++answers;
    });
  };
  for (int i = 0; i < 5; ++i) slide_to(seconds(200));
  EXPECT_EQ(store->transactions, 1);
  EXPECT_EQ(answers, 0) << "not before L2 knows";
  slide_to(seconds(201));
  EXPECT_EQ(store->transactions, 2) << "to another time";
  tier->touch(KeyRef(0, "s:1"), {"PEXPIRE", "s:1", "200000"}, kForever,
              [&](const Result<protocol::Reply>&) { ++answers; });
  EXPECT_EQ(store->transactions, 3) << "behind a write of its own connection it goes by itself";
  store->release();
  EXPECT_EQ(answers, 7);
}

TEST_F(RefreshTest, JoinsNoTouchWhenL1LostTheCopyMeanwhile) {
  set("s:1", "v", seconds(100));
  store->transactions = 0;
  store->held.emplace();
  const auto ignore = [](const Result<bool>&) {};
  tier->touch(KeyRef(0, "s:1"), seconds(200), kForever, ignore);
  others_change("s:1");
  tier->touch(KeyRef(0, "s:1"), seconds(200), kForever, ignore);
  EXPECT_EQ(store->transactions, 2) << "the change may have taken the expiry away";
  store->release();
}

TEST_F(RefreshTest, NeverServesLongerForATouchThatL2HasNotSeen) {
  set("s:1", "v", seconds(100));
  ASSERT_TRUE(slide("s:1", seconds(104)));
  const epoch::Guard guard;
  EXPECT_EQ(tier->find(KeyRef(0, "s:1"), Clock::now() + seconds(100)), nullptr);
}

TEST_F(RefreshTest, TouchesShortLivedKeysInL2) {
  set("s:1", "v", milliseconds(1900));
  EXPECT_FALSE(slide("s:1", milliseconds(1900))) << "a second would be too much of it";
  set("s:2", "v", milliseconds(2000));
  EXPECT_TRUE(slide("s:2", milliseconds(2000)));
}

class WithoutOptIn : public RefreshTest {
 protected:
  WithoutOptIn() : RefreshTest(KeyRules{}) {}
};
TEST_F(WithoutOptIn, EveryTouchGoesToL2) {
  set("s:1", "v");
  EXPECT_FALSE(slide("s:1", seconds(100)));
}

class CappedAge : public RefreshTest {
 protected:
  CappedAge() : RefreshTest({.l1_ttl = seconds(50), .touch_coalescing = true}) {}
};
TEST_F(CappedAge, EveryTouchGoesToL2BecauseTheCopyDoesNotTellTheKeysEnd) {
  set("s:1", "v", seconds(1000));
  EXPECT_FALSE(slide("s:1", seconds(50))) << "it would end the key far sooner";
}

class Throttled : public RefreshTest {
 protected:
  Throttled() : RefreshTest({.refresh = true}, {.reads_per_s = 10, .most_waiting = 2}) {}
};
TEST_F(Throttled, ReadsNoMoreAtOnceThanTheBudgetAllows) {
  for (int i = 0; i < 4; ++i) {
    set("s:" + std::to_string(i), "v");
    others_change("s:" + std::to_string(i));
  }
  EXPECT_EQ(tier->refreshing(), 2U);
  let_time_pass();
  EXPECT_EQ(store->fetches, 1);
  EXPECT_EQ(tier->refreshing(), 1U);
  ASSERT_EQ(tasks.size(), 1U) << "and comes back for the rest";
  EXPECT_GT(tasks.front().first, milliseconds(50));
  EXPECT_LE(tasks.front().first, milliseconds(101));
}

}  // namespace
}  // namespace nearlane::tier
