#include "core/base/histogram.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nearlane {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

// Values spread over all magnitudes; uniform ones would nearly all be tens of seconds.
rc::Gen<std::vector<std::int64_t>> any_values() {
  return rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(rc::gen::exec([] {
    const int bits = *rc::gen::inRange(0, 36);
    const auto value = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << bits);
    return std::min<std::int64_t>(value, 60'000'000'000);
  })));
}

Histogram recorded(const std::vector<std::int64_t>& values) {
  Histogram histogram;
  for (const auto value : values) histogram.record(nanoseconds(value));
  return histogram;
}

void expect_holds(bool passed) { EXPECT_TRUE(passed); }

TEST(HistogramCells, AreContiguousAndNarrowerThanATenthOfAPercent) {
  for (std::size_t cell = 0; cell < histogram_cells::kCount; ++cell) {
    const auto low = histogram_cells::lowest(cell);
    const auto high = histogram_cells::highest(cell);
    ASSERT_EQ(histogram_cells::index(low), cell);
    ASSERT_EQ(histogram_cells::index(high), cell);
    ASSERT_LE(high - low, low / 1000);
  }
}

TEST(Histogram, IsAllZeroesWhenEmpty) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.min(), Duration::zero());
  EXPECT_EQ(empty.max(), Duration::zero());
  EXPECT_EQ(empty.mean_ns(), 0.0);
  EXPECT_EQ(empty.quantile(0.99), Duration::zero());
}

TEST(Histogram, KeepsExactExtremesAndMean) {
  const auto histogram = recorded({1'000'003, 5, 70'001});
  EXPECT_EQ(histogram.min(), nanoseconds(5));
  EXPECT_EQ(histogram.max(), nanoseconds(1'000'003));
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), (1'000'003 + 5 + 70'001) / 3.0);
  EXPECT_EQ(histogram.quantile(0), nanoseconds(5));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(1'000'003));
}

TEST(Histogram, CountsWhatIsLongerThanAMinuteAsAMinute) {
  Histogram histogram;
  histogram.record(seconds(61));
  histogram.record(Duration::max());
  histogram.record(seconds(60));
  EXPECT_EQ(histogram.saturated(), 2U);
  EXPECT_EQ(histogram.max(), seconds(60));
  EXPECT_EQ(histogram.count(), 3U);
}

TEST(Histogram, CountsANegativeDurationAsZero) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.max(), Duration::zero());
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(Histogram, QuantileIsTheExactOneToATenthOfAPercent) {
  expect_holds(rc::check("quantile", [] {
    auto values = *any_values();
    const auto permille = *rc::gen::inRange(0, 1001);
    const double q = permille / 1000.0;
    const auto histogram = recorded(values);
    std::sort(values.begin(), values.end());
    const auto rank = std::clamp<std::size_t>(
        static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size()))), 1,
        values.size());
    const auto exact = values[rank - 1];
    const auto found = histogram.quantile(q).count();
    RC_ASSERT(found >= exact);
    RC_ASSERT(found - exact <= exact / 1000);
  }));
}

TEST(Histogram, MergeIsTheUnion) {
  expect_holds(rc::check("merge", [] {
    auto left = *rc::gen::oneOf(any_values(), rc::gen::just(std::vector<std::int64_t>{}));
    const auto right = *any_values();
    auto merged = recorded(left);
    merged.merge(recorded(right));
    left.insert(left.end(), right.begin(), right.end());
    RC_ASSERT(merged == recorded(left));
  }));
}

TEST(Histogram, SinceIsWhatCameAfterwards) {
  expect_holds(rc::check("since", [] {
    const auto before = *any_values();
    const auto after = *any_values();
    const auto earlier = recorded(before);
    auto all = earlier;
    all.merge(recorded(after));
    const auto since = all.since(earlier);
    const auto expected = recorded(after);
    RC_ASSERT(since.count() == expected.count());
    RC_ASSERT(since.mean_ns() == expected.mean_ns());
    for (const double q : {0.1, 0.5, 0.9}) {
      const auto difference = since.quantile(q) - expected.quantile(q);
      RC_ASSERT(difference.count() >= 0);
      RC_ASSERT(difference <= expected.quantile(q) / 1000);
    }
    RC_ASSERT(all.since(all).empty());
  }));
}

