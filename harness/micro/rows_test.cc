#include "harness/micro/rows.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>

namespace nearlane::micro {
namespace {

constexpr Fill kFill{.keys = 300, .value_bytes = 64};
constexpr std::size_t kCount = 3200;
constexpr std::size_t kSome = 100000;  // draws, of so many more

TEST(Rows, AreNamedAsOthersRelyOn) {
  EXPECT_EQ(row_name("m", {.fill = {1000, 64}, .zipf = true, .how = How::copy}),
            "L1Get/m/keys:1000/value:64/zipf/copy/threads:1");
  EXPECT_EQ(row_name("m", {.fill = {10, 1024}, .how = How::batch16, .threads = 2, .writes = 5}),
            "L1Get/m/keys:10/value:1024/uniform/batch16/threads:2/writes:5");
}

TEST(Rows, NamesAreDistinctAndOfOneLength) {
  std::set<std::string> names;
  for (std::uint64_t key = 0; key < 5000; ++key) {
    const Name name = name_of(key);
    EXPECT_EQ(name.text().size(), kNameBytes);
    names.emplace(name.text());
  }
  EXPECT_EQ(names.size(), 5000U);
}

TEST(Rows, ZipfAsksForEveryKeyOfAFewAndForOneMostOften) {
  const Order order(20, true);
  std::map<std::string, std::size_t> times;
  for (std::size_t i = 0; i < kSome; ++i) ++times[std::string(order.names[i].text())];
  EXPECT_EQ(times.size(), 20U);
  const auto most = std::ranges::max_element(times, {}, [](const auto& one) { return one.second; });
  EXPECT_GT(most->second, kSome / 5);
}

TEST(Rows, WritesAreTheShareThatWasAskedFor) {
  for (const unsigned percent : {0U, 5U, 50U}) {
    std::size_t writes = 0;
    for (std::size_t at = 0; at < kSome; ++at) writes += is_write(at, write_limit(percent));
    EXPECT_NEAR(static_cast<double>(writes) / kSome, percent / 100.0, 0.001);
  }
}

/// The peers' loops are written in another language: they must do the same.
TEST(Rows, EveryTargetReadsAndSamplesTheSameDraws) {
  const Order order(kFill.keys, false);
  std::vector<char> out(kOutBytes);
  for (const auto map : target_names()) {
    const auto target = make_target(map, "none", kFill);
    ASSERT_TRUE(target) << map;
    for (const How how : {How::ref, How::copy, How::batch16}) {
      for (const std::uint32_t writes : {0U, 5U, 50U}) {
        // Across the end of the ring.
        const Work work{.names = order.names.data(),
                        .draws = kDraws,
                        .from = kDraws - kCount / 2,
                        .count = kCount,
                        .out = out.data(),
                        .out_bytes = out.size(),
                        .how = how,
                        .writes = writes};
        std::uint64_t reads = 0;
        for (std::size_t i = 0; i < kCount; ++i) {
          reads += is_write((work.from + i) % kDraws, write_limit(writes)) ? 0 : 1;
        }
        const Tally run = target->run(work);
        EXPECT_EQ(run.reads, reads) << map;
        EXPECT_EQ(run.hits, target->holds() ? reads : 0) << map;
        std::vector<std::uint32_t> ticks(kCount);
        const Tally sampled = target->sample(work, ticks.data());
        EXPECT_EQ(sampled.reads, reads) << map;
        EXPECT_EQ(sampled.hits, run.hits) << map;
        EXPECT_EQ(sampled.samples, how == How::batch16 ? kCount / kBatch : reads) << map;
      }
    }
  }
}

TEST(Rows, CopiesTheValueIntoTheBuffer) {
  const Order order(kFill.keys, false);
  for (const auto map : target_names()) {
    const auto target = make_target(map, "none", kFill);
    ASSERT_TRUE(target);
    if (!target->holds()) continue;
    std::vector<char> out(kOutBytes);
    target->run({.names = order.names.data(),
                 .draws = kDraws,
                 .count = kBatch,
                 .out = out.data(),
                 .out_bytes = out.size(),
                 .how = How::copy});
    EXPECT_GE(std::ranges::count(out, 'v'), static_cast<std::ptrdiff_t>(kBatch * 64)) << map;
  }
}

TEST(Rows, AMeasurementOnTwoThreadsIsRightAndHasARate) {
  const Case what{.fill = kFill, .threads = 2, .writes = 5};
  for (const auto map : target_names()) {
    const auto target = make_target(map, "none", kFill);
    ASSERT_TRUE(target);
    Measurement measurement(*target, what, order_for(what));
    bool called = false;
    measurement.run(0, 100 * measurement.unit(), [&](const std::function<void()>& go) {
      called = true;
      go();
    });
    EXPECT_TRUE(called);
    EXPECT_GT(measurement.rate(), 0);
    EXPECT_FALSE(measurement.sample(0, 10 * measurement.unit()).empty());
    EXPECT_TRUE(measurement.right()) << map;
  }
}

TEST(Rows, AQuantileIsAnElement) {
  EXPECT_EQ(quantile({1, 2, 3, 4, 5}, 0.5), 3);
  EXPECT_EQ(quantile({7}, 0.999), 7);
}

}  // namespace
}  // namespace nearlane::micro
