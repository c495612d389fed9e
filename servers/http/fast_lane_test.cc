#include "servers/http/fast_lane.h"

#include <string>

#include <gtest/gtest.h>

#include "core/base/counted_new.h"
#include "servers/http/messages.h"
#include "servers/http/test_server.h"

namespace nearlane::http {
namespace {

class FastLaneTest : public testing::Test {
 protected:
  void put(std::string_view key, std::string_view value) {
    ASSERT_NE(server.converse(put_request(key, value)).find("HTTP/1.1 20"), std::string::npos);
  }
  static std::string get(std::string_view key, std::string_view more = "") {
    return "GET /cache/" + std::string(key) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) +
           "\r\n";
  }
  FastAnswers answer(std::string_view input) {
    return lane.answer(input, Clock::now(), reader, caller, out);
  }

  TestServer server{{}};
  ApiKeys keys{{}};
  FastReader reader;
  Caller caller{keys};
  FastLane lane{server.tier()};
  std::string out;
};

TEST_F(FastLaneTest, AnswersUntilOneThatItLeaves) {
  put("a", "1");
  const std::string two = get("a") + get("a");
  const auto answers = answer(two + get("a", "Range: bytes=0-1\r\n") + get("a"));
  EXPECT_EQ(answers.bytes, two.size());
  EXPECT_EQ(answers.gets, 2U);
  EXPECT_FALSE(answers.looked_up);
}

TEST_F(FastLaneTest, SaysWhatItHasLookedFor) {
  put("a", "1");
  const auto answers = answer(get("a") + get("nothing") + get("a"));
  EXPECT_EQ(answers.bytes, get("a").size());
  ASSERT_TRUE(answers.looked_up);
  EXPECT_FALSE(answers.looked_up->entry);
}

TEST_F(FastLaneTest, LeavesWhoeverRefusesTheValueAsItIs) {
  put("a", "1");
  const auto answers = answer(get("a", "Accept-Encoding: identity;q=0\r\n"));
  EXPECT_EQ(answers.bytes, 0U);
  ASSERT_TRUE(answers.looked_up && answers.looked_up->entry);
  EXPECT_EQ(answers.looked_up->entry->value(), "1");
  EXPECT_TRUE(out.empty());
}

TEST_F(FastLaneTest, AnswersInTheFormThatIsAccepted) {
  put("a", std::string(1000, 'v'));
  EXPECT_EQ(answer(get("a", "Accept-Encoding: gzip\r\n")).gets, 1U);
  EXPECT_NE(out.find("Content-Encoding: gzip\r\n"), std::string::npos);
  const std::string tag = out.substr(out.find("ETag: ") + 6, 23);
  EXPECT_TRUE(tag.ends_with("-gzip\"")) << tag;
  out.clear();
  EXPECT_EQ(answer(get("a", "Accept-Encoding: br\r\nIf-None-Match: " + tag + "\r\n")).gets, 1U);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 200")) << "it has a form that it no longer accepts";
  out.clear();
  EXPECT_EQ(answer(get("a", "Accept-Encoding: gzip\r\nIf-None-Match: " + tag + "\r\n")).gets, 1U);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 304")) << out;
  out.clear();
  EXPECT_EQ(answer(get("a", "Accept-Encoding: identity;q=0, br\r\n")).gets, 1U);
  EXPECT_NE(out.find("Content-Encoding: br\r\n"), std::string::npos);
}

TEST_F(FastLaneTest, CopiesNoLargeValue) {
  put("fits", std::string(kGatherBytes, 'v'));
  put("large", std::string(kGatherBytes + 1, 'v'));
  EXPECT_FALSE(answer(get("fits")).body);
  EXPECT_TRUE(out.ends_with("vvv"));
  const auto large = answer(get("large") + get("large"));
  EXPECT_EQ(large.gets, 1U);
  ASSERT_TRUE(large.body);
  EXPECT_EQ(large.body.bytes().size(), kGatherBytes + 1);
  EXPECT_TRUE(out.ends_with("Content-Length: 16385\r\n\r\n"));
}

TEST_F(FastLaneTest, StopsWhereThereIsEnoughToSend) {
  put("a", std::string(kGatherBytes, 'v'));
  std::string pipeline;
  for (int i = 0; i < 10; ++i) pipeline += get("a");
  EXPECT_EQ(answer(pipeline).gets, 4U);
  EXPECT_GE(out.size(), kFlushBytes);
  EXPECT_EQ(answer(pipeline).gets, 0U);
}

TEST_F(FastLaneTest, AllocatesNothing) {
  put("a", std::string(1024, 'v'));
  const std::string request =
      get("a", "Accept-Encoding: gzip, br\r\nIf-None-Match: \"x\", \"y\"\r\n") + get("%61");
  out.reserve(4 * kFlushBytes);
  ASSERT_EQ(answer(request).gets, 2U);
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(answer(request).gets, 2U);
  // A second may end meanwhile, and with it the ready heads: some of the calls would allocate for that, not all.
  EXPECT_LT(allocations.load() - before, 20U);
}

}  // namespace
}  // namespace nearlane::http
