#include "core/entry/media_type.h"

#include <string>

#include <gtest/gtest.h>

namespace nearlane {
namespace {

TEST(MediaType, IsATypeASubtypeAndParameters) {
  for (const char* text :
       {"text/html", "a/b", "application/vnd.api+json", "text/html;charset=utf-8",
        "text/html; charset=utf-8", "text/html  ;  charset=\"utf-8\"; q=1", "a/b;c=\"\"",
        "a/b;c=\"x \\\" ; y\"", "a/b;c=\"\\\\\"", "*/*", "application/x-www-form-urlencoded",
        "text/html;", "text/html; ", "text/html ;", "text/html; ; charset=utf-8", "a/b;;",
        "a/b\t;\tc=d", "a/b;c=d;"}) {
    EXPECT_TRUE(is_media_type(text)) << text;
  }
}

TEST(MediaType, IsNothingElse) {
  for (const char* text : {"",
                           "/",
                           "text",
                           "text/",
                           "/html",
                           "text/html/x",
                           "text /html",
                           "text/ html",
                           " text/html",
                           "text/html ",
                           "text/html\t",
                           "text/html;charset=utf-8 ",
                           "text/html;;charset",
                           "a/b;c=\"\t\"",
                           "a/b;\n",
                           "a/b;\x0b",
                           ";",
                           "text/html;charset",
                           "text/html;charset=",
                           "text/html;=x",
                           "text/html;a=b c",
                           "text/html,text/plain",
                           "a/b;c=\"",
                           "a/b;c=\"x",
                           "a/b;c=\"x\\\"",
                           "a/b;c=\"x\"y",
                           "a/b;c=\"\x01\"",
                           "a/b;c=\"\x7f\"",
                           "a/\xC3\xA9",
                           "a/b;c=\"\xC3\xA9\"",
                           "a/b\r\nX: y",
                           "a/b;c=\"\r\nX: y\"",
                           "a/b;c=\"\\\r\nX: y\"",
                           "a/b\n",
                           "(a)/b"}) {
    EXPECT_FALSE(is_media_type(text)) << text;
  }
  EXPECT_FALSE(is_media_type(std::string("a/b\0", 4)));
  EXPECT_FALSE(is_media_type(std::string("a/b;c=\"\0\"", 9)));
}

TEST(MediaType, IsNoLongerThanItMayBe) {
  const std::string longest = "text/" + std::string(kMostMediaType - 5, 'x');
  EXPECT_TRUE(is_media_type(longest));
  EXPECT_FALSE(is_media_type(longest + "x"));
}

}  // namespace
}  // namespace nearlane
