#include "core/l2/redis/fan_out.h"

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::l2 {
namespace {

using cohere::Answer;
using cohere::Call;
using cohere::Op;
using protocol::Reply;

class Asked final : public Call {
 public:
  Asked(std::vector<std::string> args, std::vector<Answer>& answers, int& settled)
      : Call({.op = Op::raw,
              .key = Key(0, ""),
              .args = args,
              .wide = true,
              .undeclared = args[0].starts_with("FLUSH")}),
        answers_(answers),
        settled_(settled) {}
  void settle(const Answer&) noexcept override { ++settled_; }
  void complete(Answer answer) noexcept override { answers_.push_back(std::move(answer)); }

 private:
  std::vector<Answer>& answers_;
  int& settled_;
};

class FanOut : public testing::Test {
 protected:
  void ask(std::vector<std::string> args, const std::vector<std::uint16_t>& nodes = {1, 4, 7}) {
    const auto kind = fan_kind(args[0]);
    ASSERT_TRUE(kind);
    parts.clear();
    answers.clear();
    fan_out(
        std::make_unique<Asked>(std::move(args), answers, settled), *kind, nodes,
        [this](std::uint16_t node, std::unique_ptr<Call> part) { parts[node] = std::move(part); });
  }
  void say(std::uint16_t node, Reply reply) {
    Answer answer;
    answer.reply = std::move(reply);
    parts.at(node)->complete(std::move(answer));
  }
  static Reply scanned(const std::string& cursor, const std::string& key) {
    return Reply::array({Reply::bulk(cursor), Reply::array({Reply::bulk(key)})});
  }

  std::map<std::uint16_t, std::unique_ptr<Call>> parts;
  std::vector<Answer> answers;
  int settled = 0;
};

TEST_F(FanOut, AddsUpWhatEachHas) {
  ask({"DBSIZE"});
  ASSERT_EQ(parts.size(), 3U);
  say(4, Reply::number(2));
  say(7, Reply::number(0));
  EXPECT_TRUE(answers.empty()) << "one is still to come";
  say(1, Reply::number(3));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].reply.integer, 5);
  EXPECT_EQ(settled, 1);
}

TEST_F(FanOut, JoinsKeysInWhateverOrderTheyCome) {
  ask({"keys", "*"});
  EXPECT_EQ(parts.at(4)->command.args, (std::vector<std::string>{"keys", "*"}));
  say(7, Reply::array({Reply::bulk("a")}));
  say(1, Reply::array({}));
  say(4, Reply::array({Reply::bulk("b"), Reply::bulk("c")}));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].reply.elements.size(), 3U);
}

TEST_F(FanOut, AnErrorOfOneIsThatOfAll) {
  ask({"FLUSHALL"});
  say(1, Reply::ok());
  say(4, Reply::error("ERR no"));
  say(7, Reply::ok());
  EXPECT_EQ(answers.at(0).reply.text, "ERR no");

  ask({"FLUSHDB"});
  say(1, Reply::ok());
  say(7, Reply::ok());
  parts.at(4)->complete(Answer::failed(Errc::unavailable, "it is down"));
  EXPECT_THAT(answers.at(0).error->detail, testing::EndsWith("it is down"));
}

// Whoever is told that nothing was sent may serve on what it has.
TEST_F(FanOut, WhatOneMayHaveExecutedIsNotUnsent) {
  Answer done;
  done.reply = Reply::ok();
  const Answer unsent = Answer::failed(Errc::unavailable, "it is down");
  const Answer full = Answer::failed(Errc::busy, "it is full");
  const Answer late = Answer::failed(Errc::timeout, "it is slow");
  Answer refused;
  refused.reply = Reply::error("NOPERM no");
  struct {
    Answer one;
    Answer other;
    Errc code;
  } const cases[] = {{done, unsent, Errc::connection_lost}, {unsent, done, Errc::connection_lost},
                     {unsent, late, Errc::connection_lost}, {late, unsent, Errc::timeout},
                     {full, done, Errc::connection_lost},   {unsent, full, Errc::unavailable},
                     {unsent, refused, Errc::unavailable}};
  for (const auto& [one, other, code] : cases) {
    ask({"FLUSHALL"}, {1, 4});
    parts.at(1)->complete(one);
    parts.at(4)->complete(other);
    ASSERT_TRUE(answers.at(0).error);
    EXPECT_EQ(answers[0].error->code, code) << answers[0].error->detail;
  }
  ask({"DBSIZE"}, {1, 4});
  say(1, Reply::number(3));
  parts.at(4)->complete(unsent);
  EXPECT_EQ(answers.at(0).error->code, Errc::unavailable) << "which writes nothing";
}

