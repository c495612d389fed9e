// What L1 serves though nobody vouches for it: only while the breaker keeps everybody from L2, and no longer than
// max_stale and the entry's own end allow.
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

constexpr Duration kLease = milliseconds(250);
constexpr Duration kMaxStale = seconds(10);

/// A store behind one lane, which can fail every call.
class Away final : public l2::ForwardingBackend {
 public:
  explicit Away(const cohere::LaneView& view)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), view_(view) {}
  std::optional<Errc> failing;
  std::string says;  // to every command, unless empty

  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = "lanes", .lease = kLease, .every_command = true};
  }
  [[nodiscard]] l2::Health health() const override { return {.lanes = 1, .lanes_up = 1}; }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return {&view_, 1};
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (!says.empty()) {
      l2::Answer answer;
      answer.reply = {.type = protocol::Type::error, .text = says};
      answer.epoch = view_.epoch();
      call->settle(answer);
      return call->complete(answer);
    }
    if (!failing) return behind_->submit(std::move(call));
    const l2::Answer failed = l2::Answer::failed(*failing, "away");
    call->settle(failed);
    call->complete(failed);
  }

 private:
  const cohere::LaneView& view_;
};

class StaleTest : public testing::Test {
 protected:
  StaleTest() {
    auto backend = std::make_unique<Away>(view);
    l2 = backend.get();
    auto l1 = l1::make_l1({.map = "native", .policy = "lru", .bytes = std::uint64_t{1} << 20U});
    tier.emplace(
        TierConfig{.max_stale = kMaxStale,
                   .prefixes = {{.match = "fact:", .rules = {.max_stale = Duration::zero()}},
                                {.match = "none:", .rules = {.negative_ttl = seconds(60)}}},
                   .now = [this] { return now; },
                   .breaker = true,
                   .chance = [this] { return drawn++; }},
        std::move(*l1), std::move(backend));
    tier->start();
    renew_lease();
  }
  ~StaleTest() override { tier->stop(); }

  void renew_lease() { view.set_lease(now + kLease); }
  /// L2 hangs: calls time out, until the breaker opens. The lease is over by then.
  void open() {
    l2->failing = Errc::timeout;
    for (int i = 0; i < 20; ++i) (void)get("other" + std::to_string(i));
    ASSERT_EQ(tier->breaker(), guard::Breaker::State::open);
    now += kLease;
  }
  /// The breaker lets a part of the calls through.
  void come_to_ramp() {
    l2->failing.reset();
    now += seconds(1);
    tier->probe();
    ASSERT_EQ(tier->breaker(), guard::Breaker::State::ramp);
  }

  void set(std::string_view key, std::string_view value, StoreOptions options = {}) {
    tier->set(KeyRef(0, key), value, options, kForever, [](const Result<StoreOutcome>&) {});
  }
  void execute(std::vector<std::string> args, std::vector<std::string> keys) {
    tier->execute({.args = std::move(args), .keys = std::move(keys)}, kForever,
                  [](const Result<protocol::Reply>&) {});
  }
  Result<Lookup> get(std::string_view key, ReadFrom from = ReadFrom::l1_first) {
    Result<Lookup> result = Error{Errc::timeout, "not answered"};
    tier->get(Key(KeyRef(0, key)), from, kForever,
              [&](Result<Lookup> answer) { result = std::move(answer); });
    return result;
  }
  /// What a door would answer at once.
  std::string answered(std::string_view key) {
    const epoch::Guard guard;
    if (const Entry* entry = tier->find(KeyRef(0, key), now))
      return "fresh " + std::string(entry->value());
    if (const Entry* entry = tier->find_stale(KeyRef(0, key), now))
      return "stale " + std::string(entry->value());
    return "nothing";
  }

  TimePoint now = Clock::now();
  std::uint32_t drawn = 0;
  cohere::LaneView view;
  Away* l2 = nullptr;
  std::optional<TieredCache> tier;
};

TEST_F(StaleTest, IsServedOnlyWhileL2IsNotAsked) {
  set("k", "v");
  EXPECT_EQ(answered("k"), "fresh v");
  now += kLease;
  EXPECT_EQ(answered("k"), "nothing") << "a lapsed lease is confirmed where L2 is well";
  const auto before = Counts::sum(Count::l1_stale);
  open();
  EXPECT_EQ(answered("k"), "stale v");
  EXPECT_EQ(Counts::sum(Count::l1_stale), before + 1);
  const auto found = get("k");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, Source::stale);
  EXPECT_EQ(found->entry->value(), "v");
  EXPECT_EQ(get("unknown").error().code, Errc::unavailable);
}

TEST_F(StaleTest, IsNotLostToAStoreThatIsLoadingItsData) {
  set("k", "v");
  open();
  come_to_ramp();
  l2->says = "LOADING Redis is loading the dataset in memory";
  for (int i = 0; i < 2000; ++i) {
    const auto found = get("k");
    ASSERT_TRUE(found) << i;
    EXPECT_EQ(found->source, Source::stale);
  }
  ASSERT_EQ(tier->breaker(), guard::Breaker::State::open);
  now += seconds(1);
  tier->probe();
  EXPECT_EQ(tier->breaker(), guard::Breaker::State::open) << "an error is no answer to a probe";
  EXPECT_EQ(answered("k"), "stale v");
}

TEST_F(StaleTest, IsNoMatterOfOneKeyThatAllCompare) {
  l2->failing = Errc::busy;
  for (int i = 0; i < 40; ++i) {
    tier->set_if(
        KeyRef(0, "hot"), "v", {}, [](std::optional<std::string_view>) { return true; }, kForever,
        [](const Result<CompareOutcome>&) {});
  }
  EXPECT_EQ(tier->breaker(), guard::Breaker::State::closed);
  for (int i = 0; i < 20; ++i) (void)get("other" + std::to_string(i));
  EXPECT_EQ(tier->breaker(), guard::Breaker::State::open) << "a lane whose queue is full";
}

