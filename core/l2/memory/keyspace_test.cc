#include "core/l2/memory/keyspace.h"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace nearlane::l2::memory {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using protocol::Reply;
using protocol::Type;

using testing::UnorderedElementsAre;
using Words = std::vector<std::string_view>;

class KeyspaceTest : public testing::Test {
 protected:
  explicit KeyspaceTest(KeyspaceConfig config = {}) : keyspace(config) {}

  Reply run(const Words& words) { return keyspace.execute(db, words, now); }
  std::string error(const Words& words) {
    const Reply reply = run(words);
    return reply.is_error() ? reply.text : "no error: " + reply.text;
  }
  std::int64_t number(const Words& words) {
    const Reply reply = run(words);
    EXPECT_EQ(reply.type, Type::integer) << reply.text;
    return reply.integer;
  }
  std::int64_t unix_ms() const { return now.time_since_epoch().count(); }

  WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  std::uint32_t db = 0;
  Keyspace keyspace;
};

TEST_F(KeyspaceTest, GetsWhatWasSet) {
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  EXPECT_EQ(run({"SET", "k", "a\r\n\0b"}), Reply::ok());
  EXPECT_EQ(run({"get", "k"}), Reply::bulk("a\r\n"));
  const std::string binary = "\0x\xff"s;
  EXPECT_EQ(run({"SET", binary, binary}), Reply::ok());
  EXPECT_EQ(run({"gEt", binary}), Reply::bulk(binary));
}

TEST_F(KeyspaceTest, SetsOnConditionAndReturnsTheOldValue) {
  EXPECT_EQ(run({"SET", "k", "a", "XX"}), Reply::null());
  EXPECT_EQ(run({"SET", "k", "a", "NX"}), Reply::ok());
  EXPECT_EQ(run({"SET", "k", "b", "NX"}), Reply::null());
  EXPECT_EQ(run({"SET", "k", "b", "NX", "GET"}), Reply::bulk("a"));
  EXPECT_EQ(run({"SET", "k", "b", "XX", "GET"}), Reply::bulk("a"));
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("b"));
  EXPECT_EQ(run({"SET", "new", "x", "NX", "GET"}), Reply::null());
  EXPECT_EQ(run({"GET", "new"}), Reply::bulk("x"));
  EXPECT_EQ(run({"SETNX", "k", "c"}), Reply::number(0));
  EXPECT_EQ(run({"SETNX", "l", "c"}), Reply::number(1));
  EXPECT_EQ(run({"GETSET", "k", "d"}), Reply::bulk("b"));
  EXPECT_EQ(run({"GETDEL", "k"}), Reply::bulk("d"));
  EXPECT_EQ(run({"GETDEL", "k"}), Reply::null());
}

TEST_F(KeyspaceTest, KeepsADeadlineOnlyWhenAsked) {
  run({"SET", "k", "a", "PX", "5000"});
  EXPECT_EQ(number({"PTTL", "k"}), 5000);
  run({"SET", "k", "b", "KEEPTTL"});
  EXPECT_EQ(number({"PTTL", "k"}), 5000);
  run({"APPEND", "k", "c"});
  EXPECT_EQ(number({"PTTL", "k"}), 5000);
  run({"SETRANGE", "k", "0", "x"});
  EXPECT_EQ(number({"PTTL", "k"}), 5000);
  run({"SET", "k", "1"});
  EXPECT_EQ(number({"PTTL", "k"}), -1);
  run({"EXPIRE", "k", "10"});
  run({"INCR", "k"});
  EXPECT_EQ(number({"TTL", "k"}), 10);
  run({"GETSET", "k", "x"});
  EXPECT_EQ(number({"TTL", "k"}), -1);
  run({"SETEX", "k", "10", "x"});
  run({"MSET", "k", "y"});
  EXPECT_EQ(number({"TTL", "k"}), -1);
}

