// Keys that have lanes of their own, and values that should have been in one.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/cache_fixture.h"

namespace nearlane::tier {
namespace {

constexpr std::size_t kLanes = 4;
constexpr std::size_t kBulk = 1;  // the last one

/// A store behind lanes of two sets, each with an epoch of its own, as a Redis is.
class TwoSets final : public l2::ForwardingBackend {
 public:
  TwoSets(const std::array<cohere::LaneView, kLanes>& views, bool in_line)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)),
        views_(views),
        in_line_(in_line) {}
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }
  [[nodiscard]] const cohere::BulkLanes* bulk() const noexcept override { return &bulk_; }
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    auto can = behind_->capabilities();
    can.in_line = in_line_;
    return can;
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    const cohere::Command& command = call->command;
    const std::size_t lane = command.lane ? *command.lane : lane_map().of(command.key.ref());
    if (command.op == cohere::Op::confirm) confirmed = lane;
    behind_->submit(std::make_unique<Carried>(std::move(call), views_[lane].epoch()));
  }

  std::optional<std::size_t> confirmed;

 private:
  /// Its answer is of the lane that carried it.
  class Carried final : public cohere::Call {
   public:
    Carried(std::unique_ptr<cohere::Call> call, Epoch epoch)
        : Call(call->command), call_(std::move(call)), epoch_(epoch) {}
    void settle(const cohere::Answer& answer) noexcept override {
      cohere::Answer of_lane = answer;
      of_lane.epoch = epoch_;
      call_->settle(of_lane);
    }
    void complete(cohere::Answer answer) noexcept override { call_->complete(std::move(answer)); }

   private:
    const std::unique_ptr<cohere::Call> call_;
    const Epoch epoch_;
  };

  const std::array<cohere::LaneView, kLanes>& views_;
  const bool in_line_;
  const cohere::BulkLanes bulk_{
      .lanes = kBulk, .has = [](std::string_view name) { return name.starts_with("blob:"); }};
};

class BulkLanes : public testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < kLanes; ++i) {
      views[i].begin_at(static_cast<Epoch>(1000 * (i + 1)));
      views[i].set_lease(kForever);
    }
  }
  [[nodiscard]] std::unique_ptr<TwoSets> make_l2(bool in_line = true) {
    auto made = std::make_unique<TwoSets>(views, in_line);
    l2 = made.get();
    return made;
  }
  [[nodiscard]] TierConfig listening() {
    return {.prefixes = {{.match = "session:", .rules = {}}},
            .on_large = [this](const LargeValue& value) { told.push_back(value); }};
  }

  std::array<cohere::LaneView, kLanes> views;
  TwoSets* l2 = nullptr;
  std::vector<LargeValue> told;
  const std::string large = std::string(LargeValues::kLeast, 'v');
};

TEST_F(BulkLanes, AreOfTheirKeysAlone) {
  Cache cache(make_l2());
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_EQ(cache.tier.lane_of(KeyRef(0, "blob:" + number)), kLanes - 1);
    EXPECT_LT(cache.tier.lane_of(KeyRef(0, "k:" + number)), kLanes - 1);
  }
  EXPECT_EQ(cache.tier.lanes(), kLanes);
}

TEST_F(BulkLanes, VouchForWhatTheyHaveCarried) {
  Cache cache(make_l2());
  for (const char* key : {"blob:1", "k:1", "k:2", "k:3"}) {
    ASSERT_TRUE(cache.set(key, "v"));
    EXPECT_EQ(cache.find(key), "v") << key;
    const KeyRef ref(0, key);
    const Entry* found = nullptr;
    const epoch::Guard guard;
    cache.tier.find_batch({&ref, 1}, {&found, 1}, Clock::now());
    EXPECT_NE(found, nullptr) << key;
  }
}

TEST_F(BulkLanes, ThatAreLostTakeTheirKeysAndNoOthers) {
  Cache cache(make_l2());
  ASSERT_TRUE(cache.set("blob:1", "v"));
  ASSERT_TRUE(cache.set("k", "v"));
  views[kLanes - 1].bump();
  EXPECT_EQ(cache.find("blob:1"), std::nullopt);
  EXPECT_EQ(cache.find("k"), "v");
}

TEST_F(BulkLanes, RenewTheirLeaseThemselves) {
  Cache cache(make_l2());
  ASSERT_TRUE(cache.set("blob:1", "v"));
  views[kLanes - 1].set_lease(TimePoint::min());
  EXPECT_TRUE(cache.tier.lease_lapsed(KeyRef(0, "blob:1"), Clock::now()));
  EXPECT_TRUE(cache.get("blob:1"));
  EXPECT_EQ(l2->confirmed, kLanes - 1);
}

TEST_F(BulkLanes, AreAdvisedWhereALargeValueStoodBeforeSmallOnes) {
  Cache cache(make_l2(), "sharded", listening());
  const auto before = Counts::sum(Count::large_in_line);
  ASSERT_TRUE(cache.set("session:1", large));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].prefix, "session:");
  EXPECT_TRUE(told[0].has_table);
  EXPECT_EQ(told[0].bytes, large.size());
  EXPECT_EQ(told[0].hash, KeyRef(0, "session:1").hash);
  ASSERT_TRUE(cache.get("session:1", ReadFrom::through_l2));
  EXPECT_EQ(told.size(), 1U) << "once a minute";
  EXPECT_EQ(Counts::sum(Count::large_in_line), before + 2) << "and counted each time";
  ASSERT_TRUE(cache.execute({"SETEX", "other:1", "100", large}, {"other:1"}));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].prefix, "other:");
  EXPECT_FALSE(told[1].has_table);
  const std::string part = large.substr(large.size() / 2);
  ASSERT_TRUE(cache.execute({"HSET", "parts:1", "a", part, "b", part}, {"parts:1"}));
  ASSERT_EQ(told.size(), 3U) << "its parts are in line together";
  EXPECT_EQ(told[2].prefix, "parts:");
}

TEST_F(BulkLanes, AreNotAdvisedWhereNothingStoodBehind) {
  Cache cache(make_l2(), "sharded", listening());
  const auto before = Counts::sum(Count::large_in_line);
  ASSERT_TRUE(cache.set("blob:1", large)) << "it has one";
  ASSERT_TRUE(cache.get("blob:1", ReadFrom::through_l2));
  ASSERT_TRUE(cache.set("session:1", large.substr(1))) << "it is not large";
  Cache local(make_l2(false), "sharded", listening());
  ASSERT_TRUE(local.set("session:1", large)) << "nothing stands in a line";
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(Counts::sum(Count::large_in_line), before);
}

}  // namespace
}  // namespace nearlane::tier
