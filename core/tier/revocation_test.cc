// Strict revocation: when it answers, and what it is refused.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/forwarding_backend.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/cache_fixture.h"

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

/// A store that others share: what they hold of it they may serve for a lease.
class Shared final : public l2::ForwardingBackend {
 public:
  Shared() : ForwardingBackend(l2::make_memory_backend(std::uint64_t{1} << 30U)) {}
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = "lanes", .lease = milliseconds(200), .untold = untold};
  }
  void submit(std::unique_ptr<l2::Call> call) noexcept override {
    if (call->command.changed.size() == 1) untold = untold_once_written;
    if (!down) return behind_->submit(std::move(call));
    auto gone = l2::Answer::failed(Errc::connection_lost, "");
    call->settle(gone);
    call->complete(std::move(gone));
  }

  bool down = false;
  Duration untold{};
  Duration untold_once_written{};  // as it is found out by whatever carries a write
};

class StrictRevocation : public testing::Test {
 protected:
  StrictRevocation() {
    auto l2 = std::make_unique<Shared>();
    shared = l2.get();
    cache.emplace(std::move(l2), "sharded",
                  TierConfig{.max_stale = Duration::zero(),
                             .prefixes = {{.match = "stale:"}},
                             .after =
                                 [this](Duration wait, std::function<void()> task) {
                                   EXPECT_EQ(wait, expected_wait);
                                   waits.push_back(std::move(task));
                                 },
                             .max_revocations = 2});
  }
  void revoke(const std::string& key) {
    answers[key] = std::nullopt;
    cache->tier.revoke(KeyRef(0, key), kForever, [this, key](Result<bool> removed) {
      answers[key] = removed ? (*removed ? "removed" : "not there")
                             : std::string(to_string(removed.error().code));
    });
  }

  Shared* shared = nullptr;
  Duration expected_wait = milliseconds(202);
  std::optional<Cache> cache;
  std::vector<std::function<void()>> waits;
  std::map<std::string, std::optional<std::string>> answers;
};

TEST_F(StrictRevocation, RemovesAtOnceAndAnswersALeaseLater) {
  ASSERT_TRUE(cache->set("k", "v"));
  revoke("k");
  EXPECT_EQ(cache->find("k"), std::nullopt);
  EXPECT_FALSE(cache->get("k")->entry);
  revoke("none");
  EXPECT_EQ(answers["k"], std::nullopt);
  EXPECT_EQ(answers["none"], std::nullopt) << "others may not know yet that it is gone";
  ASSERT_EQ(waits.size(), 2U);
  for (const auto& task : waits) task();
  EXPECT_EQ(answers["k"], "removed");
  EXPECT_EQ(answers["none"], "not there");
}

// Whoever deletes it may not announce that, and whoever has a copy keeps its lease by itself.
TEST_F(StrictRevocation, WaitsForAsLongAsACopyMayBeServedOfWhichNobodyTells) {
  ASSERT_TRUE(cache->set("k", "v"));
  shared->untold_once_written = milliseconds(2000);
  expected_wait = milliseconds(2020);
  revoke("k");
  EXPECT_EQ(answers["k"], std::nullopt);
  ASSERT_EQ(waits.size(), 1U);
  waits[0]();
  EXPECT_EQ(answers["k"], "removed");
  shared->untold_once_written = milliseconds(100);
  expected_wait = milliseconds(202);
  revoke("k");
  EXPECT_EQ(waits.size(), 2U);
}

TEST_F(StrictRevocation, IsRefusedWhereACopyMayBeServedStale) {
  ASSERT_TRUE(cache->set("stale:k", "v"));
  revoke("stale:k");
  EXPECT_EQ(answers["stale:k"], "refused");
  EXPECT_EQ(cache->get("stale:k")->entry->value(), "v");
}

TEST_F(StrictRevocation, PromisesNothingWhenL2DidNotAcknowledge) {
  ASSERT_TRUE(cache->set("k", "v"));
  shared->down = true;
  revoke("k");
  EXPECT_EQ(answers["k"], "connection_lost");
  EXPECT_TRUE(waits.empty());
  EXPECT_EQ(cache->find("k"), std::nullopt);
  EXPECT_EQ(cache->tier.revoking(), 0U);
}

TEST_F(StrictRevocation, OnlySoManyWaitAtOnce) {
  ASSERT_TRUE(cache->set("c", "v"));
  revoke("a");
  revoke("b");
  EXPECT_EQ(cache->tier.revoking(), 2U);
  revoke("c");
  EXPECT_EQ(answers["c"], "busy");
  EXPECT_EQ(cache->get("c")->entry->value(), "v") << "nothing was sent";
  waits.at(0)();
  revoke("c");
  EXPECT_EQ(answers["c"], std::nullopt);
  EXPECT_FALSE(cache->get("c")->entry);
}

TEST(Revocation, HappensAtOnceWhereNobodyElseHasACopy) {
  Cache cache(l2::make_memory_backend(std::uint64_t{1} << 30U), "sharded",
              {.max_stale = Duration::zero()});
  ASSERT_TRUE(cache.set("k", "v"));
  Result<bool> removed = Error{Errc::timeout};
  cache.tier.revoke(KeyRef(0, "k"), kForever,
                    [&](const Result<bool>& answer) { removed = answer; });
  EXPECT_EQ(removed.value(), true);
}

TEST(Revocation, IsRefusedWithoutAClockToWaitWith) {
  Cache cache(std::make_unique<Shared>(), "sharded", {.max_stale = Duration::zero()});
  Result<bool> removed = true;
  cache.tier.revoke(KeyRef(0, "k"), kForever,
                    [&](const Result<bool>& answer) { removed = answer; });
  EXPECT_EQ(removed.error().code, Errc::refused);
}

}  // namespace
}  // namespace nearlane::tier
