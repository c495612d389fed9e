// What the tier reads again after a lane was lost, over a store whose lane the test loses.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
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

class Lossy final : public l2::ForwardingBackend {
 public:
  Lossy() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)) { come_back(); }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return {&view_, 1};
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == l2::Op::fetch) fetched.push_back(call->command.key.name);
    if (failing) {
      const l2::Answer late = l2::Answer::failed(Errc::timeout, "late");
      call->settle(late);
      return call->complete(late);
    }
    ForwardingBackend::submit(std::move(call));
  }

  /// The embedded store has a lane of its own, whose epoch goes into the answers: it loses that one too.
  void lose() {
    view_.bump();
    class Flush final : public l2::Call {
     public:
      Flush()
          : Call({.op = l2::Op::raw,
                  .key = Key(3, std::string()),
                  .args = {"FLUSHDB"},
                  .wide = true,
                  .undeclared = true}) {}
      void settle(const l2::Answer&) noexcept override {}
      void complete(l2::Answer) noexcept override {}
    };
    ForwardingBackend::submit(std::make_unique<Flush>());
  }
  void come_back() { view_.set_lease(kForever); }

  std::vector<std::string> fetched;
  bool failing = false;

 private:
  cohere::LaneView view_;
};

class RefillTest : public testing::Test {
 protected:
  /// One shard, whose policy counts uses, up to three.
  void make(RefreshLimits limits = {}, bool breaker = false) {
    auto l2 = std::make_unique<Lossy>();
    store = l2.get();
    TierConfig config{
        .now = [this] { return now; },
        .after = [this](Duration, std::function<void()> task) { tasks.push_back(std::move(task)); },
        .breaker = breaker,
        .refresh = limits};
    tier = std::make_unique<TieredCache>(
        std::move(config),
        *l1::make_l1({.map = "native", .policy = "s3fifo", .bytes = std::uint64_t{16} << 20U}),
        std::move(l2));
    tier->start();
  }
  void set(const std::string& key) {
    tier->set(KeyRef(0, key), "v", {}, kForever,
              [](const Result<StoreOutcome>& stored) { ASSERT_TRUE(stored); });
  }
  bool find(const std::string& key) {
    const epoch::Guard guard;
    return tier->find(KeyRef(0, key), now) != nullptr;
  }
  /// Runs what waits for its time, whatever the time; says in how many turns.
  int let_time_pass() {
    int turns = 0;
    for (; !tasks.empty() && turns < 1000; ++turns) turn();
    return turns;
  }
  void turn() {
    for (auto& task : std::exchange(tasks, {})) task();
  }
  /// Turns, a tenth of a second each, until so many were read.
  void until_read(std::size_t count) {
    for (int turns = 0; store->fetched.size() < count && turns < 100; ++turns) {
      turn();
      now += milliseconds(100);
    }
  }
  void lose_for_a_moment() {
    store->lose();
    store->come_back();
    tier->refill();
  }
  std::uint64_t counted(Count id) const { return Counts::sum(id) - before_.at(id); }

  void SetUp() override {
    for (const Count id : {Count::refills, Count::refreshes_dropped, Count::background_uses})
      before_[id] = Counts::sum(id);
  }

  TimePoint now = Clock::now();
  Lossy* store = nullptr;
  std::deque<std::function<void()>> tasks;
  std::unique_ptr<TieredCache> tier;

 private:
  std::map<Count, std::uint64_t> before_;
};

TEST_F(RefillTest, ReadsAgainWhatTheLaneHadOnceItIsBack) {
  make();
  for (const char* key : {"a", "b", "c"}) set(key);
  tier->refill();
  EXPECT_TRUE(tasks.empty()) << "nothing was lost";
  store->lose();
  tier->refill();
  EXPECT_TRUE(tasks.empty()) << "nothing can be read yet";
  EXPECT_FALSE(find("a"));
  store->come_back();
  tier->refill();
  let_time_pass();
  EXPECT_EQ(store->fetched.size(), 3);
  EXPECT_EQ(counted(Count::refills), 3);
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(find(key));
  EXPECT_EQ(counted(Count::background_uses), 3);
  tier->refill();
  EXPECT_TRUE(tasks.empty()) << "once for each time that it was lost";
}

TEST_F(RefillTest, ReadsTheHottestFirst) {
  make({.reads_per_s = 10});  // one at once
  for (const char* key : {"cold", "hot", "warm"}) set(key);
  for (int i = 0; i < 3; ++i) find("hot");
  find("warm");
  lose_for_a_moment();
  until_read(1);
  EXPECT_EQ(store->fetched, std::vector<std::string>{"hot"});
  EXPECT_EQ(tier->refreshing(), 2);
}

