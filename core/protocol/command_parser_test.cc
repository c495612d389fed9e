#include "core/protocol/command_parser.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <rapidcheck.h>

#include "core/protocol/writer.h"

namespace nearlane::protocol {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using Status = CommandParser::Status;
using Args = std::vector<std::string>;

// What a stream of bytes came to: its commands, and the error that ended it.
struct Parsed {
  std::vector<Args> commands = {};
  std::string error = {};
  std::size_t left = 0;  // bytes of a command that is not complete

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

// Feeds `pieces` one after the other, the way a connection does: the buffer grows, and what was
// consumed is dropped.
Parsed parse_pieces(const std::vector<std::string_view>& pieces, CommandLimits limits = {}) {
  Parsed parsed;
  CommandParser parser(limits);
  std::string buffer;
  for (const auto piece : pieces) {
    buffer += piece;
    while (!buffer.empty()) {
      // A fresh copy, so that a view kept into the last one would be seen by the sanitizers.
      const std::string moved = buffer;
      const auto status = parser.parse(moved);
      if (!status) {
        parsed.error = status.error().detail;
        return parsed;
      }
      if (*status == Status::need_more) {
        EXPECT_GE(parser.missing(), 1U);
        break;
      }
      parsed.commands.emplace_back(parser.args().begin(), parser.args().end());
      buffer.erase(0, parser.consumed());
    }
  }
  parsed.left = buffer.size();
  return parsed;
}

Parsed parse_whole(std::string_view bytes, CommandLimits limits = {}) {
  return parse_pieces({bytes}, limits);
}

Parsed parse_bytewise(std::string_view bytes, CommandLimits limits = {}) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  return parse_pieces(pieces, limits);
}

// The same answer whole, byte by byte, and split at each point.
Parsed parse(std::string_view bytes, CommandLimits limits = {}) {
  Parsed whole = parse_whole(bytes, limits);
  EXPECT_EQ(parse_bytewise(bytes, limits), whole) << bytes;
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    EXPECT_EQ(parse_pieces({bytes.substr(0, cut), bytes.substr(cut)}, limits), whole)
        << bytes << " cut at " << cut;
  }
  return whole;
}

TEST(CommandParser, ReadsArraysOfBulkStrings) {
  const std::vector<std::pair<std::string, std::vector<Args>>> table = {
      {"*1\r\n$4\r\nPING\r\n", {{"PING"}}},
      {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
       {{"SET", "k", "value"}, {"GET", "k"}}},
      {"*2\r\n$0\r\n\r\n$6\r\na\r\nb\0c\r\n"s, {{"", "a\r\nb\0c"s}}},
      {"*0\r\n*1\r\n$1\r\na\r\n", {{}, {"a"}}},
      {"*-1\r\n*-7\r\n", {{}, {}}},
      // Redis skips two bytes behind a header and a bulk without looking at them.
      {"*1\rx$1\ryaXY*1\r\n$1\r\nb\r\n", {{"a"}, {"b"}}},
  };
  for (const auto& [bytes, commands] : table) {
    EXPECT_EQ(parse(bytes), (Parsed{.commands = commands})) << bytes;
  }
}

TEST(CommandParser, ReadsInlineCommandsWithRedisQuoting) {
  const std::vector<std::pair<std::string, std::vector<Args>>> table = {
      {"PING\r\n", {{"PING"}}},
      {"PING\n", {{"PING"}}},
      {"\r\n\nPING\r\n", {{}, {}, {"PING"}}},
      {"  set \t k  v \r\n", {{"set", "k", "v"}}},
      {"set k \"a b\"\r\n", {{"set", "k", "a b"}}},
      {R"(set k "\x41\n\r\t\b\a\\\"\q\x4g")"
       "\r\n",
       {{"set", "k", "A\n\r\t\b\a\\\"qx4g"}}},
      {"set k 'a \"b\" \\n \\' c'\r\n", {{"set", "k", "a \"b\" \\n ' c"}}},
      {"foo\"bar\" x\r\n", {{"foobar", "x"}}},
      {"a\vb \vc\r\n", {{"a\vb", "c"}}},
      {"\"\" ''\r\n", {{"", ""}}},
      {"a\rb\r\n", {{"a", "b"}}},
      {"PING\r\n*1\r\n$4\r\nPING\r\nECHO x\r\n", {{"PING"}, {"PING"}, {"ECHO", "x"}}},
  };
  for (const auto& [bytes, commands] : table) {
    EXPECT_EQ(parse(bytes), (Parsed{.commands = commands})) << bytes;
  }
}

