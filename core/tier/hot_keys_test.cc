#include "core/tier/hot_keys.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tier/refresh_queue.h"

namespace nearlane::tier {
namespace {

using testing::HasSubstr;

std::vector<std::string> names(const std::vector<Key>& keys) {
  std::vector<std::string> all;
  all.reserve(keys.size());
  for (const Key& key : keys) all.push_back(key.name);
  return all;
}

std::string trouble(std::string_view list) {
  const auto keys = parse_hot_keys(list);
  return keys ? "none" : keys.error().detail;
}

TEST(HotKeys, AreReadAsTheyWereWritten) {
  const std::vector<Key> keys = {Key(0, "session:1"), Key(63, std::string("\0\r\n*$", 5)),
                                 Key(5, std::string(1024, 'x'))};
  const auto read = parse_hot_keys(format_hot_keys(keys));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, keys);
  EXPECT_EQ(format_hot_keys({}), "*1\r\n$4\r\nNLW1\r\n");
  EXPECT_TRUE(parse_hot_keys(format_hot_keys({}))->empty());
}

TEST(HotKeys, OfAForeignListAreNoneAndWhyIsSaid) {
  for (const char* list :
       {"", "hello", "NLW1 0 k\r\n", "*-1\r\n", "*0\r\n", "*1\r\n$4\r\nNLW2\r\n",
        "*2\r\n$4\r\nNLW1\r\n$1\r\n0\r\n", "*3\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$1\r\nk",
        "*3\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$1\r\nk\r\n+",
        "*3\r\n$4\r\nNLW1\r\n$2\r\n64\r\n$1\r\nk\r\n",
        "*3\r\n$4\r\nNLW1\r\n$2\r\n-1\r\n$1\r\nk\r\n",
        "*3\r\n$4\r\nNLW1\r\n$2\r\n00\r\n$1\r\nk\r\n",
        "*3\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$0\r\n\r\n"}) {
    EXPECT_THAT(trouble(list), HasSubstr("no hot-key list")) << list;
  }
  EXPECT_EQ(trouble("*3\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$1\r\nk\r\n"), "none");
}

TEST(HotKeys, OverALimitAreRefused) {
  EXPECT_EQ(parse_hot_keys(std::string(kMostHotBytes + 1, '*')).error().code, Errc::too_large);
  const auto one_of = [](std::size_t bytes) {
    return "*3\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$" + std::to_string(bytes) + "\r\n" +
           std::string(bytes, 'k') + "\r\n";
  };
  EXPECT_EQ(trouble(one_of(kMostNameBytes)), "none");
  EXPECT_THAT(trouble(one_of(kMostNameBytes + 1)), HasSubstr("no hot-key list"));
  const auto many = [](std::size_t keys) {
    std::string list = "*" + std::to_string(1 + 2 * keys) + "\r\n$4\r\nNLW1\r\n";
    for (std::size_t i = 0; i < keys; ++i) list += "$1\r\n0\r\n$1\r\nk\r\n";
    return list;
  };
  EXPECT_EQ(trouble(many(kMostHotKeys)), "none");
  EXPECT_THAT(trouble(many(kMostHotKeys + 1)), HasSubstr("no hot-key list"));
}

TEST(HotKeys, ThatDoNotFitAreTheColdest) {
  const auto written = [](std::size_t count, std::size_t bytes) {
    std::vector<Key> keys;
    for (std::size_t i = 0; i < count; ++i)
      keys.emplace_back(0, std::to_string(i) + std::string(bytes, ':'));
    const std::string list = format_hot_keys(keys);
    EXPECT_LE(list.size(), kMostHotBytes);
    const auto read = parse_hot_keys(list);
    EXPECT_TRUE(read);
    for (std::size_t i = 0; i < read->size(); ++i) EXPECT_EQ((*read)[i], keys[i]);
    return read->size();
  };
  EXPECT_EQ(written(kMostHotKeys + 10, 2), kMostHotKeys);
  const std::size_t fit = written(2000, 1000);
  EXPECT_GT(fit, 1000);
  EXPECT_LT(fit, 1049);
}

TEST(HotKeys, OfSeveralListsAreTheHottestOfEach) {
  const std::vector<std::vector<Key>> lists = {
      {Key(0, "a"), Key(0, "b"), Key(0, "c")}, {}, {Key(0, "b"), Key(1, "b"), Key(0, "d")}};
  EXPECT_EQ(merge_hot_keys(lists, 10),
            (std::vector<Key>{Key(0, "a"), Key(0, "b"), Key(1, "b"), Key(0, "c"), Key(0, "d")}));
  EXPECT_EQ(names(merge_hot_keys(lists, 2)), (std::vector<std::string>{"a", "b"}));
}

EntryPtr entry(const std::string& name, bool unused = false) {
  EntryPtr made = Entry::build(KeyRef(0, name), "v", kForever, 1);
  made->set_unused(unused ? 1 : 0);
  return made;
}

TEST(HottestKeys, AreKeptWhateverTheOrder) {
  HottestKeys hottest(3);
  const std::vector<std::pair<EntryPtr, float>> all = [] {
    std::vector<std::pair<EntryPtr, float>> made;
    made.emplace_back(entry("cold"), 0.5F);
    made.emplace_back(entry("hot"), 3.0F);
    made.emplace_back(entry("fetched and never used", true), 9.0F);
    made.emplace_back(entry("warm"), 1.0F);
    made.emplace_back(entry("hotter"), 4.0F);
    return made;
  }();
  for (const auto& [each, worth] : all) hottest.offer(*each, worth);
  EXPECT_EQ(names(hottest.take()), (std::vector<std::string>{"hotter", "hot", "warm"}));
  EXPECT_TRUE(hottest.take().empty());
  for (auto each = all.rbegin(); each != all.rend(); ++each)
    hottest.offer(*each->first, each->second);
  EXPECT_EQ(names(hottest.take()), (std::vector<std::string>{"hotter", "hot", "warm"}));
}

TEST(HottestKeys, KeepNothingTooLongToBeReadUnasked) {
  HottestKeys hottest(3);
  hottest.offer(*entry(std::string(kMostNameBytes + 1, 'x')), 1);
  hottest.offer(*entry("short", true), 1);
  EXPECT_EQ(names(hottest.take()), std::vector<std::string>{"short"});
}

}  // namespace
}  // namespace nearlane::tier
