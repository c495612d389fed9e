// TieredCache over the embedded stores, which answer before the call returns.
#include "core/tier/tiered_cache.h"

#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l1/forwarding_map.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/l2/none/none_backend.h"
#include "core/tier/cache_fixture.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

class OverMemory : public testing::Test {
 protected:
  Cache cache{l2::make_memory_backend(std::uint64_t{1} << 30U)};
};

TEST_F(OverMemory, InstallsWhatItWrote) {
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(cache.find("k"), "v");
}

TEST_F(OverMemory, PromotesWhatItFetched) {
  ASSERT_TRUE(cache.execute({"SET", "k", "v"}, {"k"}));
  EXPECT_EQ(cache.find("k"), std::nullopt) << "a raw write installs nothing";
  const auto fetched = cache.get("k");
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->source, Source::l2);
  EXPECT_EQ(cache.find("k"), "v");
  EXPECT_EQ(cache.get("k")->source, Source::l1);
}

TEST_F(OverMemory, AnswersAMissWithNoEntry) {
  const auto fetched = cache.get("k");
  ASSERT_TRUE(fetched);
  EXPECT_FALSE(fetched->entry);
  EXPECT_EQ(fetched->source, Source::miss);
}

TEST_F(OverMemory, ForgetsWhatARawCommandWrote) {
  ASSERT_TRUE(cache.set("n", "41"));
  EXPECT_EQ(cache.execute({"INCR", "n"}, {"n"})->integer, 42);
  EXPECT_EQ(cache.find("n"), std::nullopt);
  EXPECT_EQ(cache.get("n")->entry->value(), "42");
}

TEST_F(OverMemory, ForgetsWhatATransactionWroteAndNothingElse) {
  ASSERT_TRUE(cache.set("a", "1"));
  ASSERT_TRUE(cache.set("b", "1"));
  ASSERT_TRUE(cache.set("c", "1"));
  const auto done = cache.transact({.commands = {{.args = {"SET", "a", "2"}, .keys = {"a"}},
                                                 {.args = {"INCR", "b"}, .keys = {"b"}},
                                                 {.args = {"GET", "c"}}}});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->elements.size(), 3U);
  EXPECT_EQ(cache.find("a"), std::nullopt);
  EXPECT_EQ(cache.find("b"), std::nullopt);
  EXPECT_EQ(cache.find("c"), "1");
  EXPECT_EQ(cache.get("a")->entry->value(), "2");
}

TEST_F(OverMemory, ForgetsEverythingAfterATransactionThatMayHaveWrittenAnything) {
  ASSERT_TRUE(cache.set("a", "1"));
  const auto done = cache.transact({.commands = {{.args = {"FLUSHALL"}, .undeclared = true}}});
  ASSERT_TRUE(done);
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

/// A store of which the test says what it can, and what was asked of it.
class Described final : public l2::ForwardingBackend {
 public:
  explicit Described(l2::Capabilities can)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), can_(can) {}
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override { return can_; }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == cohere::Op::transact && call->command.wide) ++questions;
    if (call->command.op != cohere::Op::announce) return behind_->submit(std::move(call));
    announcements.push_back(std::move(call));
  }

  int questions = 0;
  std::vector<std::unique_ptr<l2::Call>> announcements;  // not answered yet

 private:
  const l2::Capabilities can_;
};

// One lane that is not to be trusted makes a "none" of the mode's name, while the others announce.
TEST(WrittenElsewhere, IsAnnouncedBeforeItIsAnsweredWhateverTheModeIsCalled) {
  for (const bool announces : {true, false}) {
    auto l2 = std::make_unique<Described>(
        l2::Capabilities{.coherence = "none", .lease = milliseconds(250), .announces = announces});
    Described& store = *l2;
    Cache cache(std::move(l2));
    bool answered = false;
    cache.tier.written_elsewhere(0, {"k"}, false, kForever, [&](const std::optional<Error>& error) {
      EXPECT_FALSE(error);
      answered = true;
    });
    EXPECT_EQ(answered, !announces);
    if (!announces) continue;
    ASSERT_EQ(store.announcements.size(), 1U);
    EXPECT_EQ(store.announcements[0]->command.changed, std::vector<std::string>{"k"});
    l2::Answer told;
    told.reply = protocol::Reply::number(1);
    store.announcements[0]->complete(std::move(told));
    EXPECT_TRUE(answered);
  }
}

