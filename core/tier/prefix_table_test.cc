#include "core/tier/prefix_table.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace nearlane::tier {
namespace {

using std::chrono::milliseconds;

/// A table whose rules say by their max_stale which prefix they are of: its length in milliseconds.
PrefixTable table_of(const std::set<std::string>& prefixes) {
  std::vector<Prefix> made;
  made.reserve(prefixes.size());
  for (const std::string& match : prefixes) {
    made.push_back({.match = match, .rules = {.max_stale = milliseconds(match.size())}});
  }
  return {{.max_stale = milliseconds(0)}, std::move(made)};
}

std::size_t matched(const PrefixTable& table, std::string_view name) {
  return static_cast<std::size_t>(table.of(name).max_stale / milliseconds(1));
}

TEST(PrefixTable, TheLongestPrefixDecidesAndElseTheGeneralRules) {
  const PrefixTable table = table_of({"a", "a:b", "a:b:x", "c", std::string("\xff\x00", 2)});
  EXPECT_EQ(matched(table, "a:b:y"), 3U);
  EXPECT_EQ(matched(table, "a:b:x"), 5U);
  EXPECT_EQ(matched(table, "a:b:x1"), 5U);
  EXPECT_EQ(matched(table, "a:"), 1U);
  EXPECT_EQ(matched(table, "a"), 1U);
  EXPECT_EQ(matched(table, "az"), 1U);
  EXPECT_EQ(matched(table, "b"), 0U);
  EXPECT_EQ(matched(table, ""), 0U);
  EXPECT_EQ(matched(table, std::string_view("\xff\x00z", 3)), 2U);
  EXPECT_EQ(matched(table, "\xff"), 0U);
  EXPECT_EQ(matched(table_of({}), "a"), 0U);
  EXPECT_EQ(table.match("a:b:y"), "a:b");
  EXPECT_EQ(table.match("b"), std::nullopt);
  EXPECT_EQ(table_of({}).match("a"), std::nullopt);
}

TEST(PrefixTable, FindsWhatALookAtEveryPrefixFinds) {
  std::mt19937 random(20);
  const auto word = [&](std::size_t most) {
    std::string text(random() % (most + 1), 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    std::set<std::string> prefixes;
    for (std::size_t i = random() % 12; i > 0; --i) prefixes.insert("a" + word(6));
    const PrefixTable table = table_of(prefixes);
    for (int i = 0; i < 40; ++i) {
      const std::string name = word(9);
      std::size_t longest = 0;
      for (const std::string& prefix : prefixes) {
        if (name.starts_with(prefix)) longest = std::max(longest, prefix.size());
      }
      ASSERT_EQ(matched(table, name), longest) << name << ", round " << round;
    }
  }
}

}  // namespace
}  // namespace nearlane::tier
