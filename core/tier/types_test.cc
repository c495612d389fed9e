// Of what type a value is: what was put with it, over the embedded store, and what L1 knows of it.
#include <algorithm>
#include <chrono>
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
#include "core/l2/none/none_backend.h"
#include "core/tier/cache_fixture.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kDefault = "application/octet-stream";

/// Notes what it hands on, and keeps reads back while it is told to.
class Watched final : public l2::ForwardingBackend {
 public:
  Watched() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{64} << 20U)) {}

  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (says) {
      cohere::Answer answer = *says;
      answer.epoch = lanes()[0].epoch();
      answer.sent_at = Clock::now();
      call->settle(answer);
      return call->complete(std::move(answer));
    }
    if (call->command.op != l2::Op::fetch) return behind_->submit(std::move(call));
    ++(call->command.beside.empty() ? plain : typed);
    if (holds) return held.push_back(std::move(call));
    behind_->submit(std::move(call));
  }
  void let_go() {
    for (auto& call : std::exchange(held, {})) behind_->submit(std::move(call));
  }

  int plain = 0;  // reads of the value alone
  int typed = 0;  // of its type, too
  bool holds = false;
  std::optional<cohere::Answer> says = {};  // instead of the store
  std::vector<std::unique_ptr<l2::Call>> held;
};

class Types : public testing::Test {
 protected:
  static TierConfig config() {
    return {.prefixes = {{.match = "j:", .rules = {.content_type = "application/json"}},
                         {.match = "never:", .rules = {.l1 = false}}}};
  }

  void put(std::string_view key, std::string_view value, std::string_view type,
           Expiry expiry = Expiry::never()) {
    ASSERT_TRUE(cache.set(key, value, {.expiry = expiry, .type = type})->stored);
  }
  std::optional<std::string> in_l1(std::string_view key, TimePoint now = Clock::now()) {
    const epoch::Guard guard;
    const Entry* entry = cache.tier.find_typed(KeyRef(0, key), now);
    if (entry == nullptr) return std::nullopt;
    return std::string(cache.tier.content_type(*entry));
  }
  /// As over HTTP, of an instance that knows nothing yet, unless L1 does.
  std::string read(std::string_view key) {
    std::string type = "no answer";
    cache.tier.get(
        Key(KeyRef(0, key)), ReadFrom::l1_first, kForever,
        [&](Result<Lookup> looked) {
          type = !looked          ? looked.error().detail
                 : !looked->entry ? "no value"
                                  : std::string(cache.tier.content_type(*looked->entry));
        },
        true);
    return type;
  }
  void forget(std::string_view key) {
    cache.tier.written_elsewhere(0, {std::string(key)}, false, kForever, [](auto) {});
  }
  std::string read_anew(std::string_view key) {
    forget(key);
    return read(key);
  }
  std::int64_t number(std::vector<std::string> args) {
    return cache.execute(std::move(args), {"x"}, false)->integer;
  }

  Watched* store = new Watched();
  Cache cache{std::unique_ptr<l2::L2Backend>(store), "sharded", config()};
};

TEST_F(Types, AreThoseThatWerePut) {
  put("k", "v", "text/html");
  EXPECT_EQ(in_l1("k"), "text/html") << "who writes knows";
  EXPECT_EQ(read_anew("k"), "text/html");
  EXPECT_EQ(in_l1("k"), "text/html") << "who has asked knows, too";
  EXPECT_EQ(number({"EXISTS", "nearlane:type:{k}"}), 1);
  for (const char* type : {"", "application/octet-stream"}) {
    put("k", "v", "text/html");
    put("k", "v", type);
    EXPECT_EQ(in_l1("k"), kDefault);
    EXPECT_EQ(read_anew("k"), kDefault);
    EXPECT_EQ(number({"EXISTS", "nearlane:type:{k}"}), 0);
  }
  put("j:k", "v", "application/json");
  EXPECT_EQ(number({"EXISTS", "nearlane:type:{j:k}"}), 0) << "the prefix says that";
  EXPECT_EQ(read_anew("j:k"), "application/json");
  put("j:k", "v", kDefault);
  EXPECT_EQ(read_anew("j:k"), kDefault);
}

