// What the tier tells an L2 that evicts of the keys that L1 answers for.
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;

using Words = std::vector<std::string>;

/// Writes down each TOUCH, with its database in front.
class Listening final : public l2::ForwardingBackend {
 public:
  explicit Listening(bool evicts)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), evicts_(evicts) {}
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    auto capabilities = ForwardingBackend::capabilities();
    capabilities.evicts = evicts_;
    return capabilities;
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    const cohere::Command& command = call->command;
    if (command.op == cohere::Op::raw && command.args[0] == "TOUCH") {
      EXPECT_TRUE(command.wide) << "a lane's registrations must not end unheard";
      auto& words = touched.emplace_back(command.args);
      words[0] = std::to_string(command.key.db);
    }
    ForwardingBackend::submit(std::move(call));
  }
  std::vector<Words> touched;

 private:
  const bool evicts_;
};

class Recency : public testing::Test {
 protected:
  void start(double per_s, bool evicts = true, std::string_view policy = "clock") {
    auto l2 = std::make_unique<Listening>(evicts);
    l2_ = l2.get();
    tier_ = std::make_unique<TieredCache>(
        TierConfig{.negative_ttl = std::chrono::hours(1), .hot_touches_per_s = per_s},
        *l1::make_l1({.map = "native", .policy = policy, .bytes = std::uint64_t{16} << 20U}),
        std::move(l2));
    tier_->start();
    now_ = Clock::now();
    tier_->touch_hottest(now_);
  }
  void set(std::string_view key, std::uint32_t db = 0, Expiry expiry = {}) {
    tier_->set(KeyRef(db, key), "v", {.expiry = expiry}, kForever,
               [](const Result<StoreOutcome>& done) { ASSERT_TRUE(done); });
  }
  void hit(std::string_view key, std::uint32_t db = 0) {
    const epoch::Guard guard;
    ASSERT_NE(tier_->find(KeyRef(db, key), Clock::now()), nullptr);
  }
  /// What L2 is told of, so long after it was last.
  std::vector<Words> told_after(Duration pause) {
    l2_->touched.clear();
    tier_->touch_hottest(now_ += pause);
    auto touched = std::exchange(l2_->touched, {});
    return touched;
  }

  Listening* l2_ = nullptr;
  std::unique_ptr<TieredCache> tier_;
  TimePoint now_;
};

TEST_F(Recency, TellsOfTheHotterRatherThanOfTheColderAndOfEqualsOfEveryOne) {
  start(10);
  for (int i = 0; i < 100; ++i) set(fmt::format("k{}", i));
  std::set<std::string> hot;
  for (int i = 0; i < 50; ++i) hit(*hot.insert(fmt::format("k{}", i)).first);
  std::map<std::string, int> told;
  for (int turn = 0; turn < 200; ++turn) {
    hit("k0");
    const auto words = told_after(std::chrono::seconds(1)).at(0);
    for (const std::string& name : std::span(words).subspan(1)) ++told[name];
  }
  int of_hot = 0;
  for (const std::string& name : hot) {
    EXPECT_GT(told[name], 0) << name;
    of_hot += told[name];
  }
  EXPECT_NEAR(of_hot, 1500, 150) << "three quarters";
}

TEST_F(Recency, NamesNoMoreThanAllowed) {
  start(10);
  for (int i = 0; i < 100; ++i) set(fmt::format("k{}", i));
  std::size_t told = 0;
  for (int turn = 0; turn < 30; ++turn) {
    hit("k1");
    for (const Words& words : told_after(milliseconds(150))) told += words.size() - 1;
  }
  EXPECT_EQ(told, 45U);
  hit("k1");
  EXPECT_EQ(told_after(std::chrono::hours(1)).at(0).size(), 11U) << "a pause is not made up for";
}

TEST_F(Recency, SaysNothingWhereNobodyAsks) {
  start(10);
  set("k");
  EXPECT_THAT(told_after(std::chrono::seconds(1)), IsEmpty());
  hit("k");
  EXPECT_THAT(told_after(std::chrono::seconds(1)).at(0), testing::Contains("k"));
  EXPECT_THAT(told_after(std::chrono::seconds(1)), IsEmpty());
}

TEST_F(Recency, SaysNothingToAStoreThatKeepsEverythingNorWhereItIsOff) {
  start(10, false);
  set("k");
  hit("k");
  EXPECT_THAT(told_after(std::chrono::seconds(1)), IsEmpty());
  start(0);
  set("k");
  hit("k");
  EXPECT_THAT(told_after(std::chrono::seconds(1)), IsEmpty());
}

TEST_F(Recency, NamesAreOfTheirDatabases) {
  start(10);
  set("a");
  set("b", 5);
  set("c", 5);
  hit("b", 5);
  std::set<std::string> told;
  for (int turn = 0; turn < 20; ++turn) {
    hit("a");
    for (const Words& words : told_after(std::chrono::seconds(1))) {
      for (const std::string& name : std::span(words).subspan(1)) told.insert(words[0] + name);
    }
  }
  EXPECT_EQ(told, (std::set<std::string>{"0a", "5b", "5c"}));
}

TEST_F(Recency, IsSilentOfWhatIsNotServed) {
  start(10);
  set("k");
  set("ends", 0, Expiry::in(milliseconds(500)));
  tier_->get(Key(0, "none"), ReadFrom::l1_first, kForever, [](const Result<Lookup>&) {});
  EXPECT_EQ(tier_->l1_stats().entries, 3U);
  hit("k");
  const auto told = told_after(std::chrono::seconds(1)).at(0);
  EXPECT_EQ(std::set<std::string>(told.begin() + 1, told.end()), std::set<std::string>{"k"});
}

}  // namespace
}  // namespace nearlane::tier
