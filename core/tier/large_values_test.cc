#include "core/tier/large_values.h"

#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace nearlane::tier {
namespace {

constexpr std::size_t kBytes = LargeValues::kLeast;

class LargeValuesTest : public testing::Test {
 protected:
  std::optional<LargeValue> note(std::string_view name) {
    return seen.note(prefixes, KeyRef(3, name), kBytes, now);
  }

  const PrefixTable prefixes{
      {},
      {{.match = "wallet:", .rules = {}}, {.match = "wallet:keys:", .rules = {.secret = true}}}};
  LargeValues seen;
  TimePoint now{};
};

TEST_F(LargeValuesTest, NamesTheTableThatDecides) {
  const auto told = note("wallet:keys:17");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->prefix, "wallet:keys:");
  EXPECT_TRUE(told->has_table);
  EXPECT_EQ(told->bytes, kBytes);
  EXPECT_EQ(told->hash, KeyRef(3, "wallet:keys:17").hash);
  EXPECT_EQ(told->db, 3U);
  EXPECT_EQ(note("wallet:17")->prefix, "wallet:");
}

TEST_F(LargeValuesTest, NamesAKeysOwnNamespaceWhereNoTableDecides) {
  const auto told = note("key-pair:17");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->prefix, "key-pair:");
  EXPECT_FALSE(told->has_table);
}

TEST_F(LargeValuesTest, ShowsNothingOfANameThatMayBeASecret) {
  EXPECT_EQ(note("5d3f0c1be2a49d76:blob")->prefix, "");
  EXPECT_EQ(name_space("a-session-id-without-an-end"), "");
  EXPECT_EQ(name_space(":x"), "");
  EXPECT_EQ(name_space(""), "");
  EXPECT_EQ(name_space("a\"b:x"), "");
  EXPECT_EQ(name_space("a\nb:x"), "");
  EXPECT_EQ(name_space("jane.doe:x"), "");
  EXPECT_EQ(name_space("Xk-dPqRsTu_Lm:x"), "");
  EXPECT_EQ(name_space("qwhzkdjbnvpemxtlyrgcaf:x"), "") << "22 letters can be 100 bits of an id";
  EXPECT_EQ(name_space(std::string(16, 'a') + ":x"), std::string(16, 'a') + ":");
  EXPECT_EQ(name_space(std::string(17, 'a') + ":x"), "");
}

TEST_F(LargeValuesTest, SaysItOnceAMinuteForEachPrefix) {
  ASSERT_TRUE(note("wallet:1"));
  EXPECT_FALSE(note("wallet:2"));
  EXPECT_TRUE(note("wallet:keys:1")) << "that is another table";
  EXPECT_TRUE(note("other:1"));
  EXPECT_TRUE(note("1:1"));
  EXPECT_FALSE(note("2:2")) << "what has no name is one";
  now += LargeValues::kEvery - std::chrono::nanoseconds(1);
  EXPECT_FALSE(note("wallet:1"));
  now += std::chrono::nanoseconds(1);
  EXPECT_TRUE(note("wallet:1"));
}

TEST_F(LargeValuesTest, KeepsCountOfSoManyPrefixesAndNoMore) {
  const auto name = [](std::size_t i) {
    return std::string(1 + i % 16, static_cast<char>('a' + i / 16)) + ":1";
  };
  for (std::size_t i = 0; i < LargeValues::kMostPrefixes; ++i) ASSERT_TRUE(note(name(i))) << i;
  EXPECT_FALSE(note("one-more:1"));
  now += LargeValues::kEvery;
  EXPECT_TRUE(note("one-more:1")) << "those are over";
}

}  // namespace
}  // namespace nearlane::tier
