#include "servers/http/conditions.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace nearlane::http