TEST_F(KeyspaceTest, ExpiresAfterTheDeadlineAndNotAtIt) {
  run({"PSETEX", "k", "100", "a"});
  EXPECT_EQ(number({"EXPIRETIME", "k"}), 1'700'000'000);
  EXPECT_EQ(number({"PEXPIRETIME", "k"}), unix_ms() + 100);
  now += 100ms;
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("a"));
  EXPECT_EQ(number({"PTTL", "k"}), 0);
  now += 1ms;
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  EXPECT_EQ(number({"PTTL", "k"}), -2);
  EXPECT_EQ(keyspace.size(), 0U);
}

TEST_F(KeyspaceTest, RoundsSecondsToTheNearest) {
  run({"PSETEX", "k", "1499", "a"});
  EXPECT_EQ(number({"TTL", "k"}), 1);
  run({"PSETEX", "k", "1500", "a"});
  EXPECT_EQ(number({"TTL", "k"}), 2);
}

TEST_F(KeyspaceTest, ExpireTakesConditions) {
  run({"SET", "k", "a"});
  EXPECT_EQ(number({"EXPIRE", "k", "10", "XX"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "10", "GT"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "10", "LT"}), 1);
  EXPECT_EQ(number({"EXPIRE", "k", "20", "NX"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "5", "GT"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "10", "GT"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "20", "GT"}), 1);
  EXPECT_EQ(number({"EXPIRE", "k", "20", "LT"}), 0);
  EXPECT_EQ(number({"PEXPIRE", "k", "15000", "xx", "lt"}), 1);
  EXPECT_EQ(number({"TTL", "k"}), 15);
  EXPECT_EQ(number({"PERSIST", "k"}), 1);
  EXPECT_EQ(number({"PERSIST", "k"}), 0);
  EXPECT_EQ(number({"EXPIREAT", "k", std::to_string(unix_ms() / 1000 + 7)}), 1);
  EXPECT_EQ(number({"TTL", "k"}), 7);
  EXPECT_EQ(number({"PEXPIREAT", "k", std::to_string(unix_ms())}), 1);
  EXPECT_EQ(number({"EXISTS", "k"}), 0);
  EXPECT_EQ(number({"EXPIRE", "k", "10"}), 0);
  run({"SET", "k", "a"});
  EXPECT_EQ(number({"EXPIRE", "k", "-1"}), 1);
  EXPECT_EQ(number({"EXISTS", "k"}), 0);
}

TEST_F(KeyspaceTest, GetexChangesTheDeadline) {
  run({"SET", "k", "a"});
  EXPECT_EQ(run({"GETEX", "k", "EX", "10"}), Reply::bulk("a"));
  EXPECT_EQ(number({"TTL", "k"}), 10);
  EXPECT_EQ(run({"GETEX", "k"}), Reply::bulk("a"));
  EXPECT_EQ(number({"TTL", "k"}), 10);
  EXPECT_EQ(run({"GETEX", "k", "PERSIST"}), Reply::bulk("a"));
  EXPECT_EQ(number({"TTL", "k"}), -1);
  EXPECT_EQ(run({"GETEX", "k", "PXAT", "1"}), Reply::bulk("a"));
  EXPECT_EQ(number({"EXISTS", "k"}), 0);
  EXPECT_EQ(run({"GETEX", "k", "EX", "x"}), Reply::null());
}

TEST_F(KeyspaceTest, WorksOnManyKeys) {
  EXPECT_EQ(run({"MSET", "a", "1", "b", "2", "a", "3"}), Reply::ok());
  EXPECT_EQ(run({"MGET", "a", "x", "b"}),
            Reply::array({Reply::bulk("3"), Reply::null(), Reply::bulk("2")}));
  EXPECT_EQ(number({"MSETNX", "c", "1", "a", "2"}), 0);
  EXPECT_EQ(number({"EXISTS", "a", "a", "c"}), 2);
  EXPECT_EQ(number({"MSETNX", "c", "1", "d", "2"}), 1);
  EXPECT_EQ(number({"TOUCH", "c", "d", "e"}), 2);
  EXPECT_EQ(number({"DEL", "c", "c", "e"}), 1);
  EXPECT_EQ(number({"UNLINK", "d"}), 1);
  EXPECT_EQ(run({"TYPE", "a"}), Reply::simple("string"));
  EXPECT_EQ(run({"TYPE", "d"}), Reply::simple("none"));
}