TEST_F(Types, AreVoidOnceTheValueIsAnotherOne) {
  put("k", "v", "text/html");
  ASSERT_TRUE(cache.set("k", "w")->stored);
  EXPECT_EQ(read("k"), kDefault);
  EXPECT_EQ(read_anew("k"), kDefault);
  put("k", "v", "text/html");
  ASSERT_TRUE(cache.execute({"APPEND", "k", "w"}, {"k"}));
  EXPECT_EQ(read("k"), kDefault);
  // What was put with exactly this value comes back with it.
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(read_anew("k"), "text/html");
  // L1, which has seen what was said of it, does not answer for what L2 knows better.
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(in_l1("k"), std::nullopt);
  EXPECT_EQ(read("k"), "text/html");
}

TEST_F(Types, AreNotSaidToBeNoneOfAValueThatNobodyHasAskedOf) {
  put("k", "v", "text/html");
  forget("k");
  ASSERT_TRUE(cache.get("k"));
  ASSERT_TRUE(cache.set("k", "v")->stored);
  EXPECT_EQ(cache.find("k"), "v");
  EXPECT_EQ(in_l1("k"), std::nullopt) << "it is the value that it was put with";
  EXPECT_EQ(read("k"), "text/html");
}

TEST_F(Types, OfWhatOthersWroteIsNotGuessed) {
  const std::string digest = "0000000000000000";
  for (const std::string& text :
       {std::string("text/html"), digest + " text/html", std::string(), digest}) {
    ASSERT_TRUE(cache.set("k", "v")->stored);
    ASSERT_TRUE(cache.execute({"SET", "nearlane:type:{k}", text}, {"nearlane:type:{k}"}));
    EXPECT_EQ(read_anew("k"), kDefault) << text;
  }
  ASSERT_TRUE(cache.execute({"DEL", "nearlane:type:{k}"}, {"nearlane:type:{k}"}));
  ASSERT_TRUE(cache.execute({"HSET", "nearlane:type:{k}", "f", "v"}, {"nearlane:type:{k}"}));
  EXPECT_EQ(read_anew("k"), kDefault);
  EXPECT_EQ(in_l1("k"), kDefault) << "a hash says nothing, and will not say more";
  put("k", "v", "text/html");
  EXPECT_EQ(read_anew("k"), "text/html") << "a type overwrites whatever is there";
}

TEST_F(Types, ThatCouldNotBeReadAreAskedForAgain) {
  store->says = cohere::Answer{.reply = protocol::Reply::bulk("v"),
                               .beside = protocol::Reply::error("OOM command not allowed")};
  EXPECT_EQ(read("k"), kDefault);
  EXPECT_EQ(cache.find("k"), "v");
  EXPECT_EQ(in_l1("k"), std::nullopt);
}

TEST_F(Types, ThatCouldNotBeWrittenAreMissed) {
  const std::string why = "written, its type was not: OOM command not allowed";
  for (const bool told : {true, false}) {
    put("k", "old", "text/css");
    store->says = cohere::Answer{.reply = protocol::Reply::ok(), .existed = true};
    if (told) store->says->beside = protocol::Reply::error("OOM command not allowed");
    const auto stored = cache.set("k", "v", {.type = "text/html"});
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, Errc::l2_error);
    EXPECT_EQ(stored.error().detail, told ? why : "written, its type was not");
    EXPECT_EQ(cache.find("k"), std::nullopt) << "of another type than L2 would say";
    cache.tier.set_if(
        KeyRef(0, "k"), "v", {.type = "text/html"}, [](auto) { return true; }, kForever,
        [&](const Result<CompareOutcome>& outcome) {
          ASSERT_FALSE(outcome);
          EXPECT_EQ(outcome.error().detail, told ? why : "written, its type was not");
        });
    store->says.reset();
  }
}

