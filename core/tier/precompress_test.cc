// Precompression in the tier, step by step: no thread works but the test's own.
#include "core/entry/precompress.h"

#include <array>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "core/base/epoch.h"
#include "core/entry/test_decoding.h"
#include "core/l1/forwarding_map.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

/// A map in which something happens once, right after somebody has peeked: between a worker's look and its work.
class Interrupted final : public l1::ForwardingMap {
 public:
  explicit Interrupted(std::uint64_t bytes)
      : ForwardingMap(*l1::make_l1({.map = "native", .policy = "lru", .bytes = bytes})) {}

  std::function<void()> meanwhile = {};
  std::function<void()> before_replacing = {};

  [[nodiscard]] const Entry* peek(const KeyRef& key) const noexcept override {
    const Entry* entry = behind_->peek(key);
    if (auto happens = std::exchange(const_cast<Interrupted*>(this)->meanwhile, {})) happens();
    return entry;
  }
  bool replace_if(const Entry* expected, EntryPtr next) override {
    if (before_replacing) before_replacing();
    return behind_->replace_if(expected, std::move(next));
  }
};

/// Of each seed another one: small ones, some that compress and some that do not.
std::string value_of(unsigned seed) {
  std::string value;
  if (seed % 5 == 0) return fmt::format("small {}", seed);
  if (seed % 5 == 1) {
    for (unsigned i = seed; value.size() < 700; ++i)
      value += static_cast<char>(i * i * 2654435761U >> 24U);
    return value;
  }
  while (value.size() < 300 + seed % 5 * 5000) value += fmt::format("[{}:{}]", seed, value.size());
  return value;
}

class Cache {
 public:
  explicit Cache(TierConfig config = {.precompress = Precompress::always},
                 std::uint64_t l1_bytes = std::uint64_t{64} << 20U) {
    config.precompression.threads = 0;
    auto interrupted = std::make_unique<Interrupted>(l1_bytes);
    map = interrupted.get();
    tier = std::make_unique<TieredCache>(std::move(config), std::move(interrupted),
                                         l2::make_memory_backend(std::uint64_t{1} << 30U));
    tier->start();
  }

  void set(std::string_view key, std::string_view value, StoreOptions options = {}) const {
    tier->set(KeyRef(0, key), value, options, kForever,
              [](const Result<StoreOutcome>& stored) { ASSERT_TRUE(stored && stored->stored); });
  }
  void execute(std::vector<std::string> args, std::vector<std::string> keys) const {
    tier->execute({.args = std::move(args), .keys = std::move(keys)}, kForever,
                  [](const Result<protocol::Reply>& reply) { ASSERT_TRUE(reply); });
  }
  void touch(std::string_view key, milliseconds ttl) const {
    tier->touch(KeyRef(0, key), ttl, kForever, [](const Result<bool>&) {});
  }
  EntryPtr get(std::string_view key) const {
    EntryPtr entry;
    tier->get(Key(KeyRef(0, key)), ReadFrom::l1_first, kForever,
              [&](const Result<Lookup>& found) { entry = found->entry; });
    return entry;
  }
  /// What L1 serves.
  [[nodiscard]] EntryPtr find(std::string_view key) const {
    const epoch::Guard guard;
    return EntryPtr::pin(tier->find(KeyRef(0, key), Clock::now()));
  }
  void want(std::string_view key) const {
    const epoch::Guard guard;
    if (const Entry* entry = tier->find(KeyRef(0, key), Clock::now())) tier->want_forms(*entry);
  }
  [[nodiscard]] bool has_forms(std::string_view key) const {
    const EntryPtr entry = find(key);
    return entry && entry->has_variants();
  }

  Interrupted* map = nullptr;
  std::unique_ptr<TieredCache> tier;
};

const std::string kValue = value_of(2);

