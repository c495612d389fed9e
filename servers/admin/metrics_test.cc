#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/l2/memory/memory_backend.h"
#include "servers/admin/pages.h"

namespace nearlane::admin {
namespace {

/// The value behind a sample's name and labels; as text where there is none.
std::string sample_of(std::string_view page, std::string_view name) {
  const std::size_t at = page.find("\n" + std::string(name) + " ");
  if (at == std::string_view::npos) return "no such sample";
  const std::size_t from = at + name.size() + 2;
  return std::string(page.substr(from, page.find('\n', from) - from));
}

TEST(MetricsPage, CountersNeverGoBackWhileOthersCount) {
  tier::TieredCache cache({.negative_ttl = std::chrono::hours(1)},
                          *l1::make_l1({.map = "native", .policy = "lru", .bytes = 1U << 20U}),
                          l2::make_memory_backend(1U << 20U));
  cache.start();
  loop::LoopGroup loops(1, {});
  const Sources sources{.tier = cache, .loops = loops, .doors = {}, .version = "", .profile = ""};
  const Key nothing(0, "nothing");
  const auto read = [&] {
    const epoch::Guard guard;
    ASSERT_EQ(cache.find(nothing.ref(), Clock::now()), nullptr);
    cache.get(nothing, tier::ReadFrom::l1_first, kForever,
              [](const Result<tier::Lookup>& looked) { ASSERT_FALSE(looked->entry); });
  };
  read();
  const auto missed = [&sources] {
    return std::stod(
        sample_of(metrics_page(sources), "nearlane_l1_lookups_total{outcome=\"miss\"}"));
  };
  const auto negatives = tier::Counts::sum(tier::Count::l1_negatives);
  std::atomic<bool> goes_on{true};
  std::thread reader([&] {
    while (goes_on.load()) read();
  });
  double last = missed();
  int fell = 0;
  for (int i = 0; i < 2000; ++i) {
    const double now = missed();
    if (now < last) ++fell;
    last = now;
  }
  goes_on.store(false);
  reader.join();
  EXPECT_EQ(fell, 0);
  EXPECT_GT(tier::Counts::sum(tier::Count::l1_negatives), negatives);
  cache.stop();
}

}  // namespace
}  // namespace nearlane::admin