/// What is written with a value is never announced under its own name.
TEST_F(Types, AreReadUnderTheirOwnNameFromL2Alone) {
  const std::string side = "nearlane:type:{k}";
  const auto said = [&] { return std::string(cache.get(side)->entry->value()); };
  put("k", "v", "text/html");
  EXPECT_TRUE(said().ends_with(" text/html"));
  EXPECT_TRUE(said().ends_with(" text/html"));
  put("k", "v", "text/css");
  EXPECT_TRUE(said().ends_with(" text/css"));
  ASSERT_TRUE(cache.remove("k").value());
  EXPECT_FALSE(cache.get(side)->entry);
  ASSERT_TRUE(cache.set(side, "x")->stored);
  put("k", "v", "text/html");
  EXPECT_TRUE(said().ends_with(" text/html")) << "whoever wrote it";
}

TEST(TypesUnderPrefixes, AreReadUnderTheirOwnNameFromL2Alone) {
  for (const char* match : {"", "near", "nearlane:type:", "nearlane:type:{", "nearlane:type:{k}"}) {
    Cache cache(l2::make_memory_backend(std::uint64_t{64} << 20U), "sharded",
                {.prefixes = {{.match = match}}});
    ASSERT_TRUE(cache.set("nearlane:type:{k}", "x")->stored);
    ASSERT_TRUE(cache.get("nearlane:type:{k}")->entry);
    EXPECT_EQ(cache.find("nearlane:type:{k}"), std::nullopt) << match;
    ASSERT_TRUE(cache.set("nearlane:typ", "x")->stored);
    EXPECT_EQ(cache.find("nearlane:typ"), "x") << match;
  }
}

TEST_F(Types, EndWithTheirValue) {
  put("k", "v", "text/html", Expiry::in(seconds(100)));
  EXPECT_EQ(number({"PEXPIRETIME", "nearlane:type:{k}"}), number({"PEXPIRETIME", "k"}));
  ASSERT_TRUE(cache.touch("k", seconds(500)).value());
  EXPECT_EQ(in_l1("k"), "text/html");
  EXPECT_EQ(number({"PEXPIRETIME", "nearlane:type:{k}"}), number({"PEXPIRETIME", "k"}));
  EXPECT_GT(number({"TTL", "nearlane:type:{k}"}), 400);
  EXPECT_EQ(read_anew("k"), "text/html");
  EXPECT_TRUE(cache.remove("k").value());
  EXPECT_EQ(number({"EXISTS", "nearlane:type:{k}"}), 0);
  EXPECT_EQ(read("k"), "no value");
  EXPECT_FALSE(cache.remove("k").value());
}

TEST_F(Types, AreWrittenByWhatHoldsAlone) {
  const auto put_if = [&](bool holds, std::string_view value, std::string_view type) {
    cache.tier.set_if(
        KeyRef(0, "k"), value, {.type = type}, [holds](auto) { return holds; }, kForever,
        [](const Result<CompareOutcome>& outcome) { ASSERT_TRUE(outcome); });
  };
  put_if(true, "v", "text/html");
  EXPECT_EQ(read("k"), "text/html");
  put_if(false, "v", "text/plain");
  EXPECT_EQ(read_anew("k"), "text/html");
  put_if(true, "v", "text/plain");
  EXPECT_EQ(read("k"), "text/plain");
  put_if(true, "v", "");
  EXPECT_EQ(read("k"), kDefault);
  put_if(true, "v", "text/html");
  cache.tier.remove_if(
      KeyRef(0, "k"), [](auto) { return true; }, kForever,
      [](const Result<CompareOutcome>& outcome) { ASSERT_TRUE(outcome); });
  EXPECT_EQ(number({"EXISTS", "nearlane:type:{k}"}), 0);
}

