// A lane whose lease has lapsed is asked once, for all who read of it meanwhile.
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

constexpr Duration kLease = milliseconds(250);

/// A store behind two lanes that answers a confirmation when it is told to.
class Slow final : public l2::ForwardingBackend {
 public:
  explicit Slow(std::span<const cohere::LaneView> views)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), views_(views) {}
  std::vector<std::unique_ptr<l2::Call>> confirmations;
  int fetches = 0;

  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = "lanes", .lease = kLease, .every_command = true};
  }
  [[nodiscard]] l2::Health health() const override { return {.lanes = 2, .lanes_up = 2}; }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == cohere::Op::confirm)
      return static_cast<void>(confirmations.emplace_back(std::move(call)));
    if (call->command.op == cohere::Op::fetch) ++fetches;
    behind_->submit(std::move(call));
  }
  /// The oldest.
  void answer(const l2::Answer& answer) {
    auto call = std::move(confirmations.front());
    confirmations.erase(confirmations.begin());
    call->settle(answer);
    call->complete(answer);
  }

 private:
  std::span<const cohere::LaneView> views_;
};

class RenewalTest : public testing::Test {
 protected:
  RenewalTest() {
    auto backend = std::make_unique<Slow>(views);
    l2 = backend.get();
    auto l1 = l1::make_l1({.map = "native", .policy = "lru", .bytes = std::uint64_t{1} << 20U});
    tier.emplace(TierConfig{.now = [this] { return now; }}, std::move(*l1), std::move(backend));
    tier->start();
    renew_leases();
    for (int i = 0; i < 20; ++i) {
      const std::string key = "k" + std::to_string(i);
      keys_of_lane.at(tier->lane_of(KeyRef(0, key))).push_back(key);
      tier->set(KeyRef(0, key), "v", {}, kForever, [](const Result<StoreOutcome>&) {});
    }
    now += kLease;
  }
  ~RenewalTest() override { tier->stop(); }

  void renew_leases() {
    for (cohere::LaneView& view : views) view.set_lease(now + kLease);
  }
  /// Appends to `heard` what it is told.
  void get(const std::string& key, TimePoint deadline = kForever) {
    tier->get(Key(KeyRef(0, key)), ReadFrom::l1_first, deadline, [&](const Result<Lookup>& found) {
      if (!found) {
        heard.emplace_back(found.error().detail);
      } else {
        heard.emplace_back(found->source == Source::l1 ? "l1" : "l2");
      }
    });
  }

  TimePoint now = Clock::now();
  std::array<cohere::LaneView, 2> views;
  std::array<std::vector<std::string>, 2> keys_of_lane;
  std::vector<std::string> heard;
  Slow* l2 = nullptr;
  std::optional<TieredCache> tier;
};

TEST_F(RenewalTest, OneCommandServesAllKeysOfItsLane) {
  const auto before = Counts::sum(Count::confirmations);
  for (const std::string& key : keys_of_lane[0]) get(key);
  get(keys_of_lane[0][0]);
  EXPECT_EQ(l2->confirmations.size(), 1U);
  get(keys_of_lane[1][0]);
  EXPECT_EQ(l2->confirmations.size(), 2U) << "another lane proves nothing of this one";
  EXPECT_EQ(Counts::sum(Count::confirmations), before + 2);
  EXPECT_TRUE(heard.empty());
  renew_leases();
  l2->answer({});
  EXPECT_EQ(heard, std::vector<std::string>(keys_of_lane[0].size() + 1, "l1"));
  EXPECT_EQ(l2->fetches, 0);
}

TEST_F(RenewalTest, AllHearThatItFailed) {
  const std::string& key = keys_of_lane[0][0];
  get(key);
  get(key);
  l2->answer(l2::Answer::failed(Errc::connection_lost, "gone"));
  EXPECT_EQ(heard, (std::vector<std::string>{"gone", "gone"}));
  get(key);
  EXPECT_EQ(l2->confirmations.size(), 1U) << "the next one asks again";
}

TEST_F(RenewalTest, WhoHasMoreTimeThanTheFirstUsesIt) {
  const std::string& key = keys_of_lane[0][0];
  get(key, now + milliseconds(5));
  get(key);
  now += milliseconds(5);
  l2->answer(l2::Answer::failed(Errc::timeout, "too late"));
  EXPECT_EQ(heard, (std::vector<std::string>{"too late", "l2"}));
}

TEST_F(RenewalTest, OneThatIsStuckHoldsUpNobodyWhoComesLater) {
  const std::string& key = keys_of_lane[0][0];
  get(key);
  now += kLease / 2 - milliseconds(1);
  get(key);
  EXPECT_EQ(l2->confirmations.size(), 1U);
  now += milliseconds(1);
  get(key);
  EXPECT_EQ(l2->confirmations.size(), 2U);
}

TEST_F(RenewalTest, WhatCameTooLateIsFetched) {
  get(keys_of_lane[0][0]);
  l2->answer({});  // the lease that it renewed is over as well
  EXPECT_EQ(heard, std::vector<std::string>{"l2"});
  EXPECT_EQ(l2->fetches, 1);
}

}  // namespace
}  // namespace nearlane::tier