TEST_F(KeyspaceTest, CutsAndPastesRanges) {
  run({"SET", "k", "Hello World"});
  EXPECT_EQ(run({"GETRANGE", "k", "0", "4"}), Reply::bulk("Hello"));
  EXPECT_EQ(run({"GETRANGE", "k", "-5", "-1"}), Reply::bulk("World"));
  EXPECT_EQ(run({"GETRANGE", "k", "-1", "-5"}), Reply::bulk(""));
  EXPECT_EQ(run({"GETRANGE", "k", "6", "9223372036854775807"}), Reply::bulk("World"));
  EXPECT_EQ(run({"GETRANGE", "k", "-9223372036854775808", "0"}), Reply::bulk("H"));
  EXPECT_EQ(run({"SUBSTR", "k", "0", "0"}), Reply::bulk("H"));
  EXPECT_EQ(run({"GETRANGE", "none", "0", "-1"}), Reply::bulk(""));
  EXPECT_EQ(number({"SETRANGE", "k", "6", "Redis"}), 11);
  EXPECT_EQ(number({"SETRANGE", "pad", "2", "x"}), 3);
  EXPECT_EQ(run({"GET", "pad"}), Reply::bulk("\0\0x"s));
  EXPECT_EQ(number({"SETRANGE", "none", "5", ""}), 0);
  EXPECT_EQ(number({"EXISTS", "none"}), 0);
  EXPECT_EQ(number({"APPEND", "new", "ab"}), 2);
  EXPECT_EQ(number({"APPEND", "new", "cd"}), 4);
  EXPECT_EQ(number({"STRLEN", "new"}), 4);
  EXPECT_EQ(number({"STRLEN", "none"}), 0);
}

TEST_F(KeyspaceTest, Counts) {
  EXPECT_EQ(number({"INCR", "n"}), 1);
  EXPECT_EQ(number({"INCRBY", "n", "41"}), 42);
  EXPECT_EQ(number({"DECR", "n"}), 41);
  EXPECT_EQ(number({"DECRBY", "n", "-9"}), 50);
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "0.1"}), Reply::bulk("50.1"));
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "-5.0e1"}), Reply::bulk("0.1"));
  run({"SET", "n", "3.0"});
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "0"}), Reply::bulk("3"));
}