TEST(CommandParser, SpeaksRedisErrorTexts) {
  const std::string long_line(70 * 1024, '1');
  const std::vector<std::pair<std::string, std::string>> table = {
      {"*x\r\n", "Protocol error: invalid multibulk length"},
      {"*\r\n", "Protocol error: invalid multibulk length"},
      {"*01\r\n", "Protocol error: invalid multibulk length"},
      {"*+1\r\n", "Protocol error: invalid multibulk length"},
      {"*1048577\r\n", "Protocol error: invalid multibulk length"},
      {"*99999999999999999999\r\n", "Protocol error: invalid multibulk length"},
      {"*1\r\n:1\r\n", "Protocol error: expected '$', got ':'"},
      {"*2\r\n$1\r\na\r\nb\r\n", "Protocol error: expected '$', got 'b'"},
      {"*1\r\n$\r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$1 \r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$67108865\r\n", "Protocol error: invalid bulk length"},
      {"set k \"v\r\n", "Protocol error: unbalanced quotes in request"},
      {"set k 'v\r\n", "Protocol error: unbalanced quotes in request"},
      {"set k \"v\"x\r\n", "Protocol error: unbalanced quotes in request"},
      {"set k 'v'x\r\n", "Protocol error: unbalanced quotes in request"},
      {"set k \"v\\\r\n", "Protocol error: unbalanced quotes in request"},
  };
  for (const auto& [bytes, error] : table) EXPECT_EQ(parse(bytes).error, error) << bytes;

  EXPECT_EQ(parse_whole(long_line).error, "Protocol error: too big inline request");
  EXPECT_EQ(parse_whole("*" + long_line).error, "Protocol error: too big mbulk count string");
  EXPECT_EQ(parse_whole("*1\r\n$" + long_line).error, "Protocol error: too big bulk count string");
}

TEST(CommandParser, TellsWhatIsTooLargeFromWhatIsBroken) {
  const auto code = [](std::string_view bytes) {
    return CommandParser().parse(bytes).error().code;
  };
  EXPECT_EQ(code("*1\r\n$67108865\r\n"), Errc::too_large);
  EXPECT_EQ(code("*1048577\r\n"), Errc::too_large);
  EXPECT_EQ(code("*1\r\n$x\r\n"), Errc::protocol);
  EXPECT_EQ(code("a \"\r\n"), Errc::protocol);
}

TEST(CommandParser, HoldsEachLimitToTheByte) {
  const CommandLimits limits{
      .max_arguments = 2, .max_bulk_bytes = 4, .max_inline_bytes = 6, .max_command_bytes = 7};
  EXPECT_THAT(parse("*2\r\n$4\r\nabcd\r\n$3\r\nefg\r\n", limits).commands,
              ElementsAre(Args{"abcd", "efg"}));
  EXPECT_EQ(parse("*3\r\n", limits).error, "Protocol error: invalid multibulk length");
  EXPECT_EQ(parse("*1\r\n$5\r\n", limits).error, "Protocol error: invalid bulk length");
  EXPECT_EQ(parse("*2\r\n$4\r\nabcd\r\n$4\r\n", limits).error, "Protocol error: too big command");
  EXPECT_THAT(parse("abcdef\n", limits).commands, ElementsAre(Args{"abcdef"}));
  EXPECT_EQ(parse("abcdefg\n", limits).error, "Protocol error: too big inline request");
  // The limit is one command's, not the connection's.
  EXPECT_EQ(parse("*1\r\n$4\r\nabcd\r\n*1\r\n$4\r\nabcd\r\n", limits).commands.size(), 2U);
}

