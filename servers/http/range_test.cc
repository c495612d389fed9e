#include "servers/http/range.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

/// Of a body of ten bytes: "first+size", "416", or "all".
std::string of_ten(std::string_view field, std::uint64_t size = 10) {
  const auto spec = parse_range(field);
  if (!spec) return "all";
  const auto range = resolve(*spec, size);
  return range ? fmt::format("{}+{}", range->first, range->size) : "416";
}

TEST(Range, IsAPartOfTheBody) {
  EXPECT_EQ(of_ten("bytes=0-3"), "0+4");
  EXPECT_EQ(of_ten("bytes=3-3"), "3+1");
  EXPECT_EQ(of_ten("bytes=9-"), "9+1");
  EXPECT_EQ(of_ten("bytes=0-"), "0+10");
  EXPECT_EQ(of_ten("bytes=5-99"), "5+5");
  EXPECT_EQ(of_ten("bytes=-3"), "7+3");
  EXPECT_EQ(of_ten("bytes=-99"), "0+10");
  EXPECT_EQ(of_ten(" BYTES= 1-2 "), "1+2");
  EXPECT_EQ(of_ten("bytes=1-99999999999999999999999"), "1+9");
}

TEST(Range, IsRefusedWhereNoneOfItIsThere) {
  EXPECT_EQ(of_ten("bytes=10-"), "416");
  EXPECT_EQ(of_ten("bytes=10-12"), "416");
  EXPECT_EQ(of_ten("bytes=-0"), "416");
  EXPECT_EQ(of_ten("bytes=99999999999999999999999-"), "416");
  EXPECT_EQ(of_ten("bytes=0-0", 0), "416");
  EXPECT_EQ(of_ten("bytes=-5", 0), "416");
}

TEST(Range, MeansNothingWhereItIsNotOne) {
  for (const char* field :
       {"", "bytes", "bytes=", "bytes=-", "bytes=3-2", "bytes=a-b", "bytes=1", "items=0-3",
        "bytes=0-1,3-4", "bytes=0-1-2", "bytes=+1-2", "bytes=1 - 2", "bytes 0-3", "bytes=--1"}) {
    EXPECT_EQ(of_ten(field), "all") << field;
  }
}

}  // namespace
}  // namespace nearlane::http