TEST_F(RefillTest, KeepsTheHottestWhereNotAllMayWait) {
  make({.reads_per_s = 10, .most_waiting = 2});
  for (const char* key : {"cold", "hot", "colder", "warm"}) set(key);
  for (int i = 0; i < 2; ++i) find("hot");
  find("warm");
  lose_for_a_moment();
  until_read(2);
  EXPECT_EQ(counted(Count::refreshes_dropped), 2);
  EXPECT_EQ(tier->refreshing(), 0);
  EXPECT_EQ(store->fetched, (std::vector<std::string>{"hot", "warm"}));
}

TEST_F(RefillTest, LeavesWhatSomebodyHasReadMeanwhile) {
  make();
  set("k");
  lose_for_a_moment();
  tier->get(Key(0, "k"), ReadFrom::l1_first, kForever, [](const Result<Lookup>&) {});
  EXPECT_EQ(store->fetched.size(), 1);
  let_time_pass();
  EXPECT_EQ(store->fetched.size(), 1);
}

TEST_F(RefillTest, LetsGoOfWhatNobodyUses) {
  make();
  set("used");
  set("unused");
  for (int i = 0; i < 10; ++i) {
    lose_for_a_moment();
    let_time_pass();
    EXPECT_TRUE(find("used"));
  }
  EXPECT_EQ(std::ranges::count(store->fetched, "used"), 10);
  EXPECT_EQ(std::ranges::count(store->fetched, "unused"), 3) << "most_unused";
}

TEST_F(RefillTest, ALaneThatIsLostAgainCancelsWhatWaits) {
  make();
  set("k");
  lose_for_a_moment();
  ASSERT_EQ(tier->refreshing(), 1);
  store->lose();
  let_time_pass();
  EXPECT_TRUE(store->fetched.empty());
  store->come_back();
  tier->refill();
  let_time_pass();
  EXPECT_EQ(store->fetched.size(), 1);
}

TEST_F(RefillTest, WalksInSmallStepsAndAgainForALaneThatCameBackMeanwhile) {
  make({.reads_per_s = 1'000'000});
  constexpr std::size_t kKeys = 5000;
  for (std::size_t i = 0; i < kKeys; ++i) set("k" + std::to_string(i));
  lose_for_a_moment();
  ASSERT_FALSE(tasks.empty()) << "more than one step's";
  lose_for_a_moment();  // while the first walk is under way
  EXPECT_GE(let_time_pass(), 8);
  for (std::size_t i = 0; i < kKeys; ++i) EXPECT_TRUE(find("k" + std::to_string(i)));
}

TEST_F(RefillTest, StopsWhereL2HasNothingAnyMore) {
  make({.reads_per_s = 1'000'000});
  for (int i = 0; i < 1000; ++i) set("k" + std::to_string(i));
  RawCommand flush{.db = 0, .args = {"FLUSHDB"}, .keys = {}};
  tier->execute(std::move(flush), kForever, [](const Result<protocol::Reply>&) {});
  lose_for_a_moment();
  let_time_pass();
  EXPECT_GE(store->fetched.size(), 64);
  EXPECT_LT(store->fetched.size(), 100);
  EXPECT_EQ(tier->refreshing(), 0);
}

TEST_F(RefillTest, WaitsWhileTheBreakerIsNotClosed) {
  make({}, true);
  set("k");
  for (int i = 0; i < 20; ++i) {
    store->failing = true;
    tier->get(Key(0, "other"), ReadFrom::through_l2, kForever, [](const Result<Lookup>&) {});
  }
  store->failing = false;
  ASSERT_EQ(tier->breaker(), guard::Breaker::State::open);
  lose_for_a_moment();
  store->fetched.clear();
  for (int i = 0; i < 10; ++i) turn();
  EXPECT_TRUE(store->fetched.empty());
  EXPECT_EQ(tier->refreshing(), 1) << "it is not lost for that";
  for (int i = 0; i < 40; ++i) {
    now += milliseconds(100);
    tier->probe();
    turn();
  }
  ASSERT_EQ(tier->breaker(), guard::Breaker::State::closed);
  EXPECT_EQ(store->fetched, std::vector<std::string>{"k"});
}

TEST_F(RefillTest, ReadsNothingUnaskedAtARateOfZero) {
  make({.reads_per_s = 0});
  set("k");
  lose_for_a_moment();
  EXPECT_EQ(let_time_pass(), 0);
  EXPECT_TRUE(store->fetched.empty());
}

}  // namespace
}  // namespace nearlane::tier
