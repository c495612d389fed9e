// What a tier reads after its start, and leaves for the next one, over a store that outlives it.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/hot_keys.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// What of a store is still there when whoever used it has ended.
struct Remains {
  std::unique_ptr<l2::L2Backend> data = l2::make_memory_backend(std::uint64_t{1} << 30U);
  std::vector<std::string> fetched;
  bool failing = false;   // nothing is answered in time
  bool hanging = false;   // nothing is answered yet
  bool unproven = false;  // its lane vouches for nothing yet
  std::vector<std::unique_ptr<l2::Call>> held;
  std::string refusal;  // of SET
};

class Shared final : public l2::ForwardingBackend {
 public:
  Shared(Remains& remains, bool outlives)
      : ForwardingBackend(std::make_unique<Behind>(*remains.data)),
        remains_(remains),
        outlives_(outlives) {
    prove();
  }
  void start(l2::Listener& all) override { listener = &all; }
  l2::Listener* listener = nullptr;
  void prove() {
    if (!remains_.unproven) view_.set_lease(kForever);
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
    return {&view_, 1};
  }
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = "local", .outlives = outlives_};
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.op == l2::Op::fetch) remains_.fetched.push_back(call->command.key.name);
    const auto answer = [&](const l2::Answer& said) {
      call->settle(said);
      call->complete(said);
    };
    if (remains_.failing) return answer(l2::Answer::failed(Errc::timeout, "late"));
    if (remains_.hanging) return remains_.held.push_back(std::move(call));
    if (!remains_.refusal.empty() && call->command.op == l2::Op::raw) {
      l2::Answer said;
      said.reply = protocol::Reply::error(remains_.refusal);
      return answer(said);
    }
    ForwardingBackend::submit(std::move(call));
  }

 private:
  /// The store itself, which this one does not own.
  class Behind final : public l2::L2Backend {
   public:
    explicit Behind(l2::L2Backend& data) : data_(data) {}
    [[nodiscard]] std::string_view name() const noexcept override { return data_.name(); }
    [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
      return data_.capabilities();
    }
    [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override {
      return data_.lanes();
    }
    [[nodiscard]] l2::Health health() const override { return data_.health(); }
    void start(l2::Listener&) override {}
    void submit(std::unique_ptr<l2::Call> call) noexcept override { data_.submit(std::move(call)); }
    void stop() noexcept override {}

   private:
    l2::L2Backend& data_;
  };

  Remains& remains_;
  const bool outlives_;
  cohere::LaneView view_;
};

std::vector<Key> numbered(int count) {
  std::vector<Key> keys;
  keys.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) keys.emplace_back(0, "k" + std::to_string(i));
  return keys;
}

class WarmupTest : public testing::Test {
 protected:
  struct Options {
    std::size_t own_list = 0;
    std::size_t most_keys = 100;
    RefreshLimits refresh = {};
    bool on = true;
    bool outlives = true;
    std::uint64_t l1_bytes = std::uint64_t{16} << 20U;
    std::vector<Prefix> prefixes = {};
  };

