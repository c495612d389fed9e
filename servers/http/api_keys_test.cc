#include "servers/http/api_keys.h"

#include <gtest/gtest.h>

namespace nearlane::http {
namespace {

const std::vector<std::string> kTwo = {"old", "new"};

TEST(ApiKeys, HoldsEveryKeyAndNothingElse) {
  const ApiKeys keys(kTwo);
  EXPECT_TRUE(keys.asked_for());
  EXPECT_TRUE(keys.holds("old"));
  EXPECT_TRUE(keys.holds("new"));
  for (const char* wrong : {"", "ol", "oldx", "olD", "old new"})
    EXPECT_FALSE(keys.holds(wrong)) << wrong;
}

TEST(ApiKeys, LetEverybodyInWhereThereAreNone) {
  const ApiKeys none({});
  EXPECT_FALSE(none.asked_for());
  EXPECT_TRUE(Caller(none).admitted(std::nullopt, std::nullopt));
}

TEST(Caller, IsAdmittedByEitherField) {
  const ApiKeys keys(kTwo);
  Caller caller(keys);
  EXPECT_FALSE(caller.admitted(std::nullopt, std::nullopt));
  EXPECT_TRUE(caller.admitted("Bearer old", std::nullopt));
  EXPECT_TRUE(caller.admitted(std::nullopt, "new"));
  EXPECT_TRUE(caller.admitted("Bearer wrong", "old"));
  EXPECT_TRUE(caller.admitted("Bearer new", "wrong"));
  EXPECT_FALSE(caller.admitted("Basic old", std::nullopt));
  EXPECT_FALSE(caller.admitted("Bearer ", ""));
}

TEST(Caller, MayWriteTheSchemeAsItLikes) {
  const ApiKeys keys(kTwo);
  Caller caller(keys);
  EXPECT_TRUE(caller.admitted("bearer old", std::nullopt));
  EXPECT_TRUE(caller.admitted("BEARER   new", std::nullopt));
  for (const char* wrong : {"Bearerold", "Bearer\told", "bearer OLD", "Bearer", "", "Bear old"})
    EXPECT_FALSE(caller.admitted(wrong, std::nullopt)) << wrong;
}

TEST(Caller, RemembersWhatWasAcceptedAndAdmitsNothingElseForIt) {
  const ApiKeys keys(kTwo);
  Caller caller(keys);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(caller.admitted(std::nullopt, "old"));
    EXPECT_FALSE(caller.admitted(std::nullopt, "odd"));
    EXPECT_FALSE(caller.admitted(std::nullopt, "older"));
    EXPECT_FALSE(caller.admitted(std::nullopt, ""));
    EXPECT_FALSE(caller.admitted(std::nullopt, std::nullopt));
    EXPECT_TRUE(caller.admitted(std::nullopt, "new"));
  }
}

}  // namespace
}  // namespace nearlane::http
