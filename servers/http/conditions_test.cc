#include "servers/http/conditions.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "core/entry/entry.h"

namespace nearlane::http {
namespace {

TEST(Conditions, TagsDifferByEncoding) {
  EXPECT_EQ(EntityTag(0x1f, "").text(), "\"000000000000001f\"");
  EXPECT_EQ(EntityTag(0x1f, "br").text(), "\"000000000000001f-br\"");
}

TEST(Conditions, FindsATagInAList) {
  for (const char* list : {"\"a\"", "W/\"a\"", "\"x\", \"a\"", "\"x\",W/\"a\" ", " , \"a\"", "*",
                           " * ", "\"x,y\", \"a\""}) {
    EXPECT_TRUE(lists_tag(list, "\"a\"")) << list;
  }
  for (const char* list :
       {"", "a", "\"b\"", "\"a", "\"x\" \"a\"", "\"x,\"a\"\"", "W/", "**", ","}) {
    EXPECT_FALSE(lists_tag(list, "\"a\"")) << list;
  }
}

TEST(Conditions, AWeakTagIsNoneWhereTheyAreComparedStrongly) {
  EXPECT_TRUE(lists_tag("W/\"x\", \"a\"", "\"a\"", Comparison::strong));
  EXPECT_TRUE(lists_tag("W/\"a\", \"a\"", "\"a\"", Comparison::strong));
  EXPECT_TRUE(lists_tag("*", "\"a\"", Comparison::strong));
  EXPECT_FALSE(lists_tag("W/\"a\"", "\"a\"", Comparison::strong));
}

TEST(Conditions, OfAWriteAreThoseOfItsFields) {
  const std::string value = "value";
  const std::string plain(EntityTag(Entry::digest_of(value), "").text());
  const std::string other(EntityTag(Entry::digest_of("other"), "").text());
  const auto hold = [](std::optional<std::string> match, std::optional<std::string> none,
                       std::optional<std::string_view> there) {
    return Preconditions{.if_match = std::move(match), .if_none_match = std::move(none)}.hold(
        there);
  };
  constexpr auto kNo = std::nullopt;
  for (const char* form : {"", "gzip", "br"}) {
    const std::string tag(EntityTag(Entry::digest_of(value), form).text());
    EXPECT_TRUE(hold(std::string(other).append(",").append(tag), kNo, value)) << form;
    EXPECT_FALSE(hold(kNo, tag, value)) << form;
  }
  EXPECT_FALSE(hold(other, kNo, value));
  EXPECT_FALSE(hold("W/" + plain, kNo, value)) << "strongly";
  EXPECT_FALSE(hold(plain, kNo, kNo));
  EXPECT_TRUE(hold("*", kNo, value));
  EXPECT_FALSE(hold("*", kNo, kNo));
  EXPECT_TRUE(hold(kNo, other, value));
  EXPECT_FALSE(hold(kNo, "W/" + plain, value)) << "weakly";
  EXPECT_TRUE(hold(kNo, plain, kNo));
  EXPECT_FALSE(hold(kNo, "*", value));
  EXPECT_TRUE(hold(kNo, "*", kNo));
  EXPECT_TRUE(hold(plain, other, value));
  EXPECT_FALSE(hold(plain, plain, value)) << "both must hold";
  EXPECT_FALSE(hold("nonsense", kNo, value));
}

}  // namespace
}  // namespace nearlane::http