  /// An instance begins; the one before has ended without a word.
  void begin(const Options& options) {
    tasks.clear();
    outcomes.clear();
    remains.fetched.clear();
    auto l2 = std::make_unique<Shared>(remains, options.outlives);
    store = l2.get();
    TierConfig config{
        .prefixes = options.prefixes,
        .now = [this] { return now; },
        .after = [this](Duration, std::function<void()> task) { tasks.push_back(std::move(task)); },
        .refresh = options.refresh,
        .warmup = {.on = options.on,
                   .limit = milliseconds(1000),
                   .interval = milliseconds(5000),
                   .most_keys = options.most_keys,
                   .on_end = [this](const WarmupOutcome& end) { outcomes.push_back(end); }}};
    tier = std::make_unique<TieredCache>(
        std::move(config),
        *l1::make_l1({.map = "native", .policy = "s3fifo", .bytes = options.l1_bytes}),
        std::move(l2));
    tier->start(options.own_list);
  }
  void begin() { begin(Options()); }
  void set(const std::string& key, const std::string& value = "v") {
    tier->set(KeyRef(0, key), value, {}, kForever,
              [](const Result<StoreOutcome>& stored) { ASSERT_TRUE(stored); });
  }
  std::string find(const std::string& key) {
    const epoch::Guard guard;
    const Entry* entry = tier->find(KeyRef(0, key), now);
    return entry == nullptr ? "" : std::string(entry->value());
  }
  /// Of the store itself.
  std::string in_store(std::vector<std::string> args) {
    class Ask final : public l2::Call {
     public:
      Ask(std::vector<std::string> what, std::string& into)
          : Call({.op = l2::Op::raw, .key = Key(kDatabases - 1, what[1]), .args = what}),
            into_(into) {}
      void settle(const l2::Answer&) noexcept override {}
      void complete(l2::Answer answer) noexcept override {
        const bool number = answer.reply.type == protocol::Type::integer;
        into_ = number ? std::to_string(answer.reply.integer) : answer.reply.text;
      }

     private:
      std::string& into_;
    };
    std::string said;
    remains.data->submit(std::make_unique<Ask>(std::move(args), said));
    return said;
  }
  std::vector<std::string> list(std::size_t number) {
    std::vector<std::string> names;
    const auto keys =
        parse_hot_keys(in_store({"GET", std::string(kHotListPrefix) + std::to_string(number)}));
    if (keys) {
      for (const Key& key : *keys) names.push_back(key.name);
    }
    return names;
  }
  void leave(std::size_t number, const std::string& bytes) {
    in_store({"SET", std::string(kHotListPrefix) + std::to_string(number), bytes});
  }
  /// What keeps house runs, and what waits for its time, so often.
  void turn(int times = 20) {
    for (int i = 0; i < times; ++i) {
      tier->warm_up();
      for (auto& task : std::exchange(tasks, {})) task();
    }
  }
  bool save() {
    bool saved = false;
    tier->save_hot_keys([&] { saved = true; });
    turn();
    return saved;
  }
  std::uint64_t counted(Count id) const { return Counts::sum(id) - before_.at(id); }

  void SetUp() override {
    for (const Count id : {Count::warmups, Count::hot_lists_saved, Count::hot_lists_failed})
      before_[id] = Counts::sum(id);
  }

  TimePoint now = Clock::now();
  Remains remains;
  Shared* store = nullptr;
  std::deque<std::function<void()>> tasks;
  std::vector<WarmupOutcome> outcomes;
  std::unique_ptr<TieredCache> tier;

 private:
  std::map<Count, std::uint64_t> before_;
};

TEST_F(WarmupTest, ASecondStartHasWhatTheFirstHadHot) {
  begin();
  EXPECT_EQ(tier->warming(), Warming::yes);
  turn();
  EXPECT_EQ(tier->warming(), Warming::done) << "there was nothing to wait for";
  for (const char* key : {"cold", "hot", "warm"}) set(key);
  for (int i = 0; i < 3; ++i) find("hot");
  find("warm");
  EXPECT_TRUE(save());
  EXPECT_EQ(counted(Count::hot_lists_saved), 1);
  EXPECT_THAT(list(0), ElementsAre("hot", "warm", "cold"));

  begin();
  EXPECT_EQ(tier->warming(), Warming::yes);
  EXPECT_EQ(find("hot"), "");
  turn();
  EXPECT_EQ(tier->warming(), Warming::done);
  EXPECT_THAT(remains.fetched, ElementsAre("hot", "warm", "cold"));
  EXPECT_EQ(counted(Count::warmups), 3);
  for (const char* key : {"cold", "hot", "warm"}) EXPECT_EQ(find(key), "v");
  EXPECT_EQ(remains.fetched.size(), 3) << "those were hits";
  ASSERT_EQ(outcomes.size(), 1);
  EXPECT_TRUE(outcomes[0].in_time);
  EXPECT_EQ(outcomes[0].keys, 3);
  EXPECT_TRUE(outcomes[0].unreadable.empty());
}