// Also where the command is there as a whole, and so could have been taken.
TEST(CommandParser, HoldsEachLimitOfAWholeCommand) {
  const auto command = [](std::size_t arguments, std::size_t bytes) {
    std::string text;
    append_array_header(text, arguments);
    for (std::size_t i = 0; i < arguments; ++i) append_bulk(text, std::string(bytes, 'x'));
    return text;
  };
  const CommandLimits limits{.max_arguments = 20, .max_bulk_bytes = 400, .max_command_bytes = 4000};
  EXPECT_EQ(parse(command(20, 100), limits).commands.size(), 1U);
  EXPECT_EQ(parse(command(10, 400), limits).commands.size(), 1U);
  EXPECT_EQ(parse(command(21, 1), limits).error, "Protocol error: invalid multibulk length");
  EXPECT_EQ(parse(command(1, 401), limits).error, "Protocol error: invalid bulk length");
  EXPECT_EQ(parse(command(11, 364), limits).error, "Protocol error: too big command");
  const CommandLimits stranger{.authenticated = false};
  EXPECT_EQ(parse_whole(command(10, 100), stranger).commands.size(), 1U);
  EXPECT_EQ(parse_whole(command(11, 1), stranger).error,
            "Protocol error: unauthenticated multibulk length");
}

TEST(CommandParser, TakesLittleFromAClientThatIsNotAuthenticated) {
  const CommandLimits stranger{.authenticated = false};
  EXPECT_EQ(parse_whole("*11\r\n", stranger).error,
            "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(parse_whole("*1\r\n$16385\r\n", stranger).error,
            "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(parse_whole("*10\r\n$16384\r\n", stranger).error, "");

  // Once authenticated, from the next command on; the arguments of the last one stay.
  CommandParser parser(stranger);
  const std::string auth = "AUTH \"a long enough password to need memory of its own\"\r\n";
  ASSERT_EQ(*parser.parse(auth), Status::complete);
  parser.set_limits({});
  EXPECT_EQ(parser.args()[1], "a long enough password to need memory of its own");
  EXPECT_EQ(*parser.parse("*11\r\n"), Status::need_more);
}

TEST(CommandParser, SaysHowMuchOfABulkIsMissing) {
  CommandParser parser;
  const std::string start = "*2\r\n$3\r\nSET\r\n$1000\r\nab";
  ASSERT_EQ(*parser.parse(start), Status::need_more);
  EXPECT_EQ(parser.missing(), 1000U);  // 998 of the bulk, and CR LF
}

TEST(CommandParser, NeverReadsAnArgumentAgain) {
  // A million bytes one at a time: quadratic rescanning would take minutes, not milliseconds.
  std::string bytes = "*300000\r\n";
  while (bytes.size() < 2'000'000) bytes += "$1\r\na\r\n";
  CommandParser parser;
  for (std::size_t size = 1; size <= 1'000'000; ++size) {
    ASSERT_EQ(*parser.parse(std::string_view(bytes).substr(0, size)), Status::need_more);
  }
}

TEST(CommandParser, ReadsWhatHiredisWrites) {
  EXPECT_TRUE(rc::check([](const std::vector<std::string>& args) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& arg : args) {
      texts.push_back(arg.data());
      sizes.push_back(arg.size());
    }
    char* bytes = nullptr;
    const int size =
        redisFormatCommandArgv(&bytes, static_cast<int>(args.size()), texts.data(), sizes.data());
    RC_ASSERT(size > 0);
    const std::string formatted(bytes, static_cast<std::size_t>(size));
    std::free(bytes);
    RC_ASSERT(parse_whole(formatted) == (Parsed{.commands = {args}}));

    std::string written;
    append_command(written, std::span<const std::string>(args));
    RC_ASSERT(written == formatted);
  }));
}

TEST(CommandParser, ReadsAnyPipelineInAnyPieces) {
  EXPECT_TRUE(rc::check([](const std::vector<std::vector<std::string>>& commands) {
    std::string bytes;
    for (const auto& args : commands) append_command(bytes, std::span<const std::string>(args));
    std::vector<std::string_view> pieces;
    for (std::string_view rest = bytes; !rest.empty();) {
      const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
      pieces.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    RC_ASSERT(parse_pieces(pieces) == (Parsed{.commands = commands}));
  }));
}

TEST(CommandParser, GivesBackAnyInlineWordThatIsQuoted) {
  EXPECT_TRUE(rc::check([](const std::vector<std::string>& args) {
    const std::string hex = "0123456789abcdef";
    std::string line;
    for (const auto& arg : args) {
      line += " \"";
      for (const char c : arg) {
        const auto byte = static_cast<unsigned char>(c);
        line += {'\\', 'x', hex[byte / 16], hex[byte % 16]};
      }
      line += '"';
    }
    RC_ASSERT(parse_whole(line + "\r\n") == (Parsed{.commands = {args}}));
  }));
}

}  // namespace
}  // namespace nearlane::protocol
