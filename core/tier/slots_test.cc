// A key's lane where its slot says which one that is, as over a Redis Cluster.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/cache_fixture.h"

namespace nearlane::tier {
namespace {

/// What is read and written is of the first lane's first epoch.
class TwoLanes final : public l2::ForwardingBackend {
 public:
  TwoLanes(const std::array<cohere::LaneView, 2>& views, const cohere::SlotLanes& slots)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)),
        views_(views),
        slots_(slots) {}
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }
  [[nodiscard]] const cohere::SlotLanes* slots() const noexcept override { return &slots_; }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == cohere::Op::confirm) asked_to_confirm = call->command.lane;
    if (holds_fetches && call->command.op == cohere::Op::fetch)
      return static_cast<void>(held = std::move(call));
    behind_->submit(std::move(call));
  }

  std::optional<std::size_t> asked_to_confirm;
  bool holds_fetches = false;
  std::unique_ptr<l2::Call> held;

 private:
  const std::array<cohere::LaneView, 2>& views_;
  const cohere::SlotLanes& slots_;
};

class Slots : public testing::Test {
 protected:
  void SetUp() override {
    views[1].begin_at(1000);
    for (auto& view : views) view.set_lease(kForever);
  }
  bool finds_by_batch(std::string_view name) {
    const epoch::Guard guard;
    const KeyRef key(0, name);
    const Entry* found = nullptr;
    cache.tier.find_batch({&key, 1}, {&found, 1}, Clock::now());
    return found != nullptr;
  }

  std::array<cohere::LaneView, 2> views;
  cohere::SlotLanes slots;  // all are the first lane's
  TwoLanes* l2 = nullptr;
  Cache cache{make_l2()};

 private:
  std::unique_ptr<TwoLanes> make_l2() {
    auto made = std::make_unique<TwoLanes>(views, slots);
    l2 = made.get();
    return made;
  }
};

TEST_F(Slots, MovingOneDisownsItsEntriesAndNoOthers) {
  ASSERT_TRUE(cache.set("moves", "v"));
  ASSERT_TRUE(cache.set("stays", "v"));
  ASSERT_NE(cohere::slot_of("moves"), cohere::slot_of("stays"));
  ASSERT_EQ(cache.find("moves"), "v");
  ASSERT_TRUE(finds_by_batch("moves"));
  slots.move(cohere::slot_of("moves"), 1);
  EXPECT_EQ(cache.find("moves"), std::nullopt);
  EXPECT_FALSE(finds_by_batch("moves"));
  EXPECT_EQ(cache.find("stays"), "v");
  EXPECT_TRUE(finds_by_batch("stays"));
}

TEST_F(Slots, AReadOfAnotherLaneDoesNotBringBackWhatAWriteReplaced) {
  l2->holds_fetches = true;
  cache.tier.get(Key(0, "k"), ReadFrom::l1_first, kForever, [](const Result<Lookup>&) {});
  ASSERT_TRUE(cache.set("k", "new"));
  // Executed before the write, by the lane that the key had before or has now, and heard of behind it.
  l2::Answer late;
  late.reply = protocol::Reply::bulk("old");
  late.sent_at = Clock::now();
  late.epoch = views[0].epoch();
  l2->held->settle(late);
  l2->held->complete(late);
  EXPECT_EQ(cache.find("k"), "new");
}

TEST_F(Slots, ALapsedLeaseIsRenewedByTheSlotsLane) {
  std::string name = "k";
  while (cohere::lane_of(KeyRef(0, name).hash, views.size()) == 0) name += 'k';
  ASSERT_TRUE(cache.set(name, "v"));
  views[0].set_lease(TimePoint::min());
  EXPECT_TRUE(cache.get(name));
  EXPECT_EQ(l2->asked_to_confirm, 0U);
}

TEST_F(Slots, AKeyRestsOnTheLeaseOfItsSlotsLane) {
  ASSERT_TRUE(cache.set("k", "v"));
  const KeyRef key(0, "k");
  EXPECT_EQ(cache.tier.lane_of(key), 0U);
  views[0].set_lease(TimePoint::min());
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_TRUE(cache.tier.lease_lapsed(key, Clock::now()));
  slots.move(cohere::slot_of("k"), 1);
  EXPECT_EQ(cache.tier.lane_of(key), 1U);
  EXPECT_FALSE(cache.tier.lease_lapsed(key, Clock::now()));
}

TEST_F(Slots, KeysMayBeInOneCommandWhereTheyAreInOneSlot) {
  using Names = std::vector<std::string_view>;
  EXPECT_TRUE(cache.tier.may_be_together(Names{"{t}a", "{t}b"}));
  EXPECT_FALSE(cache.tier.may_be_together(Names{"a", "b"}));
  Cache one(l2::make_memory_backend(std::uint64_t{1} << 30U));
  EXPECT_TRUE(one.tier.may_be_together(Names{"a", "b"}));
}

}  // namespace
}  // namespace nearlane::tier
