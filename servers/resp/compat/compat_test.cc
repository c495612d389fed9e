// Programs that were written for Redis, against Nearlane, and against Redis itself, so that what fails is known to be ours.
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include "servers/nearlane/live_processes.h"

namespace nearlane::live {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string url_of(const Redis& redis) { return "redis://127.0.0.1:" + std::to_string(redis.port); }

/// Debian's own interpreter: its packages hold redis-py.
std::string redis_py(int port, const std::string& more = "") {
  return run("/usr/bin/python3 " COMPAT_FOLDER "/redis_py.py " + std::to_string(port) + more);
}

std::string node(const std::string& script, std::initializer_list<int> numbers,
                 const std::string& more = "") {
  std::string line = "env NODE_PATH=" NODE_PACKAGES " node " COMPAT_FOLDER "/" + script;
  for (const int number : numbers) line += " " + std::to_string(number);
  return run(line + more);
}

TEST(Compat, RedisPy) {
  const Redis alone;
  EXPECT_EQ(redis_py(alone.port), "");
  const Redis behind;
  const Nearlane server(url_of(behind));
  EXPECT_EQ(redis_py(server.resp), "");
}

TEST(Compat, RedisPyWithTheEmbeddedStore) {
  const Nearlane server("memory:");
  EXPECT_EQ(redis_py(server.resp, " basic"), "");
}

using ReplyPtr = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;
using ContextPtr = std::unique_ptr<redisContext, decltype(&redisFree)>;

ContextPtr hiredis(int port) { return {redisConnect("127.0.0.1", port), &redisFree}; }

ReplyPtr next_of(redisContext* context) {
  void* reply = nullptr;
  EXPECT_EQ(redisGetReply(context, &reply), REDIS_OK) << context->errstr;
  return {static_cast<redisReply*>(reply), &freeReplyObject};
}

/// What a program in C does: it sends a whole transaction, and reads its replies.
TEST(Compat, HiredisWithTheEmbeddedStores) {
  const Directory directory;
  for (const std::string& store : {std::string("memory:"), directory.url()}) {
    const Nearlane server(store);
    const ContextPtr client = hiredis(server.resp);
    const ContextPtr other = hiredis(server.resp);
    for (const char* command : {"WATCH n", "MULTI", "SET n 1", "INCR n", "EXEC"})
      redisAppendCommand(client.get(), command);
    for (const char* expected : {"OK", "OK", "QUEUED", "QUEUED"})
      EXPECT_STREQ(next_of(client.get())->str, expected);
    const ReplyPtr executed = next_of(client.get());
    ASSERT_EQ(executed->type, REDIS_REPLY_ARRAY);
    ASSERT_EQ(executed->elements, 2U);
    EXPECT_STREQ(executed->element[0]->str, "OK");
    EXPECT_EQ(executed->element[1]->integer, 2);

    redisAppendCommand(client.get(), "WATCH n");
    EXPECT_STREQ(next_of(client.get())->str, "OK");
    redisAppendCommand(other.get(), "INCR n");
    EXPECT_EQ(next_of(other.get())->integer, 3);
    for (const char* command : {"MULTI", "SET n 9", "EXEC"})
      redisAppendCommand(client.get(), command);
    (void)next_of(client.get());
    (void)next_of(client.get());
    EXPECT_EQ(next_of(client.get())->type, REDIS_REPLY_NIL);

    redisAppendCommand(other.get(), "SUBSCRIBE news");
    EXPECT_EQ(next_of(other.get())->element[2]->integer, 1);
    redisAppendCommand(client.get(), "PUBLISH news %b", "a\0b", std::size_t{3});
    EXPECT_EQ(next_of(client.get())->integer, 1);
    const ReplyPtr heard = next_of(other.get());
    ASSERT_EQ(heard->elements, 3U);
    EXPECT_STREQ(heard->element[0]->str, "message");
    EXPECT_EQ(std::string(heard->element[2]->str, heard->element[2]->len), std::string("a\0b", 3));
  }
}

class CompatOfNode : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Clients, CompatOfNode, testing::Values("node_redis", "ioredis"),
                         [](const auto& param) { return std::string(param.param); });

TEST_P(CompatOfNode, WithRedis) {
  const std::string script = GetParam() + std::string(".js");
  const Redis alone;
  EXPECT_EQ(node(script, {alone.port}), "");
  const Redis behind;
  const Nearlane server(url_of(behind));
  EXPECT_EQ(node(script, {server.resp}), "");
}

TEST_P(CompatOfNode, WithTheEmbeddedStore) {
  const Nearlane server("memory:");
  EXPECT_EQ(node(GetParam() + std::string(".js"), {server.resp}, " basic"), "");
}

TEST(Compat, ConnectRedis) {
  const Redis alone;
  EXPECT_EQ(node("sessions.js", {alone.port, alone.port}), "");
  const Redis behind;
  Nearlane one(url_of(behind));
  const Nearlane other(url_of(behind));
  EXPECT_EQ(node("sessions.js", {one.resp, other.resp, one.child->pid()}), "");
  EXPECT_EQ(one.child->wait(), -1) << "it was killed";
}

TEST(Compat, ConnectRedisWithTheEmbeddedStores) {
  const Directory directory;
  for (const std::string& store : {std::string("memory:"), directory.url()}) {
    const Nearlane server(store);
    EXPECT_EQ(node("sessions.js", {server.resp, server.resp}), "");
  }
}

/// Its default tests, which are commands of all types, one at a time and pipelined.
TEST(Compat, RedisBenchmark) {
  const Redis behind;
  const Nearlane server(url_of(behind));
  for (const char* how : {"", " -P 16", " -r 1000 -d 1000"}) {
    const std::string out =
        run("redis-benchmark -q -n 500 -c 20 -p " + std::to_string(server.resp) + how);
    EXPECT_THAT(out, Not(HasSubstr("rror"))) << out;
    EXPECT_THAT(out, Not(HasSubstr("exit "))) << out;
    EXPECT_THAT(out, HasSubstr("MSET (10 keys)")) << "the last of them";
  }
}

TEST(Compat, RedisCli) {
  const Redis behind;
  const Nearlane server(url_of(behind));
  const auto cli = [&](const std::string& more) {
    return run("redis-cli -p " + std::to_string(server.resp) + " " + more);
  };
  EXPECT_EQ(cli("set k v"), "OK\n");
  EXPECT_EQ(cli("--scan --pattern 'k*'"), "k\n");
  EXPECT_THAT(cli("--bigkeys"), HasSubstr("Biggest string found"));
  EXPECT_THAT(cli("-3 hset h f 1"), HasSubstr("1"));
  EXPECT_EQ(run("printf 'MULTI\\nINCR n\\nINCR n\\nEXEC\\n' | redis-cli -p " +
                std::to_string(server.resp)),
            "OK\nQUEUED\nQUEUED\n1\n2\n");
  EXPECT_EQ(run("redis-cli -p " + std::to_string(server.resp) +
                " eval 'return redis.call(\"get\",KEYS[1])' 1 k"),
            "v\n");
  // Least, most and mean milliseconds, and how many.
  EXPECT_THAT(cli("--latency -i 1 --raw"),
              testing::ContainsRegex("^[0-9]+ [0-9]+ [0-9.]+ [0-9]+\n$"));
  EXPECT_THAT(
      run("printf '*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nx\\r\\n$1\\r\\ny\\r\\n' | redis-cli -p " +
          std::to_string(server.resp) + " --pipe"),
      HasSubstr("errors: 0, replies: 1"));
}

}  // namespace
}  // namespace nearlane::live
