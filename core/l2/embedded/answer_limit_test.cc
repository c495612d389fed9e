// No command answers with more than an answer may be, whatever it gathers it from.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/embedded/command.h"
#include "core/l2/embedded/keyspace_fixture.h"

namespace nearlane::l2::embedded {
namespace {

using protocol::Reply;

constexpr std::size_t kReplies = 8;  // fit, with their names and values

class AnswerLimitTest : public KeyspaceTest {
 protected:
  AnswerLimitTest() : KeyspaceTest(kPlenty, kMaxValue, kReplies * (kReplyOverhead + 8)) {}
  void fill(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = "name" + std::to_string(i);
      run({"SET", name, "v"});
      db = 1;
      run({"HSET", "h", name, "v"});
      db = 0;
    }
  }
  const std::string too_long = "ERR nearlane: the answer would be longer than 0 MiB";
};

INSTANTIATE_TEST_SUITE_P(Stores, AnswerLimitTest, testing::ValuesIn(test_store_names()),
                         store_name);

TEST_P(AnswerLimitTest, WalksAndHashesAskForNoMore) {
  const std::vector<Words> walks = {{"KEYS", "*"}, {"SCAN", "0", "COUNT", "1000000"}};
  const std::vector<Words> names = {{"HKEYS", "h"}, {"HVALS", "h"}, {"HRANDFIELD", "h", "100"}};
  const std::vector<Words> pairs = {
      {"HGETALL", "h"}, {"HSCAN", "h", "0"}, {"HRANDFIELD", "h", "100", "WITHVALUES"}};
  fill(2);
  for (const auto& words : walks) EXPECT_FALSE(run(words).is_error()) << words.front();
  db = 1;
  for (const auto& words : names) EXPECT_EQ(run(words).elements.size(), 2U) << words.front();
  for (const auto& words : pairs) EXPECT_FALSE(run(words).is_error()) << words.front();
  db = 0;
  fill(kReplies / 2 + 1);
  for (const auto& words : walks) EXPECT_FALSE(run(words).is_error()) << words.front();
  db = 1;
  for (const auto& words : names) EXPECT_EQ(run(words).elements.size(), 5U) << words.front();
  for (const auto& words : pairs) EXPECT_EQ(error(words), too_long) << words.front();
  db = 0;
  fill(2 * kReplies);
  for (const auto& words : walks) EXPECT_EQ(error(words), too_long) << words.front();
  EXPECT_FALSE(run({"KEYS", "name7"}).is_error()) << "it is the answer that counts";
  db = 1;
  for (const auto& words : names) EXPECT_EQ(error(words), too_long) << words.front();
  EXPECT_EQ(run({"HLEN", "h"}), Reply::number(2 * kReplies));
}

}  // namespace
}  // namespace nearlane::l2::embedded