TEST_F(WarmupTest, ReadsWhatOthersHaveHotItsOwnFirst) {
  leave(2, format_hot_keys(std::vector{Key(0, "theirs"), Key(0, "both")}));
  leave(5, format_hot_keys(std::vector{Key(0, "both"), Key(0, "own")}));
  begin({.own_list = 5 + kHotLists});
  for (const char* key : {"theirs", "both", "own"}) set(key);
  begin({.own_list = 5 + kHotLists});
  turn();
  EXPECT_THAT(remains.fetched, ElementsAre("both", "theirs", "own"));
  save();
  EXPECT_THAT(list(5), testing::SizeIs(3));
  EXPECT_THAT(list(2), ElementsAre("theirs", "both")) << "another's";
}

TEST_F(WarmupTest, ReadsWhatThereIsNowWhateverTheListIsOf) {
  begin();
  turn();
  set("changed", "old");
  set("deleted");
  ASSERT_TRUE(save());
  begin({.on = false});
  set("changed", "new");
  tier->remove(KeyRef(0, "deleted"), kForever, [](const Result<bool>& was) { ASSERT_TRUE(*was); });
  begin();
  turn();
  EXPECT_EQ(tier->warming(), Warming::done);
  EXPECT_EQ(find("changed"), "new");
  EXPECT_EQ(find("deleted"), "");
}

TEST_F(WarmupTest, AWriteThatComesInBetweenIsNotUndone) {
  leave(0, format_hot_keys(std::vector{Key(0, "k")}));
  begin({.on = false});
  set("k", "old");
  begin();
  set("k", "new");
  turn();
  EXPECT_EQ(find("k"), "new");
  EXPECT_TRUE(remains.fetched.empty()) << "L1 has it";
}

TEST_F(WarmupTest, ABadListIsToldAndIsAColdStart) {
  leave(0, "*1\r\n$4\r\nNLW9\r\n");
  leave(1, format_hot_keys(std::vector{Key(0, "k")}));
  begin({.on = false});
  set("k");
  begin();
  turn();
  EXPECT_EQ(find("k"), "v") << "the others are read all the same";
  ASSERT_EQ(outcomes.size(), 1);
  ASSERT_EQ(outcomes[0].unreadable.size(), 1);
  EXPECT_THAT(outcomes[0].unreadable[0], HasSubstr("nearlane:warmup:0: no hot-key list"));
}

TEST_F(WarmupTest, AStoreThatRefusesTheListsIsAColdStart) {
  remains.refusal = "NOPERM no";
  begin();
  turn(2);
  EXPECT_EQ(tier->warming(), Warming::done);
  ASSERT_EQ(outcomes.size(), 1);
  EXPECT_EQ(outcomes[0].unreadable.size(), kHotLists);
  set("k");
  EXPECT_TRUE(save()) << "whoever ends does not wait for ever";
  EXPECT_EQ(counted(Count::hot_lists_failed), 1);
}

TEST_F(WarmupTest, TriesAgainWhileL2DoesNotAnswerAndIsReadyAfterItsLimit) {
  leave(0, format_hot_keys(std::vector{Key(0, "k")}));
  begin({.on = false});
  set("k");
  for (const char* refusal : {"", "LOADING Redis is loading the dataset in memory"}) {
    remains.failing = *refusal == '\0';
    remains.refusal = refusal;
    begin();
    turn();
    EXPECT_EQ(tier->warming(), Warming::yes) << refusal;
    now += milliseconds(1001);
    turn(1);
    EXPECT_EQ(tier->warming(), Warming::late) << refusal;
    ASSERT_EQ(outcomes.size(), 1);
    EXPECT_FALSE(outcomes[0].in_time);
    if (!remains.failing) set("its own");
    EXPECT_TRUE(save());
    EXPECT_EQ(counted(Count::hot_lists_saved) + counted(Count::hot_lists_failed), 0)
        << "one that is cold tells nobody what is hot";
    remains.failing = false;
    remains.refusal.clear();
    turn();
    EXPECT_EQ(tier->warming(), Warming::done);
    EXPECT_EQ(outcomes.size(), 1) << "told once";
    EXPECT_EQ(find("k"), "v") << refusal;
  }
}

