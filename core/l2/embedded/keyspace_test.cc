// The commands, over every store: in memory, and on disk with a commit after each command, after every third, and
// never.
#include "core/l2/embedded/keyspace.h"

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/l2/embedded/keyspace_fixture.h"

namespace nearlane::l2::embedded {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using protocol::Reply;
using protocol::Type;

using testing::UnorderedElementsAre;

INSTANTIATE_TEST_SUITE_P(Stores, KeyspaceTest, testing::ValuesIn(test_store_names()), store_name);

TEST_P(KeyspaceTest, GetsWhatWasSet) {
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  EXPECT_EQ(run({"SET", "k", "a\r\n\0b"}), Reply::ok());
  EXPECT_EQ(run({"get", "k"}), Reply::bulk("a\r\n"));
  const std::string binary = "\0x\xff"s;
  EXPECT_EQ(run({"SET", binary, binary}), Reply::ok());
  EXPECT_EQ(run({"gEt", binary}), Reply::bulk(binary));
}

TEST_P(KeyspaceTest, SetsOnConditionAndReturnsTheOldValue) {
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

TEST_P(KeyspaceTest, KeepsADeadlineOnlyWhenAsked) {
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

TEST_P(KeyspaceTest, TheLastDeadlineThatThereIsCountsAsSecondsToo) {
  run({"SET", "k", "a", "PXAT", "9223372036854775807"});
  EXPECT_EQ(number({"EXPIRETIME", "k"}), 9'223'372'036'854'776);
  EXPECT_EQ(number({"TTL", "k"}), 9'223'370'336'854'776);
}

TEST_P(KeyspaceTest, ExpiresAfterTheDeadlineAndNotAtIt) {
  run({"PSETEX", "k", "100", "a"});
  EXPECT_EQ(number({"EXPIRETIME", "k"}), 1'700'000'000);
  EXPECT_EQ(number({"PEXPIRETIME", "k"}), unix_ms() + 100);
  now += 100ms;
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("a"));
  EXPECT_EQ(number({"PTTL", "k"}), 0);
  now += 1ms;
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  EXPECT_EQ(number({"PTTL", "k"}), -2);
  EXPECT_EQ(size(), 0U);
}

TEST_P(KeyspaceTest, RoundsSecondsToTheNearest) {
  run({"PSETEX", "k", "1499", "a"});
  EXPECT_EQ(number({"TTL", "k"}), 1);
  run({"PSETEX", "k", "1500", "a"});
  EXPECT_EQ(number({"TTL", "k"}), 2);
}

TEST_P(KeyspaceTest, ExpireTakesConditions) {
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

TEST_P(KeyspaceTest, GetexChangesTheDeadline) {
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

TEST_P(KeyspaceTest, WorksOnManyKeys) {
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

TEST_P(KeyspaceTest, CutsAndPastesRanges) {
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

TEST_P(KeyspaceTest, Counts) {
  EXPECT_EQ(number({"INCR", "n"}), 1);
  EXPECT_EQ(number({"INCRBY", "n", "41"}), 42);
  EXPECT_EQ(number({"DECR", "n"}), 41);
  EXPECT_EQ(number({"DECRBY", "n", "-9"}), 50);
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "0.1"}), Reply::bulk("50.1"));
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "-5.0e1"}), Reply::bulk("0.1"));
  run({"SET", "n", "3.0"});
  EXPECT_EQ(run({"INCRBYFLOAT", "n", "0"}), Reply::bulk("3"));
}

TEST_P(KeyspaceTest, SpeaksRedisErrorTexts) {
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
      {{"LPUSH", "l", "v"},
       "ERR unknown command 'LPUSH' with the embedded L2; it needs --l2 redis://…"},
      {{"a-name-longer-than-any-command"},
       "ERR unknown command 'a-name-longer-than-any-command' with the embedded L2; it needs --l2 "
       "redis://…"},
  };
  for (const auto& [words, text] : table) EXPECT_EQ(error(words), text) << words.front();
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("a"));
}

TEST_P(KeyspaceTest, KeepsDatabasesApart) {
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
  EXPECT_EQ(size(), 0U);
}

TEST_P(KeyspaceTest, ListsKeys) {
  EXPECT_EQ(run({"RANDOMKEY"}), Reply::null());
  run({"MSET", "user:1", "a", "user:2", "b", "other", "c"});
  run({"PSETEX", "user:3", "1", "d"});
  now += 2ms;
  EXPECT_THAT(run({"KEYS", "user:*"}).elements,
              UnorderedElementsAre(Reply::bulk("user:1"), Reply::bulk("user:2")));
  run({"DEL", "user:1", "user:2"});
  EXPECT_EQ(run({"RANDOMKEY"}), Reply::bulk("other"));
}

TEST_P(KeyspaceTest, SweepsTheLongestOverdueFirstAndNoMoreThanAsked) {
  for (int i = 1; i <= 5; ++i) {
    run({"PSETEX", std::to_string(i), std::to_string(i), "x"});
  }
  run({"SET", "stays", "x"});
  now += 4ms;  // 1, 2 and 3 are overdue
  EXPECT_EQ(expire(2), 2U);
  EXPECT_EQ(size(), 4U);
  EXPECT_EQ(expire(100), 1U);
  EXPECT_EQ(expire(100), 0U);
  EXPECT_EQ(number({"EXISTS", "4", "5", "stays"}), 3);
}

TEST_P(KeyspaceTest, KeepsFieldsInOrder) {
  EXPECT_EQ(number({"HSET", "h", "a", "1", "b", "2", "a", "3"}), 2);
  EXPECT_EQ(run({"HGET", "h", "a"}), Reply::bulk("3"));
  EXPECT_EQ(run({"HGET", "h", "x"}), Reply::null());
  EXPECT_EQ(run({"HGET", "none", "x"}), Reply::null());
  EXPECT_EQ(run({"HMGET", "h", "b", "x"}), Reply::array({Reply::bulk("2"), Reply::null()}));
  EXPECT_EQ(run({"HKEYS", "h"}), Reply::array({Reply::bulk("a"), Reply::bulk("b")}));
  EXPECT_EQ(run({"HVALS", "h"}), Reply::array({Reply::bulk("3"), Reply::bulk("2")}));
  EXPECT_EQ(run({"HGETALL", "h"}).elements.size(), 4U);
  EXPECT_EQ(run({"TYPE", "h"}), Reply::simple("hash"));
  EXPECT_EQ(number({"HSETNX", "h", "a", "x"}), 0);
  EXPECT_EQ(number({"HSETNX", "h", "", ""}), 1);
  EXPECT_EQ(run({"HGET", "h", ""}), Reply::bulk(""));
  EXPECT_EQ(number({"HLEN", "h"}), 3);
  EXPECT_EQ(number({"HEXISTS", "h", "b"}), 1);
  EXPECT_EQ(number({"HINCRBY", "h", "b", "40"}), 42);
  EXPECT_EQ(number({"HSTRLEN", "h", "b"}), 2);
  EXPECT_EQ(run({"HINCRBYFLOAT", "h", "b", "0.5"}), Reply::bulk("42.5"));
  run({"EXPIRE", "h", "100"});
  EXPECT_EQ(number({"HDEL", "h", "a", "x", ""}), 2);
  EXPECT_EQ(number({"TTL", "h"}), 100);
  EXPECT_EQ(number({"HDEL", "h", "b"}), 1);
  EXPECT_EQ(number({"EXISTS", "h"}), 0);
  EXPECT_EQ(number({"HLEN", "h"}), 0);
}

TEST_P(KeyspaceTest, RefusesCommandsOfTheOtherKind) {
  const std::string wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
  run({"SET", "s", "1"});
  run({"HSET", "h", "f", "1"});
  for (const Words& words : std::vector<Words>{{"GET", "h"},
                                               {"APPEND", "h", "x"},
                                               {"INCR", "h"},
                                               {"GETDEL", "h"},
                                               {"GETEX", "h"},
                                               {"STRLEN", "h"},
                                               {"SET", "h", "x", "GET"},
                                               {"GETRANGE", "h", "0", "1"},
                                               {"SETRANGE", "h", "0", "x"},
                                               {"INCRBYFLOAT", "h", "1"},
                                               {"HGET", "s", "f"},
                                               {"HSET", "s", "f", "1"},
                                               {"HDEL", "s", "f"},
                                               {"HGETALL", "s"},
                                               {"HINCRBY", "s", "f", "1"},
                                               {"HLEN", "s"}}) {
    EXPECT_EQ(error(words), wrong) << words.front();
  }
  EXPECT_EQ(run({"MGET", "h", "s"}), Reply::array({Reply::null(), Reply::bulk("1")}));
  EXPECT_EQ(run({"SET", "h", "x"}), Reply::ok());
  EXPECT_EQ(run({"TYPE", "h"}), Reply::simple("string"));
}

TEST_P(KeyspaceTest, NamingALargeValueAgainAndAgainAsksForNoMoreThanAnAnswerMayBe) {
  constexpr std::size_t kLarge = std::size_t{16} << 20U;
  const std::string large(kLarge, 'v');
  run({"SET", "k", large});
  run({"HSET", "h", "f", large});
  const auto times = [](std::size_t count, Words words) {
    words.resize(words.size() + count, words.back());
    return words;
  };
  const std::string too_long = "ERR nearlane: the answer would be longer than 256 MiB";
  ASSERT_EQ(error(times(kMaxAnswer / kLarge, {"MGET", "k"})), too_long);
  ASSERT_EQ(error(times(kMaxAnswer / kLarge, {"HMGET", "h", "f"})), too_long);
  EXPECT_EQ(error(times(100'000, {"MGET", "k"})), too_long);
  EXPECT_EQ(run(times(3, {"MGET", "k"})).elements.size(), 4U);
  EXPECT_EQ(run(times(3, {"HMGET", "h", "f"})).elements.size(), 4U);
  EXPECT_EQ(run(times(100'000, {"MGET", "none"})).elements.size(), 100'001U);
}

/// All names that a whole SCAN returns, with `between` run before each further step.
template <class Between>
std::multiset<std::string> scan_all(const std::function<Reply(const Words&)>& run, Words options,
                                    Between between) {
  std::multiset<std::string> names;
  std::string cursor = "0";
  do {
    Words words = {"SCAN", cursor};
    words.insert(words.end(), options.begin(), options.end());
    const Reply reply = run(words);
    for (const Reply& name : reply.elements.at(1).elements) names.insert(name.text);
    cursor = reply.elements.at(0).text;
    between();
  } while (cursor != "0");
  return names;
}

TEST_P(KeyspaceTest, ScanFindsWhatIsThereThroughout) {
  for (int i = 0; i < 500; ++i) run({"SET", "stays:" + std::to_string(i), "x"});
  int step = 0;
  const auto names = scan_all([this](const Words& words) { return run(words); }, {},
                              [&] {
                                const std::string number = std::to_string(step++);
                                run({"SET", "comes:" + number, "x"});
                                run({"DEL", "comes:" + std::to_string(step / 2)});
                              });
  for (int i = 0; i < 500; ++i) EXPECT_EQ(names.count("stays:" + std::to_string(i)), 1U) << i;
  // What is not committed is no part of the disk's order and comes at once; nothing else may.
  EXPECT_GT(step, GetParam() == "rocksdb_uncommitted" ? 0 : 5);
}

TEST_P(KeyspaceTest, ScanTakesOptions) {
  const auto scan = [this](Words options) {
    return scan_all([this](const Words& words) { return run(words); }, std::move(options), [] {});
  };
  run({"MSET", "a:1", "x", "a:2", "x", "b:1", "x"});
  run({"HSET", "a:h", "f", "v"});
  run({"PSETEX", "a:gone", "1", "x"});
  now += 2ms;
  EXPECT_THAT(scan({"MATCH", "a:*"}), UnorderedElementsAre("a:1", "a:2", "a:h"));
  EXPECT_THAT(scan({"TYPE", "hash", "COUNT", "1"}), UnorderedElementsAre("a:h"));
  EXPECT_THAT(scan({"TYPE", "string", "MATCH", "b*"}), UnorderedElementsAre("b:1"));
  EXPECT_THAT(scan({"TYPE", "Hash"}), UnorderedElementsAre("a:h"));
  EXPECT_THAT(scan({"TYPE", ""}), UnorderedElementsAre()) << "no key is of this type";
  EXPECT_EQ(error({"SCAN", "x"}), "ERR invalid cursor");
  EXPECT_EQ(error({"SCAN", "0", "COUNT", "0"}), "ERR syntax error");
  EXPECT_EQ(error({"SCAN", "0", "COUNT", "x"}), "ERR value is not an integer or out of range");
  EXPECT_EQ(error({"SCAN", "0", "MATCH"}), "ERR syntax error");
  EXPECT_EQ(run({"SCAN", "18446744073709551615"}).elements.at(0), Reply::bulk("0"));
}

TEST_P(KeyspaceTest, RenamesWithTheDeadlineOverWhateverIsThere) {
  EXPECT_EQ(error({"RENAME", "none", "k"}), "ERR no such key");
  EXPECT_EQ(error({"RENAMENX", "none", "none"}), "ERR no such key");
  run({"SET", "k", "v", "PX", "5000"});
  run({"HSET", "h", "f", "1"});
  EXPECT_EQ(run({"RENAME", "k", "k"}), Reply::ok());
  EXPECT_EQ(run({"RENAMENX", "k", "k"}), Reply::number(0));
  EXPECT_EQ(run({"RENAMENX", "k", "h"}), Reply::number(0));
  EXPECT_EQ(run({"RENAME", "k", "h"}), Reply::ok());
  EXPECT_EQ(run({"GET", "h"}), Reply::bulk("v"));
  EXPECT_EQ(number({"PTTL", "h"}), 5000);
  EXPECT_EQ(run({"GET", "k"}), Reply::null());
  run({"SET", "eternal", "w"});
  EXPECT_EQ(run({"RENAME", "eternal", "h"}), Reply::ok());
  EXPECT_EQ(number({"PTTL", "h"}), -1);
  EXPECT_EQ(run({"RENAMENX", "h", "new"}), Reply::number(1));
  EXPECT_EQ(size(), 1U);
  run({"HSET", "hash", "f", "1"});
  EXPECT_EQ(run({"RENAME", "hash", "new"}), Reply::ok());
  EXPECT_EQ(run({"HGET", "new", "f"}), Reply::bulk("1"));
  EXPECT_EQ(size(), 1U);
}

TEST_P(KeyspaceTest, WalksAHashInOneStep) {
  run({"HSET", "h", "a", "1", "b", "2", "ab", "3"});
  run({"SET", "s", "v"});
  const auto strings = [](std::vector<std::string> texts) {
    std::vector<Reply> all;
    all.reserve(texts.size());
    for (auto& text : texts) all.push_back(Reply::bulk(std::move(text)));
    return Reply::array(std::move(all));
  };
  const auto page = [&](std::vector<std::string> texts) {
    return Reply::array({Reply::bulk("0"), strings(std::move(texts))});
  };
  EXPECT_EQ(run({"HSCAN", "h", "0", "COUNT", "1"}), page({"a", "1", "b", "2", "ab", "3"}));
  EXPECT_EQ(run({"HSCAN", "h", "0", "MATCH", "a*"}), page({"a", "1", "ab", "3"}));
  EXPECT_EQ(run({"HSCAN", "none", "0"}), page({}));
  EXPECT_EQ(error({"HSCAN", "h", "x"}), "ERR invalid cursor");
  EXPECT_EQ(error({"HSCAN", "h", "0", "TYPE", ""}), "ERR syntax error");
  EXPECT_TRUE(error({"HSCAN", "s", "0"}).starts_with("WRONGTYPE"));
}

TEST_P(KeyspaceTest, DrawsFieldsAtRandom) {
  run({"HSET", "h", "a", "1", "b", "2", "c", "3"});
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(run({"HRANDFIELD", "h"}).text);
  EXPECT_THAT(seen, UnorderedElementsAre("a", "b", "c"));
  const auto names = [&](const Words& words) {
    std::vector<std::string> all;
    for (const Reply& field : run(words).elements) all.push_back(field.text);
    return all;
  };
  EXPECT_THAT(names({"HRANDFIELD", "h", "5"}), UnorderedElementsAre("a", "b", "c"));
  seen.clear();
  for (int i = 0; i < 200; ++i) {
    const auto two = names({"HRANDFIELD", "h", "2"});
    ASSERT_EQ(two.size(), 2U);
    EXPECT_NE(two[0], two[1]);
    seen.insert(two.begin(), two.end());
  }
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_EQ(names({"HRANDFIELD", "h", "-50"}).size(), 50U);
  EXPECT_EQ(run({"HRANDFIELD", "h", "-2", "WITHVALUES"}).elements[1].elements.size(), 2U);
  EXPECT_EQ(run({"HRANDFIELD", "none"}), Reply::null());
  EXPECT_EQ(run({"HRANDFIELD", "none", "3"}), Reply::array({}));
  EXPECT_EQ(error({"HRANDFIELD", "h", "1", "x"}), "ERR syntax error");
  EXPECT_EQ(error({"HRANDFIELD", "h", "-9223372036854775807"}),
            "ERR nearlane: the answer would be longer than 256 MiB");
}

}  // namespace
}  // namespace nearlane::l2::embedded
