#include "harness/workload/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::AllOf;
using testing::HasSubstr;

Settings parsed(std::string_view text) {
  auto settings = Settings::parse(text, "a.toml");
  EXPECT_TRUE(settings.has_value()) << settings.error().detail;
  return std::move(*settings);
}

TEST(Settings, ReadsEveryKindOfValue) {
  auto settings = parsed(R"(
count = 7
share = 0.5
on = true
name = "x"
ttl = "30m"
size = "3.5KB"
plain = 512
names = ["a", "b"]
mix = {get = 0.9, set = 0.1}
sizes = [[256, 0.5], [3500, 0.5]]
[inner]
depth = 2
[[row]]
id = 1
[[row]]
id = 2
)");
  auto root = settings.root();
  EXPECT_EQ(root.integer("count", 0, 0, 10), 7);
  EXPECT_EQ(root.number("share", 0, 0, 1), 0.5);
  EXPECT_EQ(root.number("count", 0, 0, 10), 7.0);
  EXPECT_TRUE(root.flag("on", false));
  EXPECT_EQ(root.text("name", ""), "x");
  EXPECT_EQ(root.duration("ttl", Duration::zero(), milliseconds(1), minutes(60)), minutes(30));
  EXPECT_EQ(root.bytes("size", 0, 0, 10000), 3500U);
  EXPECT_EQ(root.bytes("plain", 0, 0, 10000), 512U);
  EXPECT_EQ(root.texts("names", {}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(root.numbers("mix", {"get", "set"}, 0, 1).at("get"), 0.9);
  EXPECT_EQ(root.sizes("sizes", 1, 10000).size(), 2U);
  EXPECT_EQ(root.section("inner").integer("depth", 0, 0, 9), 2);
  auto rows = root.sections("row");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].integer("id", 0, 0, 9) + rows[1].integer("id", 0, 0, 9), 3);
  EXPECT_EQ(root.integer("absent", 5, 0, 10), 5);
  EXPECT_TRUE(settings.finish().has_value()) << settings.finish().error().detail;
}

TEST(Settings, NamesAnUnknownKeyWithItsLineAndTheNearestKnownOne) {
  auto settings = parsed("count = 1\n[load]\nthreads = 2\ntrheads = 3\n");
  auto root = settings.root();
  EXPECT_EQ(root.integer("count", 0, 0, 9), 1);
  EXPECT_EQ(root.section("load").integer("threads", 0, 0, 9), 2);
  const auto finished = settings.finish();
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().code, Errc::invalid_argument);
  EXPECT_EQ(finished.error().detail,
            "a.toml:4: unknown key 'trheads' in [load]; did you mean 'threads'?");
}

TEST(Settings, NamesAWholeUnknownTable) {
  auto settings = parsed("a = 1\n\n[zzz]\nb = 1\n");
  auto root = settings.root();
  EXPECT_EQ(root.integer("a", 0, 0, 9), 1);
  EXPECT_THAT(settings.finish().error().detail, HasSubstr("a.toml:3: unknown key 'zzz'"));
}

TEST(Settings, ShowsEveryProblemInTheOrderOfTheFile) {
  auto settings = parsed("a = 99\nb = \"x\"\nc = \"soon\"\nd = \"5 apples\"\n");
  auto root = settings.root();
  EXPECT_EQ(root.bytes("d", 1, 0, 9), 1U);
  EXPECT_EQ(root.duration("c", Duration(3), Duration(0), Duration(9)), Duration(3));
  EXPECT_EQ(root.integer("a", 4, 0, 9), 4);
  EXPECT_EQ(root.integer("b", 4, 0, 9), 4);
  EXPECT_THAT(settings.finish().error().detail,
              AllOf(HasSubstr("a.toml:1: 'a' must be an integer from 0 to 9\na.toml:2: 'b'"),
                    HasSubstr("a.toml:3: 'c' must be a duration"),
                    HasSubstr("a.toml:4: 'd' must be a size")));
}

TEST(Settings, ListsTheChoices) {
  auto settings = parsed("kind = \"zip\"\n");
  EXPECT_EQ(settings.root().choice("kind", "zipf", {"uniform", "zipf"}), "zipf");
  EXPECT_THAT(settings.finish().error().detail, HasSubstr("one of uniform, zipf"));
}

TEST(Settings, TakesSomeOfTheChoicesAndAllWhereNothingIsSaid) {
  auto settings = parsed("one = [\"b\"]\nnone = []\nwrong = [\"a\", \"c\"]\n");
  const std::vector<std::string> all = {"a", "b"};
  EXPECT_EQ(settings.root().some_of("one", all), std::vector<std::string>{"b"});
  EXPECT_EQ(settings.root().some_of("none", all), std::vector<std::string>{});
  EXPECT_EQ(settings.root().some_of("absent", all), all);
  EXPECT_EQ(settings.root().some_of("wrong", all), all);
  EXPECT_EQ(settings.finish().error().detail, "a.toml:3: 'wrong' must be some of a, b");
}

TEST(Settings, SaysWhereTheSyntaxEnds) {
  const auto settings = Settings::parse("a = 1\nb = = 2\n", "b.toml");
  ASSERT_FALSE(settings.has_value());
  EXPECT_THAT(settings.error().detail, HasSubstr("b.toml:2:"));
}

TEST(Settings, SurvivesWhatTheParserAssertsIsNeverWritten) {
  EXPECT_TRUE(Settings::parse("[*", "b.toml").has_error());
  EXPECT_TRUE(Settings::parse("a = 1\n[[ *", "b.toml").has_error());
  EXPECT_TRUE(Settings::parse("a = {*", "b.toml").has_error());
  EXPECT_TRUE(Settings::parse("a = 1\n\u023e", "b.toml").has_error());
}

TEST(Settings, HashesTheTextAsItWasWritten) {
  EXPECT_EQ(parsed("a = 1\n").hash(), parsed("a = 1\n").hash());
  EXPECT_NE(parsed("a = 1\n").hash(), parsed("a = 1 \n").hash());
}

TEST(Settings, RefusesDurationsAndSizesThatDoNotFit) {
  for (const auto* text : {"", "5", "-5s", "1e300s", "nans", "5 s", "s"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
  for (const auto* text : {"", "-1", "1e300", "5 KB", "5kb", "KB"}) {
    EXPECT_FALSE(parse_bytes(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace nearlane::harness