TEST(Precompression, PutsFormsInThePlaceOfWhatWasWritten) {
  Cache cache;
  cache.set("k", kValue, {.expiry = Expiry::in(milliseconds(60'000))});
  const EntryPtr plain = cache.find("k");
  EXPECT_FALSE(plain->has_variants());
  EXPECT_EQ(cache.tier->precompressing(), 1U);
  const auto before = Counts::sum(Count::precompressed);
  EXPECT_TRUE(cache.tier->precompress_once());
  EXPECT_EQ(Counts::sum(Count::precompressed), before + 1);
  const EntryPtr entry = cache.find("k");
  ASSERT_TRUE(entry->has_variants());
  EXPECT_EQ(test::decoded(entry->form(Coding::br), Coding::br), kValue);
  EXPECT_EQ(test::decoded(entry->form(Coding::gzip), Coding::gzip), kValue);
  EXPECT_EQ(entry->deadline(), plain->deadline());
  EXPECT_EQ(entry->epoch(), plain->epoch());
}

TEST(Precompression, IsForWhoAsksUnlessItIsForAll) {
  Cache cache({.precompress = Precompress::asked,
               .prefixes = {{"always:", {.precompress = Precompress::always}},
                            {"off:", {.precompress = Precompress::off}},
                            {"secret:", {.precompress = Precompress::always, .secret = true}},
                            {"nol1:", {.l1 = false, .precompress = Precompress::always}}}});
  const auto writes_forms = [&](std::string_view key, bool asks) {
    cache.set(key, kValue, {.asks_forms = asks});
    return cache.tier->precompress_once();
  };
  EXPECT_FALSE(writes_forms("k", false));
  EXPECT_TRUE(writes_forms("k", true));
  EXPECT_TRUE(writes_forms("always:k", false));
  for (const char* key : {"off:k", "secret:k", "nol1:k"}) {
    EXPECT_FALSE(writes_forms(key, true)) << key;
    cache.want(key);
    EXPECT_FALSE(cache.tier->precompress_once()) << key;
  }
  EXPECT_FALSE(cache.tier->may_compress("secret:k"));
  EXPECT_TRUE(cache.tier->may_compress("off:k"));
}

TEST(Precompression, BeginsWithTheFirstReadOfWhoAsks) {
  Cache cache({.precompress = Precompress::asked});
  cache.execute({"SET", "k", kValue}, {"k"});
  cache.get("k");
  EXPECT_EQ(cache.tier->precompressing(), 0U);
  cache.want("k");
  cache.want("k");
  EXPECT_EQ(cache.tier->precompressing(), 1U) << "once";
  cache.tier->precompress_once();
  EXPECT_TRUE(cache.has_forms("k"));
  cache.want("k");
  EXPECT_EQ(cache.tier->precompressing(), 0U);
}

TEST(Precompression, IsNotTriedAgainInVain) {
  Cache cache;
  const auto useless = Counts::sum(Count::precompress_useless);
  cache.set("k", value_of(1));
  EXPECT_TRUE(cache.tier->precompress_once());
  EXPECT_EQ(Counts::sum(Count::precompress_useless), useless + 1);
  cache.want("k");
  EXPECT_FALSE(cache.tier->precompress_once());
}

TEST(Precompression, IsDroppedWhereItDoesNotFitAndWantedAgainByALaterRead) {
  Cache cache({.precompress = Precompress::always, .precompression = {.most_waiting = 1}});
  const auto dropped = Counts::sum(Count::precompress_dropped);
  cache.set("a", kValue);
  cache.set("b", kValue);
  EXPECT_EQ(Counts::sum(Count::precompress_dropped), dropped + 1);
  cache.tier->precompress_once();
  EXPECT_FALSE(cache.has_forms("b"));
  cache.want("b");
  cache.tier->precompress_once();
  EXPECT_TRUE(cache.has_forms("b"));

  Cache small({.precompress = Precompress::always, .precompression = {.most_bytes = 10}});
  small.set("a", kValue);
  EXPECT_EQ(Counts::sum(Count::precompress_dropped), dropped + 2);
  EXPECT_EQ(small.tier->precompressing(), 0U);
}

TEST(Precompression, LateWorkLosesToWhateverHappenedMeanwhile) {
  const std::map<std::string, std::function<void(const Cache&)>> happenings = {
      {"another value", [](const Cache& cache) { cache.set("k", value_of(3)); }},
      {"the same value again", [](const Cache& cache) { cache.set("k", kValue); }},
      {"a raw write",
       [](const Cache& cache) {
         cache.execute({"SET", "k", value_of(3)}, {"k"});
       }},
      {"a raw write and a read",
       [](const Cache& cache) {
         cache.execute({"SET", "k", value_of(3)}, {"k"});
         cache.get("k");
       }},
      {"a delete", [](const Cache& cache) {
         cache.execute({"DEL", "k"}, {"k"});
       }}};
  for (const bool before : {true, false}) {
    for (const auto& happening : happenings) {
      const auto& what = happening.first;
      const auto& happens = happening.second;
      Cache cache;
      cache.set("k", kValue);
      const auto late = Counts::sum(Count::precompress_late);
      if (before) {
        happens(cache);
      } else {
        cache.map->meanwhile = [&] { happens(cache); };
      }
      const EntryPtr there = before ? cache.find("k") : nullptr;
      ASSERT_TRUE(cache.tier->precompress_once());
      EXPECT_EQ(Counts::sum(Count::precompress_late), late + 1) << what;
      const EntryPtr now = cache.find("k");
      EXPECT_FALSE(now && now->has_variants()) << what;
      EXPECT_TRUE(!before || now.get() == there.get()) << what;
    }
  }
}

/// L2 says in whole milliseconds when a key ends.
void expect_end(const Entry& entry, TimePoint start, int seconds) {
  const Duration ttl = std::chrono::seconds(seconds);
  EXPECT_GE(entry.deadline(), start + ttl - milliseconds(1));
  EXPECT_LE(entry.deadline(), Clock::now() + ttl);
}

TEST(Precompression, ATouchMeanwhileIsNotLost) {
  for (const int seconds : {5, 500}) {
    Cache cache;
    cache.set("k", kValue, {.expiry = Expiry::in(milliseconds(60'000))});
    const TimePoint start = Clock::now();
    cache.map->meanwhile = [&] { cache.touch("k", std::chrono::seconds(seconds)); };
    cache.tier->precompress_once();
    const EntryPtr entry = cache.find("k");
    ASSERT_TRUE(entry->has_variants());
    expect_end(*entry, start, seconds);
  }
}

TEST(Precompression, NorIsOneOfTheLastMoment) {
  Cache cache;
  cache.set("k", kValue, {.expiry = Expiry::in(milliseconds(60'000))});
  const TimePoint start = Clock::now();
  std::future<void> touched;
  cache.map->before_replacing = [&] {
    touched = std::async(std::launch::async, [&] { cache.touch("k", milliseconds(5000)); });
    // It cannot come through before the replacement is done; if it could, it would have by then.
    touched.wait_for(milliseconds(50));
  };
  cache.tier->precompress_once();
  touched.get();
  const EntryPtr entry = cache.find("k");
  ASSERT_TRUE(entry->has_variants());
  expect_end(*entry, start, 5);
}

// Whoever makes the forms does not put them: the loop does, when it comes to it.
TEST(Precompression, FormsArePutByTheTaskThatTheLoopIsGiven) {
  for (const bool changes : {false, true}) {
    std::vector<std::function<void()>> tasks;
    Cache cache({.precompress = Precompress::always,
                 .after = [&](Duration delay, std::function<void()> task) {
                   if (delay == Duration::zero()) tasks.push_back(std::move(task));
                 }});
    cache.set("k", kValue);
    tasks.clear();
    const auto put = Counts::sum(Count::precompressed);
    const auto late = Counts::sum(Count::precompress_late);
    ASSERT_TRUE(cache.tier->precompress_once());
    ASSERT_EQ(tasks.size(), 1U);
    EXPECT_FALSE(cache.has_forms("k")) << "the task has not run";
    EXPECT_EQ(Counts::sum(Count::precompressed), put);
    if (changes) cache.set("k", value_of(3));
    const EntryPtr before = cache.find("k");
    std::exchange(tasks, {}).front()();
    EXPECT_EQ(Counts::sum(Count::precompressed), put + (changes ? 0 : 1));
    EXPECT_EQ(Counts::sum(Count::precompress_late), late + (changes ? 1 : 0));
    EXPECT_EQ(cache.has_forms("k"), !changes);
    EXPECT_EQ(cache.find("k").get() == before.get(), changes);
    EXPECT_EQ(cache.find("k")->value(), changes ? value_of(3) : kValue);
  }
}

TEST(Precompression, NothingIsMadeOnceTheCacheHasStopped) {
  Cache cache;
  cache.set("k", kValue);
  cache.tier->stop();
  EXPECT_FALSE(cache.tier->precompress_once());
}

/// What may happen to a key.
struct Step {
  unsigned kind = 0;
  unsigned key = 0;
  unsigned value = 0;
  bool within = false;  // while a worker is between its look and its work
};

class Script {
 public:
  void run(const Step& step) {
    if (!step.within) return happen(step);
    cache_.map->meanwhile = [this, step] { happen(step); };
    cache_.tier->precompress_once();
    if (auto not_yet = std::exchange(cache_.map->meanwhile, {})) not_yet();
  }
  void check() {
    for (unsigned key = 0; key < kKeys; ++key) {
      const EntryPtr entry = cache_.find(name(key));
      if (!entry) continue;
      RC_ASSERT(model_.contains(key));
      const std::string& value = model_.at(key);
      RC_ASSERT(entry->value() == value);
      RC_ASSERT(entry->digest() == Entry::build(KeyRef(0, "x"), value, kForever, 0)->digest());
      for (const Coding coding : {Coding::br, Coding::gzip}) {
        const auto form = entry->form(coding);
        if (!form.empty()) RC_ASSERT(test::decoded(form, coding, value.size() + 1) == value);
        with_forms_ += form.empty() ? 0 : 1;
      }
    }
  }
  [[nodiscard]] unsigned with_forms() const { return with_forms_; }

 private:
  static constexpr unsigned kKeys = 3;
  static std::string name(unsigned key) { return fmt::format("key{}", key % kKeys); }

  void happen(const Step& step) {
    const std::string key = name(step.key);
    const std::string value = value_of(step.value);
    switch (step.kind) {
      case 0:
        cache_.set(key, value);
        model_[step.key % kKeys] = value;
        break;
      case 1:
        cache_.execute({"SET", key, value}, {key});
        model_[step.key % kKeys] = value;
        break;
      case 2:
        cache_.execute({"DEL", key}, {key});
        model_.erase(step.key % kKeys);
        break;
      case 3:
        cache_.get(key);
        break;
      case 4:
        cache_.touch(key, milliseconds(100'000));
        break;
      case 5:
        // Nobody names the keys: every copy is disowned.
        cache_.execute({"FLUSHALL"}, {});
        model_.clear();
        break;
      case 6:
        cache_.want(key);
        break;
      default:
        cache_.tier->precompress_once();
    }
  }

  // Small, so that forms push others out.
  Cache cache_{{.precompress = Precompress::always}, std::uint64_t{256} * 1024};
  std::map<unsigned, std::string> model_;
  unsigned with_forms_ = 0;
};

RC_GTEST_PROP(PrecompressionProperty, FormsAreTheValueThatTheyStandBeside, ()) {
  const auto steps = *rc::gen::container<std::vector<Step>>(rc::gen::build<Step>(
      rc::gen::set(&Step::kind,
                   rc::gen::weightedElement<unsigned>(
                       {{6, 0}, {2, 1}, {1, 2}, {4, 3}, {2, 4}, {1, 5}, {3, 6}, {8, 7}})),
      rc::gen::set(&Step::key, rc::gen::inRange(0U, 3U)),
      rc::gen::set(&Step::value, rc::gen::inRange(0U, 40U)),
      rc::gen::set(&Step::within, rc::gen::weightedElement<bool>({{2, false}, {1, true}}))));
  Script script;
  for (const Step& step : steps) {
    script.run(step);
    script.check();
  }
  RC_CLASSIFY(script.with_forms() > 0, "with forms");
}

}  // namespace
}  // namespace nearlane::tier