TEST(Audits, AskNothingWhereWhatOthersWritePastTheInstancesMayBeServedForLonger) {
  // Whatever the mode is called: it is "none" where one lane may not announce, and the others do.
  for (const bool announces : {false, true}) {
    auto l2 = std::make_unique<Described>(
        l2::Capabilities{.coherence = "none", .lease = milliseconds(250), .announces = announces});
    const Described& store = *l2;
    Cache cache(std::move(l2), "sharded",
                {.audit = {.one_in = 1, .hits_per_audit = 1, .rate = 100'000}});
    ASSERT_TRUE(cache.set("k", "v"));
    TimePoint now = Clock::now();
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(cache.find("k"), "v");
      cache.tier.audit(now += milliseconds(10));
    }
    EXPECT_EQ(store.questions > 0, !announces);
  }
}

TEST_F(OverMemory, WhateverWritesAKeyChangesWhatIsWatched) {
  const auto who = std::make_shared<cohere::Watch>();
  ASSERT_TRUE(cache.watch("k", who));
  ASSERT_TRUE(cache.set("k", "v"));
  const auto done =
      cache.transact({.commands = {{.args = {"SET", "k", "w"}, .keys = {"k"}}}, .watch = who});
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->is_null());
  EXPECT_EQ(cache.get("k")->entry->value(), "v");
}

TEST_F(OverMemory, KeepsWhatARawCommandOnlyRead) {
  ASSERT_TRUE(cache.set("k", "v"));
  EXPECT_EQ(cache.execute({"STRLEN", "k"}, {"k"}, false)->integer, 1);
  EXPECT_EQ(cache.find("k"), "v");
}

TEST_F(OverMemory, ForgetsTheNameInEveryOtherDatabaseAfterARawCommand) {
  // Redis may have dropped the one registration that it keeps for all of them.
  const KeyRef elsewhere(1, "k");
  const auto set_elsewhere = [&] {
    cache.tier.set(elsewhere, "v", {}, kForever, [](const Result<StoreOutcome>&) {});
  };
  const auto is_there = [&] {
    const epoch::Guard guard;
    return cache.tier.find(elsewhere, Clock::now()) != nullptr;
  };
  set_elsewhere();
  ASSERT_TRUE(is_there());
  ASSERT_TRUE(cache.set("k", "v"));
  EXPECT_TRUE(is_there()) << "a transaction registers the name again";
  ASSERT_TRUE(cache.execute({"APPEND", "k", "v"}, {"k"}));
  EXPECT_FALSE(is_there());
  set_elsewhere();
  ASSERT_TRUE(cache.execute({"STRLEN", "k"}, {"k"}, false));
  EXPECT_FALSE(is_there()) << "it may have found that the key had expired";
}

TEST_F(OverMemory, ComparesBeforeItWrites) {
  const auto is = [](const std::optional<std::string>& wanted) {
    return [wanted](std::optional<std::string_view> value) { return value == wanted; };
  };
  const auto set_if = [&](const std::optional<std::string>& wanted, std::string_view value,
                          StoreOptions options = {}) {
    Result<CompareOutcome> result = Error{Errc::timeout};
    cache.tier.set_if(KeyRef(0, "k"), value, options, is(wanted), kForever,
                      [&](Result<CompareOutcome> answer) { result = std::move(answer); });
    return result;
  };
  const auto remove_if = [&](std::string wanted) {
    Result<CompareOutcome> result = Error{Errc::timeout};
    cache.tier.remove_if(KeyRef(0, "k"), is(std::move(wanted)), kForever,
                         [&](Result<CompareOutcome> answer) { result = std::move(answer); });
    return result;
  };
  EXPECT_FALSE(set_if("a", "b")->held);
  EXPECT_FALSE(cache.get("k")->entry);
  const auto made = set_if(std::nullopt, "a", {.expiry = Expiry::in(milliseconds(60'000))});
  EXPECT_TRUE(made->held && !made->existed);
  EXPECT_EQ(cache.get("k")->entry->value(), "a");
  EXPECT_GT(cache.execute({"PTTL", "k"}, {"k"}, false)->integer, 0);
  ASSERT_EQ(cache.find("k"), "a");
  EXPECT_FALSE(set_if("x", "b")->held);
  EXPECT_EQ(cache.find("k"), "a") << "nothing was written, so L1 keeps what it has";
  const auto changed = set_if("a", "b");
  EXPECT_TRUE(changed->held && changed->existed);
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_EQ(cache.get("k")->entry->value(), "b");
  EXPECT_FALSE(remove_if("a")->held);
  EXPECT_TRUE(remove_if("b")->held);
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_FALSE(cache.get("k")->entry);
  ASSERT_TRUE(cache.execute({"HSET", "k", "f", "v"}, {"k"}));
  const auto wrong = set_if("a", "b");
  ASSERT_TRUE(wrong.has_error());
  EXPECT_EQ(wrong.error().code, Errc::l2_error);
}

TEST_F(OverMemory, ForgetsAllKeysOfACommandWithSeveral) {
  ASSERT_TRUE(cache.set("a", "1"));
  ASSERT_TRUE(cache.set("b", "1"));
  ASSERT_TRUE(cache.execute({"MSET", "a", "2", "b", "2"}, {"a", "b"}));
  EXPECT_EQ(cache.get("a")->entry->value(), "2");
  EXPECT_EQ(cache.get("b")->entry->value(), "2");
}

TEST_F(OverMemory, ForgetsEverythingWhenNobodyNamesTheKeys) {
  ASSERT_TRUE(cache.set("a", "1"));
  ASSERT_TRUE(cache.execute({"FLUSHALL"}, {}));
  EXPECT_EQ(cache.find("a"), std::nullopt);
  EXPECT_FALSE(cache.get("a")->entry);
  ASSERT_TRUE(cache.set("a", "2"));
  EXPECT_EQ(cache.find("a"), "2") << "and goes on";
}

TEST_F(OverMemory, RemovesFromBothTiers) {
  ASSERT_TRUE(cache.set("k", "v"));
  EXPECT_EQ(cache.remove("k").value(), true);
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_FALSE(cache.get("k")->entry);
  EXPECT_EQ(cache.remove("k").value(), false);
}

TEST_F(OverMemory, HonoursConditions) {
  EXPECT_FALSE(cache.set("k", "v", {.condition = Condition::if_present})->stored);
  EXPECT_TRUE(cache.set("k", "v", {.condition = Condition::if_absent})->stored);
  EXPECT_FALSE(cache.set("k", "w", {.condition = Condition::if_absent})->stored);
  EXPECT_EQ(cache.get("k")->entry->value(), "v");
}

TEST_F(OverMemory, SaysWhetherTheKeyWasThere) {
  EXPECT_EQ(cache.set("k", "v", {.ask_existed = true})->existed, false);
  EXPECT_EQ(cache.set("k", "w", {.ask_existed = true})->existed, true);
}

TEST_F(OverMemory, ServesNothingPastItsDeadline) {
  const TimePoint before = Clock::now();
  ASSERT_TRUE(cache.set("k", "v", {.expiry = Expiry::in(milliseconds(1000))}));
  EXPECT_EQ(cache.find("k", before + milliseconds(990)), "v");
  EXPECT_EQ(cache.find("k", Clock::now() + milliseconds(1000)), std::nullopt);
}

TEST_F(OverMemory, SlidesTheDeadlineWithoutLosingTheCopy) {
  ASSERT_TRUE(cache.set("k", "v", {.expiry = Expiry::in(milliseconds(10'000))}));
  EXPECT_EQ(cache.touch("k", milliseconds(60'000)).value(), true);
  EXPECT_EQ(cache.find("k", Clock::now() + milliseconds(50'000)), "v");
  EXPECT_EQ(cache.touch("nothing", milliseconds(60'000)).value(), false);
}

TEST_F(OverMemory, DropsAKeyTouchedIntoThePast) {
  ASSERT_TRUE(cache.set("k", "v"));
  EXPECT_EQ(cache.touch("k", milliseconds(-1)).value(), true);
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_FALSE(cache.get("k")->entry);
}

TEST_F(OverMemory, HandsOnTheStoresOwnError) {
  ASSERT_TRUE(cache.set("k", "not a number"));
  const auto answer = cache.execute({"INCR", "k"}, {"k"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), (Error{Errc::l2_error, "ERR value is not an integer or out of range"}));
}

TEST_F(OverMemory, FindsABatchAsItFindsOne) {
  ASSERT_TRUE(cache.set("a", "1"));
  ASSERT_TRUE(cache.set("c", "3"));
  const std::array keys{KeyRef(0, "a"), KeyRef(0, "b"), KeyRef(0, "c")};
  std::array<const Entry*, 3> found{};
  const epoch::Guard guard;
  cache.tier.find_batch(keys, found, Clock::now());
  ASSERT_NE(found[0], nullptr);
  EXPECT_EQ(found[0]->value(), "1");
  EXPECT_EQ(found[1], nullptr);
  ASSERT_NE(found[2], nullptr);
  EXPECT_EQ(found[2]->value(), "3");
}

TEST_F(OverMemory, KeepsDatabasesApart) {
  ASSERT_TRUE(cache.set("k", "zero"));
  const epoch::Guard guard;
  EXPECT_EQ(cache.tier.find(KeyRef(1, "k"), Clock::now()), nullptr);
}

TEST(TieredCache, CapsHowLongL1KeepsAValue) {
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.l1_ttl = milliseconds(100)});
  ASSERT_TRUE(cache.set("k", "v", {.expiry = Expiry::in(milliseconds(60'000))}));
  EXPECT_EQ(cache.find("k", Clock::now() + milliseconds(100)), std::nullopt);
}

TEST(TieredCache, SpreadsTheEndsOfCopiesOverTheLastTenthOfTheCap) {
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.l1_ttl = std::chrono::hours(10)});
  const TimePoint before = Clock::now();
  constexpr int kKeys = 200;
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(cache.set(std::to_string(i), "v"));
  const auto left_after = [&](std::chrono::minutes age) {
    int left = 0;
    for (int i = 0; i < kKeys; ++i) left += cache.find(std::to_string(i), before + age) ? 1 : 0;
    return left;
  };
  EXPECT_EQ(left_after(std::chrono::minutes(9 * 60 - 1)), kKeys);
  EXPECT_NEAR(left_after(std::chrono::minutes(9 * 60 + 30)), kKeys * 0.5, kKeys * 0.25);
  EXPECT_EQ(left_after(std::chrono::minutes(10 * 60 + 1)), 0);
}

TEST(TieredCache, NoTouchMovesACopyPastTheCapOnItsAge) {
  TimePoint now = Clock::now();
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.l1_ttl = milliseconds(100'000), .now = [&] { return now; }});
  ASSERT_TRUE(cache.set("k", "v", {.expiry = Expiry::in(milliseconds(500'000))}));
  now += milliseconds(60'000);
  EXPECT_EQ(cache.touch("k", milliseconds(500'000)).value(), true);
  EXPECT_EQ(cache.find("k", now), "v");
  EXPECT_EQ(cache.find("k", now + milliseconds(41'000)), std::nullopt);
  EXPECT_EQ(cache.touch("k", milliseconds(10'000)).value(), true);
  EXPECT_EQ(cache.find("k", now + milliseconds(11'000)), std::nullopt) << "earlier it does";
}

TEST(TieredCache, RemembersThatThereIsNoKeyUntilItIsMadeOrTheTimeIsUp) {
  TimePoint now = Clock::now();
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.negative_ttl = milliseconds(2'000), .now = [&] { return now; }});
  EXPECT_EQ(cache.get("k")->source, Source::miss);
  const auto again = cache.get("k");
  EXPECT_FALSE(again->entry);
  EXPECT_EQ(again->source, Source::l1);
  EXPECT_EQ(cache.find("k", now), std::nullopt) << "it is no value";
  EXPECT_EQ(cache.get("k", ReadFrom::through_l2)->source, Source::miss);
  now += milliseconds(3'000);
  EXPECT_EQ(cache.get("k")->source, Source::miss) << "the time is up";

  ASSERT_TRUE(cache.execute({"SET", "k", "raw"}, {"k"}));
  EXPECT_EQ(cache.get("k")->entry->value(), "raw");
  ASSERT_EQ(cache.remove("k").value(), true);
  EXPECT_FALSE(cache.get("k")->entry);
  ASSERT_TRUE(cache.set("k", "v", {.condition = Condition::if_absent})->stored);
  EXPECT_EQ(cache.find("k", now), "v");
  EXPECT_EQ(cache.touch("other", milliseconds(1'000)).value(), false);
  EXPECT_FALSE(cache.get("other")->entry);
  EXPECT_EQ(cache.touch("other", milliseconds(1'000)).value(), false);
}

TEST(TieredCache, APrefixHasItsOwnRulesAndTheRestTheGeneralOnes) {
  TimePoint now = Clock::now();
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.negative_ttl = milliseconds(2'000),
               .prefixes = {{.match = "big:", .rules = {.l1 = false}},
                            {.match = "big:hot:", .rules = {.l1_ttl = milliseconds(1'000)}}},
               .now = [&] { return now; }});
  for (const char* key : {"big:1", "big:hot:1", "other"}) {
    ASSERT_TRUE(cache.set(key, "v")->stored);
    EXPECT_EQ(cache.get(key)->entry->value(), "v");
    EXPECT_EQ(cache.find(key, now).has_value(), std::string_view(key) != "big:1") << key;
  }
  EXPECT_EQ(cache.get("big:1")->source, Source::l2) << "always";
  EXPECT_EQ(cache.touch("big:1", milliseconds(60'000)).value(), true);
  EXPECT_EQ(cache.find("big:1", now), std::nullopt);
  for (const char* key : {"big:none", "big:hot:none"}) {
    EXPECT_FALSE(cache.get(key)->entry);
    EXPECT_EQ(cache.get(key)->source, Source::miss) << "what a prefix does not say is the default";
  }
  EXPECT_FALSE(cache.get("none")->entry);
  EXPECT_EQ(cache.get("none")->source, Source::l1);
  EXPECT_EQ(cache.find("big:hot:1", now + milliseconds(1'001)), std::nullopt);
  EXPECT_EQ(cache.find("other", now + milliseconds(1'001)), "v");
  EXPECT_EQ(cache.touch("big:hot:1", milliseconds(60'000)).value(), true);
  EXPECT_EQ(cache.find("big:hot:1", now + milliseconds(1'001)), std::nullopt);
}

/// A store that says nothing of others' writes.
class Silent final : public l2::ForwardingBackend {
 public:
  Silent() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)) {}
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    behind_->submit(std::make_unique<Unvouched>(std::move(call)));
  }

 private:
  struct Unvouched final : l2::Call {
    explicit Unvouched(std::unique_ptr<l2::Call> call)
        : Call(call->command), real(std::move(call)) {}
    void settle(const l2::Answer& answer) noexcept override {
      l2::Answer unvouched = answer;
      unvouched.epoch = cohere::kNoEpoch;
      real->settle(unvouched);
    }
    void complete(l2::Answer answer) noexcept override { real->complete(std::move(answer)); }
    std::unique_ptr<l2::Call> real;
  };
};

TEST(TieredCache, InstallsNothingThatNobodyVouchesFor) {
  Cache cache(std::make_unique<Silent>(), "sharded", {.negative_ttl = milliseconds(60'000)});
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(cache.get("k")->source, Source::l2);
  EXPECT_EQ(cache.get("k")->source, Source::l2) << "again";
  EXPECT_FALSE(cache.get("none")->entry);
  EXPECT_EQ(cache.touch("k", milliseconds(60'000)).value(), true);
  EXPECT_EQ(cache.tier.l1_stats().entries, 0U);
}

/// An L1 in which something happens between the moment when an entry is found and the moment when its finder has it.
class Interrupted final : public l1::ForwardingMap {
 public:
  using ForwardingMap::ForwardingMap;
  std::function<void()> meanwhile = [] {};

  [[nodiscard]] const Entry* find(const KeyRef& key) noexcept override {
    const Entry* found = behind_->find(key);
    meanwhile();
    return found;
  }
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out) noexcept override {
    behind_->find_batch(keys, out);
    meanwhile();
  }
};

class Leased final : public l2::ForwardingBackend {
 public:
  explicit Leased(const cohere::LaneView& view)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), view_(view) {}
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return {&view_, 1};
  }

 private:
  const cohere::LaneView& view_;
};

// A lane was silent for longer than its lease, and then all comes at once: that the entry has ended, and the reply
// that renews the lease. Whoever had found the entry before must not take the new lease for its own.
TEST(TieredCache, AHitRestsOnALeaseThatRanBeforeTheEntryWasFound) {
  const auto at = [](int ms) { return TimePoint(milliseconds(1000 + ms)); };
  cohere::LaneView view;
  auto map = std::make_unique<Interrupted>(make_map());
  Interrupted& l1 = *map;
  TieredCache tier({}, std::move(map), std::make_unique<Leased>(view));
  tier.start();
  const KeyRef key(0, "k");
  for (const bool batch : {false, true}) {
    tier.set(key, "old", {}, kForever, [](const Result<StoreOutcome>& done) { ASSERT_TRUE(done); });
    const auto find = [&](TimePoint now) {
      const epoch::Guard guard;
      if (!batch) return tier.find(key, now) != nullptr;
      const Entry* found = nullptr;
      tier.find_batch({&key, 1}, {&found, 1}, now);
      return found != nullptr;
    };
    view.set_lease(at(100));
    EXPECT_TRUE(find(at(99)));
    l1.meanwhile = [&] {
      l1.erase(key);
      view.set_lease(at(300));
    };
    EXPECT_FALSE(find(at(150)));
    l1.meanwhile = [] {};
  }
}

/// Answers reads of database 1 too late: the store executes them, and nobody hears what they found.
class LateInDatabaseOne final : public l2::ForwardingBackend {
 public:
  explicit LateInDatabaseOne(Errc code)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), code_(code) {}
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.key.db != 1) return behind_->submit(std::move(call));
    const l2::Answer late = l2::Answer::failed(code_, "late");
    call->settle(late);
    call->complete(late);
  }

 private:
  Errc code_;
};

/// Answers commands that only read with whatever it is told.
class Answering final : public l2::ForwardingBackend {
 public:
  explicit Answering(const protocol::Reply& reply)
      : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)), reply_(reply) {}
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op != cohere::Op::raw) return behind_->submit(std::move(call));
    l2::Answer answer;
    answer.reply = reply_;
    call->settle(answer);
    call->complete(std::move(answer));
  }

 private:
  const protocol::Reply& reply_;
};

// It may have been our command that found the key ended, of which Redis tells nobody; by Redis's clock, not by ours.
TEST(TieredCache, ForgetsAKeyOfWhichACommandFoundNothing) {
  using protocol::Reply;
  Reply reply;
  Cache cache(std::make_unique<Answering>(reply));
  const auto keeps = [&](const char* command, Reply told) {
    reply = std::move(told);
    EXPECT_TRUE(cache.set("k", "v")->stored);
    EXPECT_TRUE(cache.execute({command, "k"}, {"k"}, false));
    return cache.find("k").has_value();
  };
  EXPECT_FALSE(keeps("EXISTS", Reply::number(0)));
  EXPECT_FALSE(keeps("TTL", Reply::number(-2)));
  EXPECT_FALSE(keeps("OBJECT", Reply::null()));
  EXPECT_FALSE(keeps("GETRANGE", Reply::bulk("")));
  EXPECT_FALSE(keeps("TYPE", Reply::simple("none")));
  EXPECT_FALSE(keeps("HGETALL", Reply::array({})));
  EXPECT_TRUE(keeps("EXISTS", Reply::number(1)));
  EXPECT_TRUE(keeps("TTL", Reply::number(-1)));
  EXPECT_TRUE(keeps("GETRANGE", Reply::bulk("v")));
  EXPECT_TRUE(keeps("TYPE", Reply::simple("string")));
}

TEST(TieredCache, ForgetsTheNameElsewhereWhenAReadWasGivenUp) {
  for (const Errc code : {Errc::timeout, Errc::unavailable}) {
    Cache cache(std::make_unique<LateInDatabaseOne>(code));
    ASSERT_TRUE(cache.set("k", "v")->stored);
    ASSERT_EQ(cache.find("k"), "v");
    Result<Lookup> late = Lookup{};
    cache.tier.get(Key(KeyRef(1, "k")), ReadFrom::l1_first, kForever,
                   [&](Result<Lookup> answer) { late = std::move(answer); });
    EXPECT_EQ(late.error().code, code);
    // What was never sent has changed no registration.
    EXPECT_EQ(cache.find("k").has_value(), code == Errc::unavailable);
  }
}

TEST(TieredCache, ServesFromL2AloneWithoutL1) {
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "none");
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(cache.find("k"), std::nullopt);
  EXPECT_EQ(cache.get("k")->source, Source::l2);
}

TEST(TieredCache, ServesFromL1AloneWithoutL2) {
  Cache cache(l2::make_none_backend());
  ASSERT_TRUE(cache.set("k", "v", {.expiry = Expiry::in(milliseconds(1000))})->stored);
  EXPECT_EQ(cache.find("k"), "v");
  EXPECT_EQ(cache.find("k", Clock::now() + milliseconds(1000)), std::nullopt);
  EXPECT_FALSE(cache.get("other")->entry);
}

}  // namespace
}  // namespace nearlane::tier
