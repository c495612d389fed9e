#include "servers/http/target.h"

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

TEST(Target, FindsEachRoute) {
  EXPECT_EQ(parse_target("/healthz")->route, Route::healthz);
  EXPECT_EQ(parse_target("/readyz")->route, Route::readyz);
  EXPECT_EQ(parse_target("/metrics?name=x")->route, Route::metrics);
  EXPECT_EQ(parse_target("/stats")->route, Route::stats);
  EXPECT_EQ(parse_target("/cache:batch")->route, Route::batch);
  EXPECT_EQ(parse_target("/cache/:batch")->key, ":batch");
  EXPECT_EQ(parse_target("/cache/a")->route, Route::entry);
  EXPECT_EQ(parse_target("/cache/a/touch?ttl=1")->route, Route::touch);
  EXPECT_EQ(parse_target("http://host:1/cache/a")->key, "a");
  EXPECT_EQ(parse_target("/cache/touch")->key, "touch");
  for (const char* text : {"/", "*", "", "/cache", "/cache/a/b", "/cache/a/b/touch", "/healthz/",
                           "host:443", "http://host"}) {
    EXPECT_EQ(parse_target(text)->route, Route::unknown) << text;
  }
}

TEST(Target, OfWhyIsAKeyAndADatabase) {
  EXPECT_EQ(parse_target("/why/a%2Fb")->route, Route::why);
  EXPECT_EQ(parse_target("/why/a%2Fb")->key, "a/b");
  EXPECT_EQ(parse_target("/why/a")->db, std::nullopt);
  EXPECT_EQ(parse_target("/why/a?db=7")->db, 7);
  EXPECT_EQ(parse_target("/why/touch")->key, "touch");
  EXPECT_EQ(parse_target("/why/a/touch")->route, Route::unknown);
  for (const char* text : {"/why/", "/why/a?db=", "/why/a?db=x", "/why/a?db=1x", "/why/a?db=-1",
                           "/why/a?ttl=1", "/why/a?strict", "/why/a?db=64"}) {
    EXPECT_TRUE(parse_target(text).has_error()) << text;
  }
  EXPECT_TRUE(parse_target("/cache/a?db=1").has_error());
}

TEST(Target, DecodesTheKeyOnce) {
  EXPECT_EQ(parse_target("/cache/a%2Fb")->key, "a/b");
  EXPECT_EQ(parse_target("/cache/%2541")->key, "%41");
  EXPECT_EQ(parse_target("/cache/a+b")->key, "a+b");
  EXPECT_EQ(parse_target("/cache/%00%ff")->key, std::string("\0\xff", 2));
}

TEST(Target, RefusesKeysItCannotRead) {
  for (const char* text : {"/cache/%", "/cache/%4", "/cache/%zz", "/cache/a b", "/cache/a\x01",
                           "/cache/\xc3\xa4", "/cache/", "/cache/a#b", "/cache//touch"}) {
    const auto target = parse_target(text);
    ASSERT_TRUE(target.has_error()) << text;
    EXPECT_EQ(target.error().code, Errc::invalid_argument);
  }
  EXPECT_TRUE(parse_target("/cache/" + std::string(64 * 1024, 'k')).has_value());
  EXPECT_EQ(parse_target("/cache/" + std::string(64 * 1024 + 1, 'k')).error().code,
            Errc::too_large);
}

TEST(Target, ReadsTtlInEitherUnit) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_target("/cache/a?ttl=60")->ttl, milliseconds(60'000));
  EXPECT_EQ(parse_target("/cache/a?px=60")->ttl, milliseconds(60));
  EXPECT_EQ(parse_target("/cache/a?&ttl=1&")->ttl, milliseconds(1000));
  EXPECT_FALSE(parse_target("/cache/a?")->ttl.has_value());
  EXPECT_FALSE(parse_target("/cache/strict")->strict);
  EXPECT_TRUE(parse_target("/cache/a?strict")->strict);
  EXPECT_TRUE(parse_target("/cache/a?&strict&")->strict);
  for (const char* query :
       {"ttl=0", "ttl=-1", "ttl=", "ttl", "ttl=1.5", "ttl=1s", "px=99999999999999999999",
        "ttl=9223372036854775807", "ttl=1&px=1", "ttl=1&ttl=1", "strict=1", "strict=", "x=1"}) {
    const auto target = parse_target(std::string("/cache/a?") + query);
    ASSERT_TRUE(target.has_error()) << query;
    EXPECT_EQ(target.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace nearlane::http
