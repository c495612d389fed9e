#include "core/entry/precompress.h"

#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>

#include "core/base/allocator.h"
#include "core/entry/test_decoding.h"

namespace nearlane {
namespace {

std::string noise(std::size_t size) {
  std::minstd_rand random(7);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random() >> 8U);
  return out;
}
std::string session(std::size_t size) {
  std::string out;
  for (int i = 0; out.size() < size; ++i) {
    out += fmt::format(R"({{"item":"sku-{}","count":{},"note":"gift"}},)", i * 7919 % 1000, i % 9);
  }
  out.resize(size);
  return out;
}

TEST(Precompress, MakesFormsThatTheDecodersReadBack) {
  const std::string value = session(5000);
  const Variants made = precompress(value);
  EXPECT_LT(made.br.size(), value.size() / 2);
  EXPECT_LT(made.gzip.size(), value.size() / 2);
  EXPECT_EQ(test::decoded(made.br, Coding::br), value);
  EXPECT_EQ(test::decoded(made.gzip, Coding::gzip), value);
}

TEST(Precompress, LeavesSmallAndLargeValuesAlone) {
  EXPECT_TRUE(precompress(std::string(kLeastCompressed - 1, 'a')).empty());
  EXPECT_FALSE(precompress(std::string(kLeastCompressed, 'a')).empty());
  EXPECT_FALSE(precompress(std::string(kMostPrecompressed, 'a')).empty());
  EXPECT_TRUE(precompress(std::string(kMostPrecompressed + 1, 'a')).empty());
}

TEST(Precompress, GivesUpWhatASampleSaysIsNoise) {
  EXPECT_FALSE(looks_compressible(noise(100'000)));
  EXPECT_TRUE(looks_compressible(session(100'000)));
  // Where it begins decides nothing.
  EXPECT_TRUE(looks_compressible(noise(30'000) + session(70'000)));
  EXPECT_TRUE(precompress(noise(1000)).empty()) << "too small for a sample, and tried";
}

TEST(Precompress, KeepsNothingThatSavesLessThanATenth) {
  // An eighth of it can be saved, then a sixteenth.
  EXPECT_FALSE(precompress(noise(3500) + std::string(500, 'a')).empty());
  EXPECT_TRUE(precompress(noise(3750) + std::string(250, 'a')).empty());
}

TEST(Precompress, TakesNoNewPagesForEachValue) {
  keep_large_values_apart();  // as every program does whose L1 holds such values
  const std::string value = session(1024);
  long faults = 0;
  // Not in the main thread, whose heap may have huge pages at its end. brotli's tables take 160 faults if they are new each
  // time; the address sanitizer, which lets freed memory rest, has 20 in any case.
  std::thread([&] {
    const auto count = [] {
      rusage used{};
      getrusage(RUSAGE_THREAD, &used);
      return used.ru_minflt;
    };
    static_cast<void>(precompress(value));
    const auto before = count();
    for (int i = 0; i < 100; ++i) static_cast<void>(precompress(value));
    faults = count() - before;
  }).join();
  EXPECT_LT(faults, 100 * 80);
}

RC_GTEST_PROP(PrecompressProperty, AFormIsTheValueInATenthLess, ()) {
  const auto unit = *rc::gen::nonEmpty(rc::gen::string<std::string>());
  const auto tail = *rc::gen::string<std::string>();
  std::string value;
  for (int i = *rc::gen::inRange(0, 3000); i > 0; --i) value += unit;
  value += tail;
  const Variants made = precompress(value);
  RC_CLASSIFY(made.empty());
  for (const Coding coding : {Coding::br, Coding::gzip}) {
    const std::string& form = coding == Coding::br ? made.br : made.gzip;
    if (form.empty()) continue;
    RC_ASSERT(form.size() * 10 <= value.size() * 9 + 10);
    RC_ASSERT(test::decoded(form, coding, value.size() + 1) == value);
  }
}

}  // namespace
}  // namespace nearlane
