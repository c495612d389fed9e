// A hash's fields: few and many of them in one command are the same but for what they cost.
#include "core/l2/embedded/fields.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/memory/map_store.h"

namespace nearlane::l2::embedded {
namespace {

using namespace std::chrono_literals;
using protocol::Reply;
using Words = std::vector<std::string_view>;

std::vector<std::string> names_of(const Fields& fields) {
  std::vector<std::string> names;
  for (const auto& [name, value] : fields.all()) names.emplace_back(name);
  return names;
}

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("field" + std::to_string(i));
  return names;
}

TEST(Fields, AreTheSameInTheSameOrderWithAndWithoutAnIndex) {
  const auto names = numbered(3 * kFewNames);
  Fields plain;
  Fields indexed;
  indexed.expect(names.size());
  for (const std::string_view value : {"first", "second"}) {
    for (std::size_t i = 0; i < names.size(); i += value == "first" ? 2 : 1)
      EXPECT_EQ(indexed.set(names[i], value), plain.set(names[i], value));
  }
  EXPECT_EQ(indexed.bytes(), plain.bytes());
  EXPECT_EQ(indexed.find("none"), nullptr);
  EXPECT_EQ(indexed.find(names[7])->value, "second");
  const std::string bytes = indexed.bytes();
  Fields read(bytes);
  read.expect(names.size());
  EXPECT_FALSE(read.set(names[1], "third"));
  EXPECT_TRUE(read.set("last", "x"));
  EXPECT_EQ(names_of(read).back(), "last");
}

TEST(Fields, AreErasedOnceHoweverOftenTheyAreNamed) {
  for (const std::size_t count : {kFewNames / 2, 2 * kFewNames}) {
    const auto names = numbered(count);
    Fields fields;
    for (const auto& name : names) fields.set(name, "x");
    std::vector<std::string_view> wanted(names.begin() + 1, names.end() - 1);
    wanted.insert(wanted.end(), {names[1], "none", "none"});
    EXPECT_EQ(fields.erase(wanted), count - 2);
    EXPECT_THAT(names_of(fields), testing::ElementsAre(names.front(), names.back()));
    EXPECT_TRUE(fields.set(names[1], "x"));
  }
}

// Comparing each with each took minutes, and nobody else was served meanwhile.
TEST(Fields, ACommandWithManyOfThemTakesNotTheSquareOfTheirNumber) {
  constexpr std::size_t kMany = 100'000;
  memory::MapStore store(std::uint64_t{1} << 30U);
  Keyspace keyspace(store);
  const auto names = numbered(kMany);
  const auto run = [&](Words words, bool pairs) {
    for (const auto& name : names) {
      words.emplace_back(name);
      if (pairs) words.emplace_back("v");
    }
    return keyspace.execute(0, words, WallTime(1h));
  };
  const auto began = Clock::now();
  EXPECT_EQ(run({"HSET", "h"}, true), Reply::number(kMany));
  EXPECT_EQ(run({"HSET", "h"}, true), Reply::number(0));
  EXPECT_EQ(run({"HMGET", "h"}, false).elements.size(), kMany);
  EXPECT_EQ(run({"HDEL", "h"}, false), Reply::number(kMany));
  // A tenth of it where nothing else runs; each with each is ten thousand million comparisons.
  EXPECT_LT(Clock::now() - began, 5s);
}

}  // namespace
}  // namespace nearlane::l2::embedded
