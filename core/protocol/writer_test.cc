#include "core/protocol/writer.h"

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

namespace nearlane::protocol {
namespace {

using namespace std::string_literals;

std::string written(const Reply& reply, Version version) {
  std::string out;
  append_reply(out, reply, version);
  return out;
}

// hiredis 0.14 knows RESP2 alone: the independent witness of what RESP2 clients see.
Reply read_by_hiredis(const std::string& bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(),
                                                                        &redisReaderFree);
  EXPECT_EQ(redisReaderFeed(reader.get(), bytes.data(), bytes.size()), REDIS_OK);
  void* object = nullptr;
  EXPECT_EQ(redisReaderGetReply(reader.get(), &object), REDIS_OK) << reader->errstr << bytes;
  if (object == nullptr) return Reply::error("hiredis wants more of " + bytes);
  const auto convert = [](const auto& self, const redisReply& from) -> Reply {
    const std::string text = from.str == nullptr ? "" : std::string(from.str, from.len);
    switch (from.type) {
      case REDIS_REPLY_STATUS:
        return Reply::simple(text);
      case REDIS_REPLY_ERROR:
        return Reply::error(text);
      case REDIS_REPLY_INTEGER:
        return Reply::number(from.integer);
      case REDIS_REPLY_STRING:
        return Reply::bulk(text);
      case REDIS_REPLY_ARRAY: {
        Reply array = Reply::array({});
        for (std::size_t i = 0; i < from.elements; ++i) {
          array.elements.push_back(self(self, *from.element[i]));
        }
        return array;
      }
      default:
        return Reply::null();
    }
  };
  Reply reply = convert(convert, *static_cast<redisReply*>(object));
  freeReplyObject(object);
  return reply;
}

Reply typed(Type type, std::string text) { return {.type = type, .text = std::move(text)}; }
Reply boolean(bool value) { return {.type = Type::boolean, .integer = value ? 1 : 0}; }

struct Row {
  Reply reply;
  std::string resp3;
  std::string resp2;
  Reply seen_by_resp2;
};

const Row kTable[] = {
    {Reply::null(), "_\r\n", "$-1\r\n", Reply::null()},
    {Reply::ok(), "+OK\r\n", "+OK\r\n", Reply::ok()},
    {Reply::error("ERR no"), "-ERR no\r\n", "-ERR no\r\n", Reply::error("ERR no")},
    {Reply::error("ERR a\r\n+b"), "-ERR a  +b\r\n", "-ERR a  +b\r\n", Reply::error("ERR a  +b")},
    {Reply::simple("a\nb"), "+a b\r\n", "+a b\r\n", Reply::simple("a b")},
    {Reply::number(INT64_MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n",
     Reply::number(INT64_MIN)},
    {Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n", Reply::bulk("")},
    {Reply::bulk("a\r\n\0b"s), "$5\r\na\r\n\0b\r\n"s, "$5\r\na\r\n\0b\r\n"s,
     Reply::bulk("a\r\n\0b"s)},
    {boolean(true), "#t\r\n", ":1\r\n", Reply::number(1)},
    {boolean(false), "#f\r\n", ":0\r\n", Reply::number(0)},
    {typed(Type::number, "1.5"), ",1.5\r\n", "$3\r\n1.5\r\n", Reply::bulk("1.5")},
    {typed(Type::big_number, "123"), "(123\r\n", "$3\r\n123\r\n", Reply::bulk("123")},
    {typed(Type::verbatim, "txt:abc"), "=7\r\ntxt:abc\r\n", "$3\r\nabc\r\n", Reply::bulk("abc")},
    {Reply::array({}), "*0\r\n", "*0\r\n", Reply::array({})},
    {Reply::array({Reply::bulk("a"), Reply::array({Reply::null()})}),
     "*2\r\n$1\r\na\r\n*1\r\n_\r\n", "*2\r\n$1\r\na\r\n*1\r\n$-1\r\n",
     Reply::array({Reply::bulk("a"), Reply::array({Reply::null()})})},
    {{.type = Type::map, .elements = {Reply::bulk("a"), boolean(true)}},
     "%1\r\n$1\r\na\r\n#t\r\n",
     "*2\r\n$1\r\na\r\n:1\r\n",
     Reply::array({Reply::bulk("a"), Reply::number(1)})},
    {{.type = Type::set, .elements = {Reply::number(1)}},
     "~1\r\n:1\r\n",
     "*1\r\n:1\r\n",
     Reply::array({Reply::number(1)})},
    {{.type = Type::push, .elements = {Reply::bulk("message")}},
     ">1\r\n$7\r\nmessage\r\n",
     "*1\r\n$7\r\nmessage\r\n",
     Reply::array({Reply::bulk("message")})},
};

TEST(Writer, WritesEachTypeInBothVersions) {
  for (const Row& row : kTable) {
    EXPECT_EQ(written(row.reply, Version::resp3), row.resp3);
    EXPECT_EQ(written(row.reply, Version::resp2), row.resp2);
  }
}

TEST(Writer, IsReadByHiredisInResp2) {
  for (const Row& row : kTable) {
    EXPECT_EQ(read_by_hiredis(written(row.reply, Version::resp2)), row.seen_by_resp2) << row.resp2;
  }
}

TEST(Writer, WritesNullsAndHeadersAsTheVersionHasThem) {
  std::string out;
  append_null(out, Version::resp2);
  append_null(out, Version::resp3);
  append_null_array(out, Version::resp2);
  append_null_array(out, Version::resp3);
  append_array_header(out, 3);
  append_map_header(out, 2, Version::resp2);
  append_map_header(out, 2, Version::resp3);
  EXPECT_EQ(out, "$-1\r\n_\r\n*-1\r\n_\r\n*3\r\n*4\r\n%2\r\n");
}

TEST(Writer, WritesCommandsFromAnyKindOfArguments) {
  const std::string expected = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  std::string out;
  append_command(out, {"GET", "k"});
  EXPECT_EQ(out, expected);
  const std::string_view views[] = {"GET", "k"};
  append_command(out, std::span<const std::string_view>(views));
  const std::string strings[] = {"GET", "k"};
  append_command(out, std::span<const std::string>(strings));
  EXPECT_EQ(out, expected + expected + expected);
}

}  // namespace
}  // namespace nearlane::protocol
