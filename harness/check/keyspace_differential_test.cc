// The embedded store against a real redis-server: the same commands, the same replies.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/test_stores.h"
#include "core/protocol/writer.h"
#include "harness/check/command_gen.h"
#include "harness/check/raw_client.h"
#include "harness/topology/redis_server.h"

namespace nearlane::harness {
namespace {

using l2::embedded::Keyspace;
using protocol::Reply;

Reply execute(Keyspace& keyspace, const Words& command) {
  const std::vector<std::string_view> args(command.begin(), command.end());
  Reply reply = keyspace.execute(0, args, wall_now());
  // The door makes one list of pairs for clients of RESP2, as Redis does.
  const bool pairs = !reply.elements.empty() && !reply.elements.front().elements.empty();
  if (!pairs || reply.type != protocol::Type::array || args[0] != "HRANDFIELD") return reply;
  std::vector<Reply> flat;
  for (Reply& pair : reply.elements) {
    for (Reply& each : pair.elements) flat.push_back(std::move(each));
  }
  return Reply::array(std::move(flat));
}

class BesideRedis : public testing::Test {
 protected:
  Reply ask_redis(const Words& command) {
    EXPECT_TRUE(client.send(to_bytes(command)));
    return client.read().value().reply;
  }

  RedisServer redis = RedisServer::start().value();
  RawClient client = RawClient::connect(redis.endpoint()).value();
};

class KeyspaceDifferential : public BesideRedis, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Stores, KeyspaceDifferential,
                         testing::ValuesIn(l2::embedded::test_store_names()),
                         [](const auto& tested) { return tested.param; });

TEST_P(KeyspaceDifferential, AnswersAnyCommandsAsRedisDoes) {
  EXPECT_TRUE(rc::check([this] {
    const auto commands = *any_commands();
    const auto stored = l2::embedded::make_test_store(GetParam(), l2::embedded::kPlenty);
    Keyspace keyspace(stored->store());
    std::string pipeline = to_bytes({"FLUSHALL"});
    for (const auto& command : commands) pipeline += to_bytes(command);
    std::vector<Reply> ours;
    ours.reserve(commands.size());
    RC_ASSERT(client.send(pipeline).has_value());
    RC_ASSERT(client.read().value().reply == Reply::ok());
    for (const auto& command : commands) {
      ours.push_back(execute(keyspace, command));
      stored->end_command();
    }
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const Reply theirs = client.read().value().reply;
      if (!agree(commands[i], ours[i], theirs)) {
        std::string history;
        for (std::size_t j = 0; j <= i; ++j) history += to_text(commands[j]) + "\n";
        std::string bytes = "ours: ";
        protocol::append_reply(bytes, ours[i], protocol::Version::resp3);
        bytes += "redis: ";
        protocol::append_reply(bytes, theirs, protocol::Version::resp3);
        // Drains what is left, so that shrinking starts on a clean connection.
        for (std::size_t j = i + 1; j < commands.size(); ++j) {
          RC_ASSERT(client.read().has_value());
        }
        RC_FAIL(history + bytes);
      }
    }
  }));
}

