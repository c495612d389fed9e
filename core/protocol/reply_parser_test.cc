#include "core/protocol/reply_parser.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/protocol/writer.h"

namespace nearlane::protocol {
namespace {

using namespace std::string_literals;

// What a stream of bytes came to: its replies, and the error that ended it.
struct Parsed {
  std::vector<Reply> replies = {};
  std::optional<Errc> error = {};

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

Parsed parse_pieces(const std::vector<std::string_view>& pieces, ReplyLimits limits = {}) {
  Parsed parsed;
  ReplyParser parser(limits);
  for (const auto piece : pieces) {
    const std::string copy(piece);  // gone after this round, so that nothing can view it
    std::string_view input = copy;
    while (true) {
      auto next = parser.next(input);
      if (!next) {
        parsed.error = next.error().code;
        return parsed;
      }
      if (!next->has_value()) break;
      parsed.replies.push_back(std::move(**next));
    }
    EXPECT_TRUE(input.empty());
  }
  return parsed;
}

// The same answer whole, byte by byte, and split at each point.
Parsed parse(std::string_view bytes, ReplyLimits limits = {}) {
  Parsed whole = parse_pieces({bytes}, limits);
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  EXPECT_EQ(parse_pieces(pieces, limits), whole) << bytes;
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    EXPECT_EQ(parse_pieces({bytes.substr(0, cut), bytes.substr(cut)}, limits), whole)
        << bytes << " cut at " << cut;
  }
  return whole;
}

Reply reply(Type type, std::string text, std::int64_t integer = 0) {
  return {.type = type, .integer = integer, .text = std::move(text)};
}
Reply aggregate(Type type, std::vector<Reply> elements) {
  return {.type = type, .elements = std::move(elements)};
}

TEST(ReplyParser, ReadsEachType) {
  const std::vector<std::pair<std::string, Reply>> table = {
      {"+OK\r\n", Reply::ok()},
      {"+\r\n", Reply::simple("")},
      {"-ERR no\r\n", Reply::error("ERR no")},
      {"!8\r\nERR\r\nno\0\r\n"s, Reply::error("ERR\r\nno\0"s)},
      {":0\r\n", Reply::number(0)},
      {":+5\r\n", Reply::number(5)},
      {":-9223372036854775808\r\n", Reply::number(INT64_MIN)},
      {"$0\r\n\r\n", Reply::bulk("")},
      {"$6\r\na\r\nb\0c\r\n"s, Reply::bulk("a\r\nb\0c"s)},
      {"$-1\r\n", Reply::null()},
      {"*-1\r\n", Reply::null()},
      {"_\r\n", Reply::null()},
      {"#t\r\n", reply(Type::boolean, "", 1)},
      {"#f\r\n", reply(Type::boolean, "", 0)},
      {",1.5e3\r\n", reply(Type::number, "1.5e3")},
      {",-inf\r\n", reply(Type::number, "-inf")},
      {",nan\r\n", reply(Type::number, "nan")},
      {"(-3492890328409238509324850943850943825024385\r\n",
       reply(Type::big_number, "-3492890328409238509324850943850943825024385")},
      {"=7\r\ntxt:abc\r\n", reply(Type::verbatim, "txt:abc")},
      {"*0\r\n", Reply::array({})},
      {"*2\r\n+a\r\n*1\r\n:1\r\n",
       Reply::array({Reply::simple("a"), Reply::array({Reply::number(1)})})},
      {"%1\r\n+a\r\n:1\r\n", aggregate(Type::map, {Reply::simple("a"), Reply::number(1)})},
      {"%0\r\n", aggregate(Type::map, {})},
      {"~2\r\n:1\r\n:2\r\n", aggregate(Type::set, {Reply::number(1), Reply::number(2)})},
      {">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
       aggregate(Type::push, {Reply::bulk("invalidate"), Reply::array({Reply::bulk("k")})})},
      {">2\r\n$10\r\ninvalidate\r\n_\r\n",
       aggregate(Type::push, {Reply::bulk("invalidate"), Reply::null()})},
  };
  for (const auto& [bytes, expected] : table) {
    EXPECT_EQ(parse(bytes), (Parsed{.replies = {expected}})) << bytes;
  }
}

TEST(ReplyParser, ReadsPipelinedReplies) {
  EXPECT_EQ(parse("+OK\r\n$1\r\na\r\n*1\r\n_\r\n:7\r\n"),
            (Parsed{.replies = {Reply::ok(), Reply::bulk("a"), Reply::array({Reply::null()}),
                                Reply::number(7)}}));
}

TEST(ReplyParser, DropsAttributesWhereverTheyStand) {
  EXPECT_EQ(parse("|1\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n+OK\r\n|0\r\n:1\r\n"),
            (Parsed{.replies = {Reply::ok(), Reply::number(1)}}));
  EXPECT_EQ(parse("*2\r\n:1\r\n|1\r\n+ttl\r\n:9\r\n:2\r\n"),
            (Parsed{.replies = {Reply::array({Reply::number(1), Reply::number(2)})}}));
  EXPECT_EQ(parse("|1\r\n|1\r\n+a\r\n+b\r\n+c\r\n+d\r\n+OK\r\n"),
            (Parsed{.replies = {Reply::ok()}}));
}

TEST(ReplyParser, RefusesWhatIsNotRESP) {
  for (const std::string_view bytes : {"HTTP/1.1 200 OK\r\n",
                                       "\r\n",
                                       "+OK\n",
                                       "+O\rK\r\n",
                                       ":\r\n",
                                       ":1x\r\n",
                                       ":01\r\n",
                                       ":9223372036854775808\r\n",
                                       "$x\r\n",
                                       "$-2\r\n",
                                       "$?\r\n",
                                       "$1\r\nabc",
                                       "$1\r\na\rx",
                                       "*-2\r\n",
                                       "*?\r\n",
                                       "%-1\r\n",
                                       "~-1\r\n",
                                       "_x\r\n",
                                       "#x\r\n",
                                       "#\r\n",
                                       ",\r\n",
                                       ",abc\r\n",
                                       ",1.5x\r\n",
                                       "(\r\n",
                                       "(-\r\n",
                                       "(1a\r\n",
                                       "=3\r\ntxt\r\n",
                                       "=5\r\ntxtab\r\n",
                                       "!-1\r\n",
                                       "*2\r\n:1\r\nx"}) {
    EXPECT_EQ(parse(bytes).error, Errc::protocol) << bytes;
  }
}

TEST(ReplyParser, NamesTheOffendingByte) {
  ReplyParser parser;
  std::string_view input = "+OK\r\n$1\r\na\r\nx";
  ASSERT_EQ(parser.next(input)->value(), Reply::ok());
  ASSERT_EQ(parser.next(input)->value(), Reply::bulk("a"));
  EXPECT_EQ(parser.next(input).error().detail, "unknown reply type at byte 12");
}

TEST(ReplyParser, HoldsEachLimit) {
  const ReplyLimits limits{
      .max_bulk_bytes = 4, .max_elements = 4, .max_depth = 2, .max_line_bytes = 8};
  EXPECT_EQ(parse("$4\r\nabcd\r\n*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits).replies.size(), 2U);
  EXPECT_EQ(parse("%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits).replies.size(), 1U);
  EXPECT_EQ(parse("*1\r\n*1\r\n*0\r\n+abcdef\r\n", limits).replies.size(), 2U);
  for (const std::string_view bytes :
       {"$5\r\n", "!5\r\n", "=5\r\n", ">5\r\n", ">2\r\n*5\r\n", "*1099511627777\r\n",
        "*1\r\n*1\r\n*1\r\n", "+abcdefg\r\n"}) {
    EXPECT_EQ(parse(bytes, limits).error, Errc::too_large) << bytes;
  }
  // Without an end, too: nobody can make us keep a line that never ends.
  EXPECT_EQ(parse_pieces({"+abcdefgh"}, limits).error, Errc::too_large);
}

// Its connection goes on, because others wait for their replies on it.
TEST(ReplyParser, ReadsAnAggregateThatIsTooLongToItsEnd) {
  const ReplyLimits limits{
      .max_bulk_bytes = 4, .max_elements = 4, .max_depth = 2, .max_line_bytes = 8};
  const auto refused = [](const std::string& size) {
    return Reply::error("ERR nearlane: L2's reply has " + size +
                        " elements, more than nearlane reads");
  };
  const std::string five = ":1\r\n$1\r\na\r\n*1\r\n:2\r\n_\r\n:5\r\n";
  EXPECT_EQ(parse("*5\r\n" + five + "+OK\r\n", limits), (Parsed{{refused("5"), Reply::ok()}, {}}));
  EXPECT_EQ(parse("~5\r\n" + five, limits), (Parsed{{refused("5")}, {}}));
  EXPECT_EQ(parse("%3\r\n" + five + ":6\r\n", limits), (Parsed{{refused("3")}, {}}));
  EXPECT_EQ(parse("|3\r\n" + five + ":6\r\n+OK\r\n", limits), (Parsed{{Reply::ok()}, {}}));
  EXPECT_EQ(parse("*2\r\n:0\r\n*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", limits),
            (Parsed{{aggregate(Type::array, {Reply::number(0), refused("5")})}, {}}));
}

TEST(ReplyParser, IsDeadAfterAnErrorUntilReset) {
  ReplyParser parser;
  std::string_view input = "x";
  ASSERT_TRUE(parser.next(input).has_error());
  input = "+OK\r\n";
  EXPECT_TRUE(parser.next(input).has_error());
  parser.reset();
  EXPECT_EQ(parser.next(input)->value(), Reply::ok());

  input = "*2\r\n$3\r\nab";
  ASSERT_FALSE(parser.next(input)->has_value());
  parser.reset();
  input = "+OK\r\n";
  EXPECT_EQ(parser.next(input)->value(), Reply::ok());
}

TEST(ReplyParser, AllocatesForBytesThatCameNotForThosePromised) {
  // Each header promises the most that a limit allows; a thousand of them must fit in memory
  // easily.
  std::vector<ReplyParser> parsers(1000);
  for (auto& parser : parsers) {
    std::string_view input = "*1048576\r\n*1048576\r\n$536870912\r\n";
    ASSERT_FALSE(parser.next(input)->has_value());
  }
}

// Trees of every type, to the depth and of the sizes that RESP3 carries unchanged.
rc::Gen<Reply> any_reply(int depth) {
  const auto text = rc::gen::arbitrary<std::string>();
  const auto line = rc::gen::map(text, [](std::string bytes) {
    for (char& c : bytes) {
      if (c == '\r' || c == '\n') c = ' ';
    }
    return bytes;
  });
  const auto typed = [](Type type) {
    return [type](std::string bytes) { return reply(type, std::move(bytes)); };
  };
  std::vector<rc::Gen<Reply>> kinds = {
      rc::gen::just(Reply::null()),
      rc::gen::map(line, typed(Type::simple_string)),
      rc::gen::map(line, typed(Type::error)),
      rc::gen::map(text, typed(Type::bulk_string)),
      rc::gen::map(rc::gen::arbitrary<std::int64_t>(),
                   [](std::int64_t n) { return Reply::number(n); }),
      rc::gen::map(rc::gen::arbitrary<bool>(),
                   [](bool b) { return reply(Type::boolean, "", b ? 1 : 0); }),
      rc::gen::map(rc::gen::arbitrary<double>(),
                   [](double d) { return reply(Type::number, std::to_string(d)); }),
      rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                   [](std::uint64_t n) {
                     return reply(Type::big_number, std::to_string(n) + "00000000000");
                   }),
      rc::gen::map(text,
                   [](const std::string& bytes) { return reply(Type::verbatim, "txt:" + bytes); }),
  };
  if (depth > 0) {
    for (const Type type : {Type::array, Type::map, Type::set, Type::push}) {
      kinds.push_back(rc::gen::map(
          rc::gen::resize(4, rc::gen::container<std::vector<Reply>>(any_reply(depth - 1))),
          [type](std::vector<Reply> elements) {
            if (type == Type::map && elements.size() % 2 == 1) elements.pop_back();
            return aggregate(type, std::move(elements));
          }));
    }
  }
  return rc::gen::join(rc::gen::elementOf(kinds));
}

TEST(ReplyParser, ReadsAnyReplyThatTheWriterWrote) {
  EXPECT_TRUE(rc::check([] {
    const auto replies = *rc::gen::container<std::vector<Reply>>(any_reply(3));
    std::string bytes;
    for (const Reply& one : replies) append_reply(bytes, one, Version::resp3);
    std::vector<std::string_view> pieces;
    for (std::string_view rest = bytes; !rest.empty();) {
      const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
      pieces.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    const Parsed parsed = parse_pieces(pieces);
    RC_ASSERT(!parsed.error.has_value());
    RC_ASSERT(parsed.replies == replies);
  }));
}

}  // namespace
}  // namespace nearlane::protocol