TEST_F(KeyspaceTest, SpeaksRedisErrorTexts) {
  run({"SET", "k", "a"});
  run({"SET", "max", "9223372036854775807"});
  const std::vector<std::pair<Words, std::string>> table = {
      {{"GET"}, "ERR wrong number of arguments for 'get' command"},
      {{"MSET", "a", "b", "c"}, "ERR wrong number of arguments for 'mset' command"},
      {{"MSETNX", "a", "b", "c"}, "ERR wrong number of arguments for 'msetnx' command"},
      {{"SET", "k", "v", "EX"}, "ERR syntax error"},
      {{"SET", "k", "v", "NX", "XX"}, "ERR syntax error"},
      {{"SET", "k", "v", "EX", "1", "PX", "1"}, "ERR syntax error"},
      {{"SET", "k", "v", "EX", "1", "KEEPTTL"}, "ERR syntax error"},
      {{"SET", "k", "v", "PERSIST"}, "ERR syntax error"},
      {{"GETEX", "k", "NX"}, "ERR syntax error"},
      {{"GETEX", "k", "PERSIST", "EX", "1"}, "ERR syntax error"},
      {{"SET", "k", "v", "EX", "x"}, "ERR value is not an integer or out of range"},
      {{"SET", "k", "v", "EX", "0"}, "ERR invalid expire time in 'set' command"},
      {{"SET", "k", "v", "EX", "9223372036854775807"}, "ERR invalid expire time in 'set' command"},
      {{"SET", "k", "v", "PX", "9223372036854775807"}, "ERR invalid expire time in 'set' command"},
      {{"SETEX", "k", "0", "v"}, "ERR invalid expire time in 'setex' command"},
      {{"PSETEX", "k", "-1", "v"}, "ERR invalid expire time in 'psetex' command"},
      {{"GETEX", "k", "EX", "0"}, "ERR invalid expire time in 'getex' command"},
      {{"EXPIRE", "k", "9223372036854775807"}, "ERR invalid expire time in 'expire' command"},
      {{"PEXPIRE", "k", "9223372036854775807"}, "ERR invalid expire time in 'pexpire' command"},
      {{"EXPIRE", "k", "1.5"}, "ERR value is not an integer or out of range"},
      {{"EXPIRE", "k", "1", "Y\r\nZ\r\n"}, "ERR Unsupported option Y  Z"},
      {{"EXPIRE", "k", "1", "NX", "GT"},
       "ERR NX and XX, GT or LT options at the same time are not compatible"},
      {{"EXPIRE", "k", "1", "LT", "GT"},
       "ERR GT and LT options at the same time are not compatible"},
      {{"INCR", "k"}, "ERR value is not an integer or out of range"},
      {{"INCR", "max"}, "ERR increment or decrement would overflow"},
      {{"DECRBY", "n", "-9223372036854775808"}, "ERR decrement would overflow"},
      {{"INCRBYFLOAT", "k", "1"}, "ERR value is not a valid float"},
      {{"INCRBYFLOAT", "n", "nan"}, "ERR value is not a valid float"},
      {{"INCRBYFLOAT", "n", "inf"}, "ERR increment would produce NaN or Infinity"},
      {{"SETRANGE", "k", "-1", "x"}, "ERR offset is out of range"},
      {{"SETRANGE", "k", "536870912", "x"},
       "ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
      {{"SETRANGE", "k", "9223372036854775807", "x"},
       "ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
      {{"FLUSHDB", "now"}, "ERR syntax error"},
      {{"HSET", "h", "f", "v"},
       "ERR unknown command 'HSET' with the embedded L2; it needs --l2 redis://…"},
      {{"a-name-longer-than-any-command"},
       "ERR unknown command 'a-name-longer-than-any-command' with the embedded L2; it needs --l2 "
       "redis://…"},
  };
  for (const auto& [words, text] : table) EXPECT_EQ(error(words), text) << words.front();
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("a"));
}

TEST_F(KeyspaceTest, KeepsDatabasesApart) {
  run({"SET", "k", "zero"});
  db = 5;
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  run({"SET", "k", "five", "EX", "100"});
  run({"SET", "l", "five"});
  EXPECT_EQ(number({"DBSIZE"}), 2);
  EXPECT_EQ(run({"FLUSHDB", "async"}), Reply::ok());
  EXPECT_EQ(number({"DBSIZE"}), 0);
  db = 0;
  EXPECT_EQ(number({"DBSIZE"}), 1);
  EXPECT_EQ(run({"FLUSHALL"}), Reply::ok());
  EXPECT_EQ(keyspace.size(), 0U);
  EXPECT_EQ(keyspace.bytes(), 0U);
}

TEST_F(KeyspaceTest, ListsKeys) {
  EXPECT_EQ(run({"RANDOMKEY"}), Reply::null());
  run({"MSET", "user:1", "a", "user:2", "b", "other", "c"});
  run({"PSETEX", "user:3", "1", "d"});
  now += 2ms;
  EXPECT_THAT(run({"KEYS", "user:*"}).elements,
              UnorderedElementsAre(Reply::bulk("user:1"), Reply::bulk("user:2")));
  run({"DEL", "user:1", "user:2"});
  EXPECT_EQ(run({"RANDOMKEY"}), Reply::bulk("other"));
}

TEST_F(KeyspaceTest, SweepsTheLongestOverdueFirstAndNoMoreThanAsked) {
  for (int i = 1; i <= 5; ++i) {
    run({"PSETEX", std::to_string(i), std::to_string(i), "x"});
  }
  run({"SET", "stays", "x"});
  now += 4ms;  // 1, 2 and 3 are overdue
  EXPECT_EQ(keyspace.expire(now, 2), 2U);
  EXPECT_EQ(keyspace.size(), 4U);
  EXPECT_EQ(keyspace.expire(now, 100), 1U);
  EXPECT_EQ(keyspace.expire(now, 100), 0U);
  EXPECT_EQ(number({"EXISTS", "4", "5", "stays"}), 3);
}

class SmallKeyspaceTest : public KeyspaceTest {
 protected:
  static constexpr std::size_t kValue = 1000;
  SmallKeyspaceTest()
      : KeyspaceTest({.max_bytes = 4 * (1 + kValue + kEntryOverhead), .max_value = 3000}) {}
  std::string value = std::string(kValue, 'x');
};

TEST_F(SmallKeyspaceTest, RefusesWritesThatDoNotFitAndChangesNothing) {
  const std::string oom = "OOM command not allowed when used memory > 'maxmemory'.";
  for (const auto key : {"a", "b", "c"}) EXPECT_EQ(run({"SET", key, value}), Reply::ok());
  EXPECT_EQ(error({"MSET", "d", value, "e", value}), oom);
  EXPECT_EQ(number({"DBSIZE"}), 3);
  EXPECT_EQ(run({"SET", "d", value}), Reply::ok());
  EXPECT_EQ(error({"SET", "e", ""}), oom);
  EXPECT_EQ(error({"SETNX", "e", "x"}), oom);
  EXPECT_EQ(error({"APPEND", "a", "y"}), oom);
  EXPECT_EQ(error({"SETRANGE", "a", "1000", "y"}), oom);
  EXPECT_EQ(error({"INCR", "n"}), oom);
  EXPECT_EQ(error({"INCRBYFLOAT", "n", "1"}), oom);
  EXPECT_EQ(error({"MSETNX", "n", "1"}), oom);
  EXPECT_EQ(number({"STRLEN", "a"}), 1000);
  EXPECT_EQ(run({"SET", "a", value}), Reply::ok());  // no larger than before
  EXPECT_EQ(run({"DEL", "a"}), Reply::number(1));
  EXPECT_EQ(run({"SET", "e", value}), Reply::ok());
}

TEST_F(SmallKeyspaceTest, MakesRoomByDroppingWhatHasExpired) {
  for (const auto key : {"a", "b", "c", "d"}) run({"PSETEX", key, "10", value});
  now += 11ms;
  EXPECT_EQ(run({"SET", "e", value}), Reply::ok());
  EXPECT_EQ(keyspace.size(), 4U);
}

TEST_F(SmallKeyspaceTest, HoldsValuesToTheirLimit) {
  const std::string half(2000, 'x');
  run({"SET", "a", half});
  EXPECT_EQ(error({"APPEND", "a", half}),
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

TEST(Keyspace, CountsBytesExactlyWhateverHappens) {
  EXPECT_TRUE(rc::check([] {
    Keyspace keyspace({.max_bytes = 3000});
    WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
    const std::vector<std::string> keys = {"a", "bb", "ccc", "dddd"};
    const auto length = *rc::gen::inRange(1, 60);
    for (int i = 0; i < length; ++i) {
      const std::string key = *rc::gen::elementOf(keys);
      const std::string size(*rc::gen::inRange<std::size_t>(0, 900), 'v');
      const std::string ms = std::to_string(*rc::gen::inRange(1, 20));
      const std::vector<Words> commands = {{"SET", key, size},    {"PSETEX", key, ms, size},
                                           {"APPEND", key, size}, {"SETRANGE", key, ms, size},
                                           {"DEL", key},          {"PEXPIRE", key, ms},
                                           {"PERSIST", key},      {"MSET", key, size, "bb", size}};
      (void)keyspace.execute(0, *rc::gen::elementOf(commands), now);
      now += std::chrono::milliseconds(*rc::gen::inRange(0, 5));
      if (*rc::gen::inRange(0, 4) == 0) keyspace.expire(now, 1);
      RC_ASSERT(keyspace.bytes() <= 3000U);
    }
    std::uint64_t bytes = 0;
    for (const auto& name : keyspace.execute(0, Words{"KEYS", "*"}, now).elements) {
      const auto strlen = keyspace.execute(0, Words{"STRLEN", name.text}, now);
      bytes += name.text.size() + static_cast<std::uint64_t>(strlen.integer) + kEntryOverhead;
    }
    keyspace.expire(now, 100);
    RC_ASSERT(keyspace.bytes() == bytes);
  }));
}

}  // namespace
}  // namespace nearlane::l2::memory