TEST_F(FanOut, FindsAKeyWhereverThereIsOne) {
  ask({"RANDOMKEY"});
  say(1, Reply::null());
  say(4, Reply::bulk("k"));
  say(7, Reply::null());
  EXPECT_EQ(answers.at(0).reply.text, "k");
  ask({"RANDOMKEY"});
  for (const std::uint16_t node : std::array<std::uint16_t, 3>{1, 4, 7}) say(node, Reply::null());
  EXPECT_TRUE(answers.at(0).reply.is_null());
}

TEST_F(FanOut, ScansOneAfterTheOther) {
  ask({"SCAN", "0", "COUNT", "1"});
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts.at(1)->command.args, (std::vector<std::string>{"SCAN", "0", "COUNT", "1"}));
  say(1, scanned("6", "a"));
  std::string cursor = answers.at(0).reply.elements[0].text;
  EXPECT_EQ(read_cursor(cursor), (ScanCursor{6, 1}));

  ask({"SCAN", cursor});
  EXPECT_EQ(parts.at(1)->command.args[1], "6");
  say(1, scanned("0", "b"));
  cursor = answers.at(0).reply.elements[0].text;
  EXPECT_EQ(read_cursor(cursor), (ScanCursor{0, 4})) << "the next one, from its beginning";

  ask({"SCAN", cursor});
  say(4, scanned("0", "c"));
  cursor = answers.at(0).reply.elements[0].text;
  ask({"SCAN", cursor});
  say(7, scanned("0", "d"));
  EXPECT_EQ(answers.at(0).reply.elements[0].text, "0") << "the end";
}

TEST_F(FanOut, ScansOnWhereAPrimaryHasGone) {
  const std::string at_four = std::to_string(*write_cursor({9, 4}));
  ask({"SCAN", at_four}, {1, 7});
  EXPECT_EQ(parts.at(7)->command.args[1], "0") << "from the beginning of the next one";
  const std::string at_nine = std::to_string(*write_cursor({9, 9}));
  ask({"SCAN", at_nine}, {1, 7});
  EXPECT_TRUE(parts.empty());
  EXPECT_EQ(answers.at(0).reply, Reply::array({Reply::bulk("0"), Reply::array({})}));
}

TEST_F(FanOut, LeavesItToRedisToSayWhatIsNoCursor) {
  ask({"SCAN", "x"});
  EXPECT_EQ(parts.at(1)->command.args[1], "x");
  say(1, Reply::error("ERR invalid cursor"));
  EXPECT_EQ(answers.at(0).reply.text, "ERR invalid cursor");
}

TEST(FanKind, KnowsItsCommandsInAnyCase) {
  EXPECT_EQ(fan_kind("dbSize"), FanKind::sum);
  EXPECT_EQ(fan_kind("dbsize2"), std::nullopt);
  EXPECT_EQ(fan_kind("TOUCH"), std::nullopt);
}

TEST(ScanCursor, IsReadAsItIsWritten) {
  for (const ScanCursor cursor : {ScanCursor{}, ScanCursor{1, 1023}, ScanCursor{1ULL << 50U, 3}})
    EXPECT_EQ(read_cursor(std::to_string(*write_cursor(cursor))), cursor);
  EXPECT_EQ(write_cursor({UINT64_MAX / 2, 1}), std::nullopt);
  EXPECT_EQ(read_cursor("-1"), std::nullopt);
  EXPECT_EQ(read_cursor(""), std::nullopt);
}

}  // namespace
}  // namespace nearlane::l2
