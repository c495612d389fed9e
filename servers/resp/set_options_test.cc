#include "servers/resp/set_options.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::resp {
namespace {

std::optional<SetCommand> set(std::vector<std::string_view> options) {
  std::vector<std::string_view> args = {"SET", "k", "v"};
  args.insert(args.end(), options.begin(), options.end());
  return parse_set(args);
}

TEST(SetOptions, ReadsEachOption) {
  using Kind = tier::Expiry::Kind;
  struct Case {
    std::vector<std::string_view> options;
    Kind kind;
    std::int64_t ms;
    tier::Condition condition;
  };
  for (const Case& c :
       std::vector<Case>{{{}, Kind::never, 0, tier::Condition::always},
                         {{"EX", "60"}, Kind::in, 60'000, tier::Condition::always},
                         {{"px", "60"}, Kind::in, 60, tier::Condition::always},
                         {{"ExAt", "60"}, Kind::at, 60'000, tier::Condition::always},
                         {{"PXAT", "60"}, Kind::at, 60, tier::Condition::always},
                         {{"KeepTTL"}, Kind::keep, 0, tier::Condition::always},
                         {{"NX", "EX", "1"}, Kind::in, 1000, tier::Condition::if_absent},
                         {{"ex", "1", "xx"}, Kind::in, 1000, tier::Condition::if_present}}) {
    const auto parsed = set(c.options);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->value, "v");
    EXPECT_EQ(parsed->options.expiry.kind, c.kind);
    EXPECT_EQ(parsed->options.expiry.milliseconds, c.ms);
    EXPECT_EQ(parsed->options.condition, c.condition);
  }
}

TEST(SetOptions, LeavesToL2WhatItCannotJudge) {
  for (const auto& options :
       std::vector<std::vector<std::string_view>>{{"GET"},
                                                  {"NX", "GET"},
                                                  {"NX", "XX"},
                                                  {"NX", "NX"},
                                                  {"EX"},
                                                  {"EX", "0"},
                                                  {"EX", "-1"},
                                                  {"EX", "1", "PX", "1"},
                                                  {"EX", "1", "KEEPTTL"},
                                                  {"EX", "abc"},
                                                  {"EX", "1.5"},
                                                  {"EX", ""},
                                                  {"EX", " 1"},
                                                  {"EX", "+1"},
                                                  {"EX", "01"},
                                                  {"EX", "9223372036854775807"},
                                                  {"FOO"},
                                                  {""}}) {
    EXPECT_FALSE(set(options).has_value());
  }
  const std::vector<std::string_view> zero = {"SETEX", "k", "0", "v"};
  EXPECT_FALSE(parse_setex(zero, false).has_value());
}

TEST(SetOptions, ReadsSetexInItsUnit) {
  const std::vector<std::string_view> args = {"SETEX", "k", "7", "v"};
  EXPECT_EQ(parse_setex(args, false)->options.expiry.milliseconds, 7000);
  EXPECT_EQ(parse_setex(args, true)->options.expiry.milliseconds, 7);
}

TEST(SetOptions, ReadsASlideOnlyWhereItIsPlain) {
  const auto slide = [](const std::vector<std::string_view>& args, bool milliseconds) {
    const auto ttl = parse_slide(args, milliseconds);
    return ttl ? ttl->count() : -1;
  };
  EXPECT_EQ(slide({"EXPIRE", "k", "7"}, false), 7000);
  EXPECT_EQ(slide({"PEXPIRE", "k", "7"}, true), 7);
  EXPECT_EQ(slide({"EXPIRE", "k", "7", "NX"}, false), -1);
  EXPECT_EQ(slide({"EXPIRE", "k", "0"}, false), -1);
  EXPECT_EQ(slide({"EXPIRE", "k", "-7"}, false), -1);
  EXPECT_EQ(slide({"EXPIRE", "k", "soon"}, false), -1);
  EXPECT_EQ(slide({"PERSIST", "k"}, false), -1);
}

}  // namespace
}  // namespace nearlane::resp
