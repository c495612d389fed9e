// MULTI and WATCH, over every store: what is executed, what EXEC answers, and which changes stop it.

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/embedded/keyspace_fixture.h"

namespace nearlane::l2::embedded {
namespace {

using namespace std::chrono_literals;
using protocol::Reply;
using protocol::Type;

class TransactionTest : public KeyspaceTest {
 protected:
  using Queue = std::vector<cohere::Queued>;

  void watch(cohere::Watch& who, std::vector<std::string> names, std::uint32_t in = 0) {
    keyspace.watch(who, in, names, now);
    stored->end_command();
  }
  Reply exec(cohere::Watch* who, const Queue& commands) {
    Reply reply = keyspace.execute_all(commands, who, now, {});
    stored->end_command();
    return reply;
  }
  /// Whether EXEC goes on after `change`, of a client that watches k, which is there for 100 s, h, which is a hash, and
  /// absent keys.
  bool goes_on_after(const std::function<void()>& change) {
    run({"FLUSHALL"});
    run({"SET", "k", "5", "EX", "100"});
    run({"HSET", "h", "f", "1"});
    run({"SET", "eternal", "v"});
    cohere::Watch who;
    watch(who, {"k", "h", "absent", "eternal"});
    change();
    return exec(&who, {{0, {"PING?"}}}).type == Type::array;
  }
  bool goes_on_after(const Words& command) {
    return goes_on_after([&] { run(command); });
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, TransactionTest, testing::ValuesIn(test_store_names()),
                         store_name);

TEST_P(TransactionTest, IsNotExecutedWhereAWatchedKeyCannotBeRead) {
  cohere::Watch who;
  watch(who, {"k"});
  const Queue commands = {{0, {"SET", "j", "v"}}};
  const Reply reply = keyspace.execute_all(
      commands, &who, now, [](Reply& looked) { looked = Reply::error("ERR cannot be read"); });
  stored->end_command();
  EXPECT_EQ(reply.text, "ERR cannot be read");
  EXPECT_TRUE(run({"GET", "j"}).is_null());
}

TEST_P(TransactionTest, EachCommandSeesTheEarlierOnesAndAnErrorUndoesNothing) {
  const Reply reply = exec(nullptr, {{0, {"SET", "k", "1"}},
                                     {0, {"INCR", "k"}},
                                     {1, {"GET", "k"}},
                                     {0, {"HSET", "k", "f", "v"}},
                                     {0, {"LPUSH", "k", "v"}},
                                     {0, {"MSET", "a", "1", "b"}},
                                     {0, {"GET", "k"}}});
  ASSERT_EQ(reply.elements.size(), 7U);
  EXPECT_EQ(reply.elements[0], Reply::ok());
  EXPECT_EQ(reply.elements[1], Reply::number(2));
  EXPECT_EQ(reply.elements[2], Reply::null()) << "another database";
  EXPECT_TRUE(reply.elements[3].text.starts_with("WRONGTYPE"));
  EXPECT_TRUE(reply.elements[4].text.starts_with("ERR unknown command 'LPUSH'"));
  EXPECT_EQ(reply.elements[5].text, "ERR wrong number of arguments for 'mset' command");
  EXPECT_EQ(reply.elements[6], Reply::bulk("2"));
  EXPECT_EQ(exec(nullptr, {}), Reply::array({}));
}

TEST_P(TransactionTest, WhatRedisCallsAChangeStopsIt) {
  for (const Words& command : std::vector<Words>{
           {"SET", "k", "5", "KEEPTTL"},
           {"SET", "absent", ""},
           {"DEL", "k"},
           {"UNLINK", "none", "h"},
           {"GETDEL", "k"},
           {"APPEND", "k", ""},
           {"APPEND", "absent", ""},
           {"SETRANGE", "k", "0", "5"},
           {"INCRBY", "k", "0"},
           {"EXPIRE", "k", "100"},
           {"EXPIRE", "k", "-1"},
           {"PERSIST", "k"},
           {"GETEX", "k", "EX", "100"},
           {"GETEX", "k", "PERSIST"},
           {"GETSET", "k", "5"},
           {"MSET", "x", "1", "k", "5"},
           {"HSET", "h", "f", "1"},
           {"HDEL", "h", "f"},
           {"HSET", "absent", "f", "1"},
           {"RENAME", "k", "x"},
           {"RENAME", "h", "absent"},
           {"FLUSHALL"},
           {"FLUSHDB"},
       }) {
    EXPECT_FALSE(goes_on_after(command))
        << command[0] << " " << (command.size() > 1 ? command[1] : "");
  }
  EXPECT_FALSE(goes_on_after([&] {
    run({"DEL", "k"});
    run({"SET", "k", "5", "EX", "100"});
  })) << "it is there again, but it is another one";
  EXPECT_FALSE(goes_on_after([&] {
    run({"SET", "absent", "v"});
    run({"DEL", "absent"});
  })) << "it was there for a while";
}

TEST_P(TransactionTest, WhatChangesNothingDoesNot) {
  for (const Words& command : std::vector<Words>{
           {"GET", "k"},
           {"SET", "k", "v", "NX"},
           {"SET", "absent", "v", "XX"},
           {"SETNX", "k", "v"},
           {"DEL", "absent"},
           {"EXPIRE", "absent", "100"},
           {"EXPIRE", "k", "100", "NX"},
           {"PERSIST", "eternal"},
           {"GETEX", "eternal", "PERSIST"},
           {"GETEX", "k"},
           {"SETRANGE", "k", "0", ""},
           {"HDEL", "h", "none"},
           {"HSETNX", "h", "f", "2"},
           {"INCR", "h"},
           {"HSET", "k", "f", "v"},
           {"MSETNX", "k", "1", "absent", "1"},
           {"RENAME", "k", "k"},
           {"SET", "other", "v"},
       }) {
    EXPECT_TRUE(goes_on_after(command))
        << command[0] << " " << (command.size() > 1 ? command[1] : "");
  }
  EXPECT_TRUE(goes_on_after([&] {
    db = 1;
    run({"SET", "k", "v"});
    run({"FLUSHDB"});
    db = 0;
  })) << "another database's keys of the same names";
}

TEST_P(TransactionTest, WhatExpiresMeanwhileIsAChangeAndWhatHadExpiredBeforeIsNot) {
  EXPECT_FALSE(goes_on_after([&] { now += 101s; }));
  EXPECT_FALSE(goes_on_after([&] {
    now += 101s;
    expire(100);
  }));
  run({"SET", "k", "v", "PX", "10"});
  now += 11ms;
  cohere::Watch who;
  watch(who, {"k"});
  expire(100);
  EXPECT_EQ(exec(&who, {}), Reply::array({}));
}

TEST_P(TransactionTest, ItsOwnWritesTouchOthersAndNotItself) {
  cohere::Watch one;
  cohere::Watch two;
  watch(one, {"k"});
  watch(two, {"k"});
  EXPECT_EQ(exec(&one, {{0, {"SET", "k", "1"}}}), Reply::array({Reply::ok()}));
  EXPECT_EQ(exec(&two, {{0, {"SET", "k", "2"}}}), Reply::null());
  EXPECT_EQ(run({"GET", "k"}), Reply::bulk("1"));
}

TEST_P(TransactionTest, AnswersNoMoreThanAClientMayLeaveLying) {
  run({"SET", "k", std::string(std::size_t{32} << 20U, 'v')});
  Queue commands(9, {0, {"GET", "k"}});
  commands.push_back({0, {"INCR", "n"}});
  const Reply reply = exec(nullptr, commands);
  ASSERT_EQ(reply.elements.size(), 10U);
  EXPECT_EQ(reply.elements[6].type, Type::bulk_string);
  EXPECT_EQ(reply.elements[8].text, "ERR nearlane: the answer would be longer than 256 MiB");
  EXPECT_EQ(reply.elements[9], Reply::number(1)) << "what is small fits still";
}

}  // namespace
}  // namespace nearlane::l2::embedded
