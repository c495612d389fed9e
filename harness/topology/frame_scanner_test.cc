#include "harness/topology/frame_scanner.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearlane::harness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// The frames of a stream that comes in pieces of `size`; a push's begin with "push ".
std::vector<std::string> frames(Way way, std::string_view bytes, std::size_t size) {
  FrameScanner scanner(way);
  std::vector<std::string> found;
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, size);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto step = scanner.next(piece);
      EXPECT_GT(step.size, 0U);
      EXPECT_LE(step.size, piece.size());
      if (step.starts) found.emplace_back(step.is_push ? "push " : "");
      if (!found.empty()) found.back() += piece.substr(0, step.size);
      piece.remove_prefix(step.size);
    }
  }
  return found;
}

struct Row {
  Way way;
  std::vector<std::string> frames;  // as they are on the wire
};

const std::vector<Row>& rows() {
  constexpr auto kReplies = Way::to_client;
  static const std::vector<Row> all = {
      {kReplies, {"+OK\r\n", "-ERR no\r\n", ":12\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(123\r\n"}},
      {kReplies,
       {"$5\r\n\r\n+x\n\r\n", "$0\r\n\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "=5\r\ntxt:a\r\n"}},
      {kReplies, {"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n$-1\r\n", "+next\r\n"}},
      {kReplies, {"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n", "!3\r\nERR\r\n"}},
      {kReplies, {"+before\r\n", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", "+after\r\n"}},
      {kReplies, {"|1\r\n+ttl\r\n:1\r\n*2\r\n:1\r\n|1\r\n+k\r\n+v\r\n:2\r\n", ":3\r\n"}},
      {Way::to_server,
       {"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "PING\r\n", "GET k\n", "*1\r\n$4\r\nPING\r\n"}},
  };
  return all;
}

TEST(FrameScanner, FindsEachFrameHoweverItComes) {
  for (const auto& row : rows()) {
    std::string stream;
    auto expected = row.frames;
    for (auto& frame : expected) {
      stream += frame;
      if (frame.front() == '>') frame.insert(0, "push ");
    }
    for (std::size_t size = 1; size <= stream.size(); ++size) {
      EXPECT_EQ(frames(row.way, stream, size), expected) << stream << " in pieces of " << size;
    }
  }
}

TEST(FrameScanner, SaysWhereOneEnds) {
  FrameScanner scanner(Way::to_client);
  EXPECT_FALSE(scanner.next("$3\r\nab").ends);
  const auto step = scanner.next("c\r\n+OK\r\n");
  EXPECT_TRUE(step.ends);
  EXPECT_FALSE(step.starts);
  EXPECT_EQ(step.size, 3U);
  EXPECT_TRUE(scanner.next("+OK\r\n").starts);
}

TEST(FrameScanner, TakesNoNoticeOfEmptyLinesBetweenCommands) {
  EXPECT_THAT(frames(Way::to_server, "\r\n\r\nPING\r\n", 1), ElementsAre("PING\r\n"));
}

TEST(FrameScanner, ToTheServerNothingIsAPush) {
  EXPECT_THAT(frames(Way::to_server, ">1\r\n+x\r\n", 100), ElementsAre(">1\r\n", "+x\r\n"));
}

TEST(FrameScanner, WhatIsNoRespHasNoFrames) {
  const std::string deep = [] {
    std::string nested;
    for (std::size_t i = 0; i <= FrameScanner::kMaxDepth; ++i) nested += "*1\r\n";
    return nested;
  }();
  for (const std::string& wrong :
       {std::string("HTTP/1.1 200 OK\r\n"), std::string("$x\r\n"), std::string("*1x\r\n"),
        std::string("$-2\r\n"), std::string("$9999999999\r\n"), std::string("\n"),
        std::string("*99999999999\r\n"), "$" + std::string(40, '1') + "\r\n", deep}) {
    FrameScanner scanner(Way::to_client);
    (void)scanner.next("+OK\r\n");
    const auto step = scanner.next(wrong + "more");
    EXPECT_EQ(step.size, wrong.size() + 4) << wrong;
    EXPECT_FALSE(step.ends);
    EXPECT_FALSE(step.is_push);
    EXPECT_FALSE(scanner.next("+OK\r\n").starts) << "and it does not begin again";
  }
}

TEST(FrameScanner, KeepsNothingOfALongLine) {
  FrameScanner scanner(Way::to_client);
  const std::string part(std::size_t{1} << 20U, 'x');
  EXPECT_EQ(scanner.next("+" + part).size, part.size() + 1);
  EXPECT_FALSE(scanner.next(part).ends);
  const auto step = scanner.next("x\r\n:1\r\n");
  EXPECT_TRUE(step.ends);
  EXPECT_EQ(step.size, 3U);
}

}  // namespace
}  // namespace nearlane::harness