TEST_F(StaleTest, IsServedForMaxStaleAfterTheLease) {
  set("k", "v");
  const TimePoint lease_until = now + kLease;
  open();
  now = lease_until + kMaxStale - Duration(1);
  EXPECT_EQ(answered("k"), "stale v");
  now += Duration(1);
  EXPECT_EQ(answered("k"), "nothing");
  EXPECT_EQ(get("k").error().code, Errc::unavailable);
}

TEST_F(StaleTest, IsServedForMaxStaleAfterTheLastLeaseOfALostConnection) {
  set("k", "v");
  const TimePoint lease_until = now + kLease;
  view.bump();  // the connection is lost
  view.bump();  // and the next one before it had vouched for anything
  open();
  EXPECT_EQ(answered("k"), "stale v");
  now = lease_until + kMaxStale;
  EXPECT_EQ(answered("k"), "nothing");
}

TEST_F(StaleTest, IsNotServedPastItsOwnEnd) {
  set("k", "v", {.expiry = Expiry::in(milliseconds(2000))});
  const TimePoint begun = now;
  open();
  now = begun + milliseconds(1500);
  EXPECT_EQ(answered("k"), "stale v");
  now = begun + milliseconds(2500);
  EXPECT_EQ(answered("k"), "nothing");
}

TEST_F(StaleTest, IsNeverServedWhereMaxStaleIsZero) {
  set("fact:k", "v");
  view.set_lease(now + seconds(5));
  view.bump();  // a connection is lost whose lease had still been running
  open();
  EXPECT_EQ(answered("fact:k"), "nothing");
  EXPECT_EQ(get("fact:k").error().code, Errc::unavailable);
}

TEST_F(StaleTest, IsNotServedOnceWhatWasReadIsKnownToBeGone) {
  set("k", "v");
  view.bump_for_good();  // FLUSHALL
  open();
  EXPECT_EQ(answered("k"), "nothing");
}

TEST_F(StaleTest, IsNotWhatWasOverwrittenOrDeletedWithUnknownOutcome) {
  for (const Errc code : {Errc::timeout, Errc::connection_lost}) {
    for (const std::string key : {"set", "del", "incr", "touch"}) set(key, "1");
    l2->failing = code;
    set("set", "2");
    execute({"DEL", "del"}, {"del"});
    execute({"INCR", "incr"}, {"incr"});
    tier->touch(KeyRef(0, "touch"), seconds(1), kForever, [](const Result<bool>&) {});
    open();
    for (const std::string key : {"set", "del", "incr", "touch"})
      EXPECT_EQ(answered(key), "nothing") << key;
    come_to_ramp();
    now += seconds(2);
    renew_lease();
    ASSERT_EQ(tier->breaker(), guard::Breaker::State::closed);
  }
}

TEST_F(StaleTest, IsNotWhatAWriteOfUnknownKeysMayHaveChanged) {
  set("k", "v");
  l2->failing = Errc::timeout;
  now += milliseconds(1);
  execute({"FLUSHALL"}, {});
  open();
  EXPECT_EQ(answered("k"), "nothing");
}

TEST_F(StaleTest, IsWhatWasVouchedForAfterAWriteOfUnknownKeys) {
  set("k", "v");
  tier->written_elsewhere(0, {}, true, kForever, [](const std::optional<Error>&) {});
  now += milliseconds(10);
  renew_lease();
  open();
  EXPECT_EQ(answered("k"), "stale v");
}

TEST_F(StaleTest, IsNeverThatThereIsNoSuchKey) {
  ASSERT_FALSE(get("none:k")->entry);
  ASSERT_EQ(get("none:k")->source, Source::l1);
  open();
  EXPECT_EQ(answered("none:k"), "nothing");
  EXPECT_EQ(get("none:k").error().code, Errc::unavailable);
}

TEST_F(StaleTest, OutlivesAWriteThatWasNotSent) {
  set("k", "v");
  open();
  set("k", "w");
  EXPECT_EQ(answered("k"), "stale v");
  execute({"DEL", "k"}, {"k"});
  EXPECT_EQ(answered("k"), "nothing") << "but nobody gets what somebody wanted deleted";
}

TEST_F(StaleTest, IsNoAnswerToWhoReadsBehindItsOwnWrite) {
  set("k", "v");
  open();
  EXPECT_EQ(get("k", ReadFrom::l1_in_order)->source, Source::stale);
  EXPECT_EQ(get("k", ReadFrom::through_l2).error().code, Errc::unavailable);
}

TEST_F(StaleTest, AnswersWhomTheRampKeepsFromL2) {
  set("k", "v");
  view.bump();  // so that each read is a fetch
  open();
  come_to_ramp();
  int stale = 0;
  for (int i = 0; i < 200; ++i) {
    const auto found = get("k");
    ASSERT_TRUE(found);
    stale += found->source == Source::stale ? 1 : 0;
  }
  EXPECT_GE(stale, 200 - 4) << "one in 64 goes to L2";
  EXPECT_LE(stale, 200 - 3);
}

TEST_F(StaleTest, AnswersWhoseCallFailedWhenTheBreakerHadOpened) {
  set("k", "v");
  l2->failing = Errc::timeout;
  now += kLease;
  int errors = 0;
  for (int i = 0; i < 30; ++i) errors += get("k") ? 0 : 1;
  EXPECT_EQ(errors, 18) << "the twentieth call opens it, the write included";
}

}  // namespace
}  // namespace nearlane::tier