TEST_F(WarmupTest, WaitsForReadsThatAreUnderWay) {
  leave(0, format_hot_keys(std::vector{Key(0, "k")}));
  begin({.on = false});
  set("k");
  begin();
  tier->warm_up();  // the lists are asked for, and answered
  remains.hanging = true;
  turn();
  ASSERT_EQ(remains.held.size(), 1);
  EXPECT_EQ(tier->warming(), Warming::yes);
  remains.hanging = false;
  store->submit(std::move(remains.held[0]));
  turn(1);
  EXPECT_EQ(tier->warming(), Warming::done);
}

TEST_F(WarmupTest, WaitsForALaneThatIsNotProvenYet) {
  leave(0, format_hot_keys(std::vector{Key(0, "k")}));
  begin({.on = false});
  set("k");
  remains.unproven = true;
  begin();
  turn();
  EXPECT_TRUE(remains.fetched.empty());
  EXPECT_EQ(tier->warming(), Warming::yes);
  remains.unproven = false;
  store->prove();
  turn();
  EXPECT_THAT(remains.fetched, ElementsAre("k"));
  EXPECT_EQ(tier->warming(), Warming::done);
}

TEST_F(WarmupTest, KeepsToTheLimitsOfReadsNobodyAskedFor) {
  const std::vector<Key> keys = numbered(50);
  leave(0, format_hot_keys(keys));
  begin({.on = false});
  for (const Key& key : keys) set(key.name);
  begin({.most_keys = 30, .refresh = {.reads_per_s = 100}});  // ten at once
  turn();
  EXPECT_EQ(remains.fetched.size(), 10);
  EXPECT_EQ(tier->warming(), Warming::yes);
  now += milliseconds(50);
  turn();
  EXPECT_EQ(remains.fetched.size(), 15);
  for (int i = 0; i < 10; ++i) {
    now += milliseconds(50);
    turn();
  }
  EXPECT_EQ(remains.fetched.size(), 30) << "most_keys";
  EXPECT_EQ(remains.fetched.front(), "k0");
  EXPECT_EQ(tier->warming(), Warming::done);
}

TEST_F(WarmupTest, ReadsAgainWhatOthersChangeMeanwhile) {
  leave(0, format_hot_keys(std::vector{Key(0, "k"), Key(0, "other")}));
  begin({.on = false});
  set("k");
  set("other");
  begin({.refresh = {.reads_per_s = 10}});  // one at once
  turn();
  ASSERT_THAT(remains.fetched, ElementsAre("k"));
  for (std::size_t i = 2; i < 8; ++i) {
    store->listener->invalidate("k");
    EXPECT_EQ(find("k"), "");
    now += milliseconds(100);
    turn();
    EXPECT_EQ(remains.fetched, std::vector<std::string>(i, "k"))
        << "the hotter one first, each time";
  }
  now += milliseconds(100);
  turn();
  ASSERT_EQ(tier->warming(), Warming::done);
  EXPECT_EQ(remains.fetched.back(), "other");
  remains.fetched.clear();
  store->listener->invalidate("k");
  now += milliseconds(1000);
  turn();
  EXPECT_TRUE(remains.fetched.empty()) << "no prefix says so";
}