TEST(Histogram, TextReadsBackAsWritten) {
  expect_holds(rc::check("text", [] {
    const auto values = *rc::gen::oneOf(any_values(), rc::gen::just(std::vector<std::int64_t>{}));
    const auto histogram = recorded(values);
    const auto read = Histogram::from_text(histogram.to_text());
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == histogram);
  }));
}

TEST(Histogram, RefusesTextThatNoHistogramWrote) {
  for (const std::string_view text : {
           "",
           "min=1 max=1 sum=1 saturated=0",
           "min=5 max=9 sum=14 saturated=0 cells=5:1,9:1,",
           "min=5 max=9 sum=14 saturated=0 cells=9:1,5:1",
           "min=5 max=9 sum=14 saturated=0 cells=5:0,9:1",
           "min=5 max=9 sum=14 saturated=0 cells=5:-1,9:1",
           "min=5 max=99999999999 sum=5 saturated=0 cells=5:1",
           "min=2049 max=4097 sum=9 saturated=0 cells=2049:1,4096:1",
           "min=5 max=9 sum=14 saturated=0 cells=5:18446744073709551615,9:1",
           "min=5 max=9 sum=14 saturated=0 cells=5:99999999999999999999",
           "min=6 max=9 sum=14 saturated=0 cells=5:1,9:1",
       }) {
    const auto read = Histogram::from_text(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().code, Errc::protocol);
  }
}

TEST(Histogram, CountsWhatLiesAtOrBelowAValue) {
  Histogram histogram;
  for (const int ns : {5, 9, 100, 1'000'000}) histogram.record(nanoseconds(ns));
  EXPECT_EQ(histogram.count_at_most(nanoseconds(4)), 0U);
  EXPECT_EQ(histogram.count_at_most(nanoseconds(9)), 2U);
  EXPECT_EQ(histogram.count_at_most(nanoseconds(999'000)), 3U);
  EXPECT_EQ(histogram.count_at_most(std::chrono::hours(1)), 4U);
}

TEST(AtomicHistogram, RecordsManyAtOnce) {
  AtomicHistogram atomic;
  Histogram plain;
  for (const int times : {0, 1, 7}) {
    atomic.record_n(nanoseconds(2500), times);
    plain.record_n(nanoseconds(2500), times);
  }
  EXPECT_EQ(atomic.snapshot(), plain);
}

TEST(AtomicHistogram, SnapshotEqualsAPlainHistogramOfTheSame) {
  expect_holds(rc::check("snapshot", [] {
    const auto values = *any_values();
    AtomicHistogram atomic;
    for (const auto value : values) atomic.record(nanoseconds(value));
    RC_ASSERT(atomic.snapshot() == recorded(values));
  }));
}

TEST(AtomicHistogram, SnapshotsBesideTheWriterNeverLoseWhatWasThere) {
  AtomicHistogram atomic;
  constexpr int kRecords = 200'000;
  std::thread writer([&] {
    for (int i = 0; i < kRecords; ++i) atomic.record(nanoseconds((i * 7919) % 1'000'000));
  });
  std::uint64_t before = 0;
  for (int look = 0; look < 50; ++look) {
    const auto seen = atomic.snapshot();
    EXPECT_GE(seen.count(), before);
    EXPECT_LE(seen.quantile(0.5), seen.max());
    Histogram sum;
    sum.merge(seen);
    EXPECT_EQ(sum, seen);  // its extremes cover all of its cells
    before = seen.count();
  }
  writer.join();
  EXPECT_EQ(atomic.snapshot().count(), kRecords);
}

}  // namespace
}  // namespace nearlane