TEST_F(Types, AreAskedForByThoseWhoReadWithThem) {
  ASSERT_TRUE(cache.execute({"SET", "k", "v"}, {"k"}));
  ASSERT_TRUE(cache.get("k"));
  EXPECT_EQ(store->typed, 0);
  EXPECT_EQ(cache.find("k"), "v");
  EXPECT_EQ(in_l1("k"), std::nullopt) << "nobody has asked";
  EXPECT_EQ(read("k"), kDefault);
  EXPECT_EQ(store->typed, 1);
  EXPECT_EQ(in_l1("k"), kDefault);
  EXPECT_EQ(cache.find("k"), "v");
  ASSERT_TRUE(cache.set("k", "w")->stored);
  EXPECT_EQ(in_l1("k"), kDefault) << "who writes without one knows that there is none";
  put("never:k", "v", "text/html");
  EXPECT_EQ(read("never:k"), "text/html") << "which L1 does not hold";
}

TEST_F(Types, CountAsMissesWhereTheyAreNotKnown) {
  ASSERT_TRUE(cache.execute({"SET", "k", "v"}, {"k"}));
  ASSERT_TRUE(cache.get("k"));
  const auto hits = Counts::sum(Count::l1_hits);
  const auto misses = Counts::sum(Count::l1_misses);
  (void)in_l1("k");
  EXPECT_EQ(Counts::sum(Count::l1_misses), misses + 1);
  (void)read("k");
  (void)in_l1("k");
  EXPECT_EQ(Counts::sum(Count::l1_hits), hits + 1);
}

TEST_F(Types, JoinNoReadThatDoesNotBringThem) {
  put("k", "v", "text/html");
  forget("k");
  store->holds = true;
  std::vector<std::string> told;
  const auto ask = [&](bool with_type) {
    cache.tier.get(
        Key(KeyRef(0, "k")), ReadFrom::l1_first, kForever,
        [&told, this](Result<Lookup> looked) {
          told.push_back(looked->entry->type_known()
                             ? std::string(cache.tier.content_type(*looked->entry))
                             : "unknown");
        },
        with_type);
  };
  ask(false);
  ask(true);
  ask(true);
  ask(false);
  EXPECT_EQ(store->plain, 1);
  EXPECT_EQ(store->typed, 1) << "all who ask so share one";
  store->let_go();
  ASSERT_EQ(told.size(), 4U);
  EXPECT_GE(std::count(told.begin(), told.end(), "text/html"), 2) << "and whoever may joins it";
  EXPECT_EQ(in_l1("k"), "text/html") << "the last to settle";
}

TEST_F(Types, JoinATouchThatMovesTheirEnd) {
  put("k", "v", "text/html", Expiry::in(seconds(100)));
  EXPECT_EQ(cache.execute({"EXPIRE", "k", "500"}, {"k"})->integer, 1);
  EXPECT_LT(number({"TTL", "nearlane:type:{k}"}), 101) << "over RESP the value's end alone";
  ASSERT_TRUE(cache.touch("k", seconds(500)).value());
  EXPECT_GT(number({"TTL", "nearlane:type:{k}"}), 400);
}

TEST_F(Types, AreThereWhereEachByteOfTheKeyIsABrace) {
  for (const char* key : {"{", "}", "{}", "}{", "{}x", "a}b", "{a}b", "{{}}"}) {
    put(key, "v", std::string("text/") + std::to_string(std::string_view(key).size()));
    EXPECT_EQ(read_anew(key), "text/" + std::to_string(std::string_view(key).size())) << key;
  }
}

TEST(TypesWithoutL2, AreL1sAlone) {
  Cache cache(l2::make_none_backend());
  const auto type = [&]() -> std::string {
    const epoch::Guard guard;
    const Entry* entry = cache.tier.find_typed(KeyRef(0, "k"), Clock::now());
    return entry == nullptr ? "nothing" : std::string(cache.tier.content_type(*entry));
  };
  ASSERT_TRUE(cache.set("k", "v", {.type = "text/html"}));
  EXPECT_EQ(type(), "text/html");
  ASSERT_TRUE(cache.set("k", "v"));
  EXPECT_EQ(type(), kDefault) << "nobody else could say";
}

}  // namespace
}  // namespace nearlane::tier