TEST_F(WarmupTest, StopsWhereL1IsFull) {
  const std::vector<Key> keys = numbered(64);
  leave(0, format_hot_keys(keys));
  begin({.on = false});
  for (const Key& key : keys) set(key.name, std::string(100'000, 'x'));
  begin({.refresh = {.reads_per_s = 100}, .l1_bytes = std::uint64_t{2} << 20U});
  for (int i = 0; i < 10; ++i) {
    turn();
    now += milliseconds(50);
  }
  EXPECT_EQ(tier->warming(), Warming::done);
  EXPECT_LT(remains.fetched.size(), 50);
  EXPECT_GT(remains.fetched.size(), 15);
}

TEST_F(WarmupTest, StopsWhereL2HasNothingOfTheList) {
  const std::vector<Key> keys = numbered(1000);
  leave(0, format_hot_keys(keys));
  begin({.most_keys = 1000, .refresh = {.reads_per_s = 1'000'000}});
  turn();
  EXPECT_EQ(tier->warming(), Warming::done);
  EXPECT_GE(remains.fetched.size(), 64);
  EXPECT_LT(remains.fetched.size(), 100);
}

TEST_F(WarmupTest, LeavesAListNowAndAgainButNoneOfAnEmptyL1) {
  leave(0, format_hot_keys(std::vector{Key(0, "gone")}));
  begin();
  turn();
  now += milliseconds(5001);
  turn();
  EXPECT_THAT(list(0), ElementsAre("gone"));
  set("a");
  turn();
  EXPECT_THAT(list(0), ElementsAre("gone")) << "not before its time";
  now += milliseconds(5001);
  turn();
  EXPECT_THAT(list(0), ElementsAre("a"));
  const auto lives =
      milliseconds(std::stoll(in_store({"PTTL", std::string(kHotListPrefix) + "0"})));
  EXPECT_GT(lives, std::chrono::minutes(59));
  EXPECT_LE(lives, std::chrono::hours(1) + std::chrono::seconds(5));
}

TEST_F(WarmupTest, AListIsNoKeyOfTheClientsAndNoneOfItself) {
  begin();
  turn();
  set("k");
  set(std::string(kHotListPrefix) + "3");  // somebody's of the same name, in a database of clients
  ASSERT_TRUE(save());
  EXPECT_THAT(list(0), ElementsAre("k"));
  std::string keys;
  RawCommand size{.db = 0, .args = {"DBSIZE"}, .keys = {}, .writes = false};
  tier->execute(std::move(size), kForever, [&](const Result<protocol::Reply>& reply) {
    keys = std::to_string(reply->integer);
  });
  EXPECT_EQ(keys, "2");
}

TEST_F(WarmupTest, ReadsNothingThatL1IsNotToHold) {
  leave(0, format_hot_keys(std::vector{Key(0, "big:1"), Key(0, "k")}));
  begin({.on = false});
  set("big:1");
  set("k");
  begin({.prefixes = {{.match = "big:", .rules = {.l1 = false}}}});
  turn();
  EXPECT_THAT(remains.fetched, ElementsAre("k"));
}

TEST_F(WarmupTest, IsOffWhereItIsOfNoUse) {
  leave(0, format_hot_keys(std::vector{Key(0, "k")}));
  for (const Options& options :
       {Options{.on = false}, Options{.outlives = false}, Options{.refresh = {.reads_per_s = 0}}}) {
    begin(options);
    set("other");
    EXPECT_EQ(tier->warming(), Warming::off);
    turn();
    EXPECT_TRUE(save());
    EXPECT_TRUE(remains.fetched.empty());
    EXPECT_THAT(list(0), ElementsAre("k"));
    EXPECT_TRUE(outcomes.empty());
  }
}

TEST_F(WarmupTest, WhoEndsWhileAListIsGatheredWaitsForIt) {
  begin();
  turn();
  for (int i = 0; i < 5000; ++i) set("k" + std::to_string(i));
  int saved = 0;
  tier->save_hot_keys([&] { ++saved; });
  ASSERT_EQ(saved, 0) << "more than one step";
  tier->save_hot_keys([&] { ++saved; });
  turn(100);
  EXPECT_EQ(saved, 2);
  EXPECT_EQ(counted(Count::hot_lists_saved), 1);
}

}  // namespace
}  // namespace nearlane::tier