TEST_P(KeyspaceDifferential, AnswersTheCornersAsRedisDoes) {
  const std::string long_float = "1" + std::string(4000, '0');
  const std::vector<Words> commands = {
      {"SET", "past", "v", "PXAT", "1"},
      {"GET", "past"},
      {"TTL", "past"},
      {"SET", "past", "v", "EX", "9223372036854775"},
      {"SET", "past", "v", "EX", "9223372036854776"},
      {"SET", "past", "v", "PX", "9223372036854775807"},
      {"SET", "past", "v", "PXAT", "9223372036854775807"},
      {"PEXPIRETIME", "past"},
      {"PEXPIREAT", "past", "9223372036854775807"},
      {"EXPIREAT", "past", "9223372036854775"},
      {"EXPIREAT", "past", "9223372036854776"},
      {"EXPIRE", "past", "-9223372036854775808"},
      {"PEXPIRE", "past", "-9223372036854775808"},
      {"EXISTS", "past"},
      {"SET", "", "empty key"},
      {"GET", ""},
      {"SETRANGE", "k", "536870911", ""},
      {"SETRANGE", "k", "536870912", "x"},
      {"SETRANGE", "k", "-1", ""},
      {"SETRANGE", "k", "x", "x"},
      {"GETRANGE", "k", "0", "x"},
      {"SET", "f", "0.1"},
      {"INCRBYFLOAT", "f", "0.2"},
      {"INCRBYFLOAT", "f", "-0.3"},
      {"INCRBYFLOAT", "f", "1e-17"},
      {"INCRBYFLOAT", "f", "1e-20"},
      {"INCRBYFLOAT", "f", "1e17"},
      {"INCRBYFLOAT", "f", "3.14159265358979323846"},
      {"INCRBYFLOAT", "f", "1e4932"},
      {"INCRBYFLOAT", "f", "-inf"},
      {"INCRBYFLOAT", "f", "1e-5000"},
      {"INCRBYFLOAT", "f", "1 "},
      {"INCRBYFLOAT", "f", "1\v"},
      {"INCRBYFLOAT", "f", "0x1p-3"},
      {"INCRBYFLOAT", "f", std::string(5119, '0') + "1"},
      {"SET", "f", long_float},
      {"INCRBYFLOAT", "f", "1"},
      {"SET", "f", "-0"},
      {"INCRBYFLOAT", "f", "-0"},
      {"INCR", "f"},
      {"FLUSHALL", "ASYNC", "SYNC"},
      {"FLUSHDB", "what"},
      {"FLUSHALL", "ASYNC"},
      {"DBSIZE"},
      {"DBSIZE", "x"},
      {"RANDOMKEY"},
      {"SET", "k", "v", "GET", "GET", "NX", "NX", "EX", "100", "EX", "200"},
      {"TTL", "k"},
      {"SET", "k", "v", "KEEPTTL", "KEEPTTL", "XX"},
      {"TTL", "k"},
      {"GETEX", "k", "PERSIST", "PERSIST"},
      {"GETEX", "k", "EX", "x"},
      {"GETEX", "k", "KEEPTTL"},
      {"GETEX", "none", "EX", "0"},
      {"EXPIRE", "k", "x", "what"},
      {"EXPIRE", "k", "x", "NX", "XX"},
      {"EXPIRE", "k", "1", "what\r\n\r\n"},
      {"MSETNX", "dup", "1", "dup", "2"},
      {"GET", "dup"},
      {"RANDOMKEY", "x"},
      {"KEYS"},
      {"FLUSHALL"},
      {"SET", "s", "1"},
      {"HSET", "h", "a", "1", "b", "x"},
      {"HSET", "h", "a"},
      {"HSET", "h", "a", "1", "b"},
      {"HMSET", "h", "a", "1", "b"},
      {"HSET", "s", "a", "1"},
      {"HGETALL", "s"},
      {"HGETALL", "none"},
      {"HMGET", "none", "a", "b"},
      {"HDEL", "none", "a"},
      {"HINCRBY", "h", "b", "1"},
      {"HINCRBY", "h", "a", "9223372036854775807"},
      {"HINCRBY", "h", "a", "x"},
      {"HINCRBY", "s", "a", "x"},
      {"HINCRBYFLOAT", "h", "b", "1"},
      {"HINCRBYFLOAT", "h", "a", "1.5"},
      {"HINCRBYFLOAT", "h", "a", "inf"},
      {"HINCRBYFLOAT", "h", "a", "nan"},
      {"HINCRBYFLOAT", "s", "a", "x"},
      {"HINCRBYFLOAT", "s", "a", "inf"},
      {"INCRBYFLOAT", "h", "x"},
      {"SETRANGE", "h", "x", "x"},
      {"SETRANGE", "h", "0", ""},
      {"GETRANGE", "h", "0", "x"},
      {"GETRANGE", "h", "-1", "-5"},
      {"GETEX", "h", "EX", "x"},
      {"SET", "h", "v", "GET"},
      {"SET", "h", "v", "NX", "GET"},
      {"SET", "h", "v", "EX", "0", "GET"},
      {"GETSET", "h", "v"},
      {"MGET", "h", "s"},
      {"TYPE", "h"},
      {"SETNX", "h", "v"},
      {"RENAME", "none", "x"},
      {"RENAME", "none", "none"},
      {"RENAMENX", "none", "x"},
      {"RENAMENX", "s", "s"},
      {"RENAME", "s", "s"},
      {"RENAME", "s"},
      {"HSET", "r", "f", "v"},
      {"RENAMENX", "s", "r"},
      {"RENAME", "s", "r"},
      {"TYPE", "r"},
      {"RENAME", "r", "s"},
      {"HSET", "r", "f", "v", "g", "w"},
      {"HSCAN", "r", "0"},
      {"HSCAN", "r", "7"},
      {"HSCAN", "r", "x"},
      {"HSCAN", "s", "x"},
      {"HSCAN", "s", "0", "what"},
      {"HSCAN", "none", "0", "what"},
      {"HSCAN", "r", "0", "COUNT", "0"},
      {"HSCAN", "r", "0", "COUNT", "x"},
      {"HSCAN", "r", "0", "TYPE", ""},
      {"HSCAN", "r", "0", "MATCH"},
      {"HSCAN", "r"},
      {"HRANDFIELD", "none"},
      {"HRANDFIELD", "none", "1"},
      {"HRANDFIELD", "none", "x"},
      {"HRANDFIELD", "s"},
      {"HRANDFIELD", "s", "0"},
      {"HRANDFIELD", "r", "1000"},
      {"HRANDFIELD", "r", "1000", "WITHVALUES"},
      {"HRANDFIELD", "r", "-7", "WITHVALUES"},
      {"HRANDFIELD", "r", "0", "WITHVALUES"},
      {"HRANDFIELD", "r", "1", "what"},
      {"HRANDFIELD", "r", "1", "WITHVALUES", "x"},
      {"HRANDFIELD", "r", "x", "what"},
      {"HRANDFIELD", "r", "-9223372036854775808"},
      {"HRANDFIELD", "r", "-9223372036854775808", "WITHVALUES"},
      {"HRANDFIELD", "r", "-9223372036854775807", "WITHVALUES"},
      {"HRANDFIELD", "r", "9223372036854775807", "WITHVALUES"},
      {"HRANDFIELD", "r", "9223372036854775807"},
      {"HRANDFIELD"},
      {"SCAN", "0", "COUNT", "0"},
      {"SCAN", "0", "COUNT", "x"},
      {"SCAN", "0", "MATCH"},
      {"SCAN", "0", "what", "x"},
      {"SCAN", " 0"},
      {"SCAN", "0x"},
      {"SCAN", ""},
      {"SCAN", "99999999999999999999999"},
      {"SCAN", "0", "TYPE", "Hash", "COUNT", "1000000"},
      {"SCAN", "0", "TYPE", "nonsense", "COUNT", "1000000"},
  };
  const auto stored = l2::embedded::make_test_store(GetParam(), l2::embedded::kPlenty);
  Keyspace keyspace(stored->store());
  for (const auto& command : commands) {
    const Reply theirs = ask_redis(command);
    const Reply ours = execute(keyspace, command);
    stored->end_command();
    std::string shown;
    protocol::append_reply(shown, ours, protocol::Version::resp3);
    shown += " but redis: ";
    protocol::append_reply(shown, theirs, protocol::Version::resp3);
    EXPECT_TRUE(agree(command, ours, theirs)) << to_text(command) << " ours: " << shown;
  }
}

TEST_F(BesideRedis, MatchesAnyPatternAsRedisDoes) {
  EXPECT_TRUE(rc::check([this] {
    const std::string alphabet = "ab*?[]^-\\";
    const auto text = [&](std::size_t most) {
      return *rc::gen::resize(static_cast<int>(most),
                              rc::gen::container<std::string>(rc::gen::elementOf(alphabet)));
    };
    l2::memory::MapStore store(l2::embedded::kPlenty);
    Keyspace keyspace(store);
    RC_ASSERT(ask_redis({"FLUSHALL"}) == Reply::ok());
    for (int i = 0; i < 8; ++i) {
      const Words set = {"SET", text(5), "v"};
      RC_ASSERT(ask_redis(set) == execute(keyspace, set));
    }
    for (int i = 0; i < 8; ++i) {
      const Words keys = {"KEYS", text(7)};
      const bool same = agree(keys, execute(keyspace, keys), ask_redis(keys));
      if (!same) RC_FAIL(to_text(keys));
    }
  }));
}

}  // namespace
}  // namespace nearlane::harness
