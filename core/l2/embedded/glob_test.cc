#include "core/l2/embedded/glob.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace nearlane::l2::embedded {
namespace {

struct Row {
  std::string_view pattern;
  std::string_view text;
  bool matches;
};

TEST(Glob, MatchesAsRedisDoes) {
  const Row table[] = {
      {"", "", true},          {"", "a", false},
      {"*", "", false},        {"*", "abc", true},
      {"**", "abc", true},     {"a*c", "abbc", true},
      {"a*c", "abcb", false},  {"*b*d", "abbcd", true},
      {"a?c", "abc", true},    {"a?c", "ac", false},
      {"?", "", false},        {"[abc]x", "bx", true},
      {"[abc]x", "dx", false}, {"[a-c]", "b", true},
      {"[c-a]", "b", true},    {"[a-c]", "d", false},
      {"[^a-c]", "d", true},   {"[^a-c]", "a", false},
      {"[a\\]]", "]", true},   {"[a-]", "^", true},
      {"[", "a", false},       {"[a", "a", true},
      {"\\*", "*", true},      {"\\*", "a", false},
      {"\\", "\\", true},      {"user:*:id", "user:7:id", true},
      {"a*", "b", false},      {"*a", "ba", true},
      {"abc", "ab", false},    {"ab", "abc", false},
      {"*[0-9]", "x7", true},  {"*[0-9]", "x7y", false},
  };
  for (const Row& row : table) {
    EXPECT_EQ(glob_matches(row.pattern, row.text), row.matches) << row.pattern << " " << row.text;
  }
}

TEST(Glob, DoesNotExplodeOnManyStars) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  pattern += "b";
  EXPECT_FALSE(glob_matches(pattern, std::string(5000, 'a')));
}

}  // namespace
}  // namespace nearlane::l2::embedded
