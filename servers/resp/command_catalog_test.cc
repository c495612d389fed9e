#include "servers/resp/command_catalog.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/protocol/reply_parser.h"

namespace nearlane::resp {
namespace {

using Keys = std::vector<std::string>;

protocol::Reply parse(std::string_view bytes) {
  protocol::ReplyParser parser;
  return parser.next(bytes).value().value();
}

/// As Redis 7.0 says it, less what follows the sixth element.
protocol::Reply commands() {
  return parse(
      "*7\r\n"
      "*6\r\n$4\r\nhset\r\n:-4\r\n*3\r\n+write\r\n+denyoom\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
      "*6\r\n$4\r\nhget\r\n:3\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
      "*6\r\n$6\r\nrename\r\n:3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n"
      "*6\r\n$5\r\nblpop\r\n:-3\r\n*2\r\n+write\r\n+blocking\r\n:1\r\n:-2\r\n:1\r\n"
      "*6\r\n$4\r\neval\r\n:-3\r\n*2\r\n+noscript\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n"
      "*6\r\n$6\r\nxgroup\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n"
      "*6\r\n$4\r\ncopy\r\n:-3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n");
}

TEST(CommandCatalog, SaysWhatACommandWrites) {
  CommandCatalog catalog;
  ASSERT_TRUE(catalog.take(commands()));
  const auto of = [&](const std::vector<std::string_view>& args) {
    return catalog.effect_of(args[0], args);
  };
  EXPECT_EQ(of({"hset", "h", "f", "v"}).keys, Keys{"h"});
  EXPECT_FALSE(of({"hset", "h", "f", "v"}).undeclared);
  EXPECT_EQ(of({"rename", "a", "b"}).keys, (Keys{"a", "b"}));
  const Effect waiting = of({"blpop", "q", "r", "0"});
  EXPECT_EQ(waiting.keys, (Keys{"q", "r"}));
  EXPECT_TRUE(waiting.blocks);
  EXPECT_TRUE(of({"hget", "h", "f"}).keys.empty());
  EXPECT_FALSE(of({"hget", "h", "f"}).undeclared) << "it only reads";
  EXPECT_TRUE(of({"eval", "return 1", "0"}).undeclared);
  EXPECT_TRUE(of({"xgroup", "create", "s", "g", "$"}).undeclared);
  EXPECT_TRUE(of({"copy", "a", "b", "DB", "3"}).undeclared) << "the key may be another database's";
  EXPECT_TRUE(of({"module.command", "k"}).undeclared);
}

TEST(CommandCatalog, StaysWithinTheArgumentsThatThereAre) {
  CommandCatalog catalog;
  ASSERT_TRUE(catalog.take(commands()));
  const std::vector<std::string_view> alone{"rename"};
  EXPECT_TRUE(catalog.effect_of("rename", alone).keys.empty());
  const std::vector<std::string_view> one{"rename", "a"};
  EXPECT_EQ(catalog.effect_of("rename", one).keys, Keys{"a"});
  const std::vector<std::string_view> short_of{"blpop", "q"};
  EXPECT_TRUE(catalog.effect_of("blpop", short_of).keys.empty());
}

TEST(CommandCatalog, FearsTheWorstOfWhatItDoesNotKnow) {
  CommandCatalog catalog;
  const std::vector<std::string_view> args{"hget", "h", "f"};
  EXPECT_TRUE(catalog.effect_of("hget", args).undeclared);
  for (const char* nonsense : {"+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n$1\r\na\r\n:1\r\n",
                               "*1\r\n*6\r\n$1\r\na\r\n:1\r\n*0\r\n$1\r\nx\r\n:1\r\n:1\r\n"}) {
    EXPECT_FALSE(catalog.take(parse(nonsense))) << nonsense;
    EXPECT_FALSE(catalog.loaded());
  }
}

}  // namespace
}  // namespace nearlane::resp
