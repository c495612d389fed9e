// What goes with a command is done with it or not at all, over every store.
#include "core/l2/embedded/perform.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/test_stores.h"

namespace nearlane::l2::embedded {
namespace {

using cohere::Answer;
using cohere::Command;
using cohere::Op;
using protocol::Reply;

class Perform : public testing::TestWithParam<std::string> {
 protected:
  explicit Perform(std::uint64_t max_bytes = kPlenty)
      : stored(make_test_store(GetParam(), max_bytes)), keyspace(stored->store()) {}

  Answer run(const Command& command) {
    Answer answer;
    perform(keyspace, command, now, answer);
    stored->end_command();
    return answer;
  }
  Answer set(const std::string& value, std::vector<std::string> beside) {
    const bool needs = beside[0] == "SET";
    return run({.op = Op::transact,
                .key = Key(0, "k"),
                .args = {"SET", "k", "PX", "1000"},
                .value = Entry::build(KeyRef(0, "k"), value, {}, 0),
                .beside = std::move(beside),
                .needs_beside = needs});
  }
  Answer get() { return run({.op = Op::fetch, .key = Key(0, "k"), .beside = {"GET", "side"}}); }

  WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  std::unique_ptr<TestStore> stored;
  Keyspace keyspace;
};
INSTANTIATE_TEST_SUITE_P(Stores, Perform, testing::ValuesIn(test_store_names()),
                         [](const auto& tested) { return tested.param; });

TEST_P(Perform, ReadsAndWritesBoth) {
  EXPECT_EQ(set("v", {"SET", "side", "s", "PX", "1000"}).beside, Reply::ok());
  Answer both = get();
  EXPECT_EQ(both.reply, Reply::bulk("v"));
  EXPECT_EQ(both.beside, Reply::bulk("s"));
  now += std::chrono::milliseconds(999);
  EXPECT_EQ(get().beside, Reply::bulk("s"));
  now += std::chrono::milliseconds(2);
  both = get();
  EXPECT_TRUE(both.reply.is_null()) << "they end together";
  EXPECT_TRUE(both.beside->is_null());
}

TEST_P(Perform, RemovesBoth) {
  (void)set("v", {"SET", "side", "s"});
  const Answer removed =
      run({.op = Op::raw, .key = Key(0, "k"), .args = {"DEL", "k"}, .beside = {"DEL", "side"}});
  EXPECT_EQ(removed.reply, Reply::number(1));
  EXPECT_EQ(removed.beside, Reply::number(1));
  EXPECT_TRUE(get().beside->is_null());
}

TEST_P(Perform, ComparesBeforeBoth) {
  (void)set("v", {"SET", "side", "s"});
  const auto compare = [this](const std::string& wanted) {
    return run({.op = Op::compare,
                .key = Key(0, "k"),
                .args = {"SET", "k"},
                .value = Entry::build(KeyRef(0, "k"), "w", {}, 0),
                .beside = {"DEL", "side"},
                .holds = [wanted](auto value) { return value == wanted; }});
  };
  EXPECT_FALSE(compare("x").held);
  EXPECT_EQ(get().beside, Reply::bulk("s"));
  EXPECT_TRUE(compare("v").held);
  EXPECT_EQ(get().reply, Reply::bulk("w"));
  EXPECT_TRUE(get().beside->is_null());
}

TEST_P(Perform, DoesNeitherWhereTheFirstIsRefused) {
  (void)set("v", {"SET", "side", "s"});
  const Answer refused = run({.op = Op::transact,
                              .key = Key(0, "k"),
                              .args = {"SET", "k", "PX", "0"},
                              .value = Entry::build(KeyRef(0, "k"), "w", {}, 0),
                              .beside = {"DEL", "side"}});
  EXPECT_TRUE(refused.reply.is_error());
  EXPECT_FALSE(refused.beside);
  EXPECT_EQ(get().beside, Reply::bulk("s"));
}

class PerformInLittleRoom : public Perform {
 protected:
  PerformInLittleRoom() : Perform(2000) {}
};
INSTANTIATE_TEST_SUITE_P(Stores, PerformInLittleRoom, testing::Values("memory"));

TEST_P(PerformInLittleRoom, DoesNeitherWhereThereIsNoRoomForBoth) {
  std::size_t refused = 0;
  for (std::size_t size = 1000; size < 2000; ++size) {
    (void)run({.op = Op::raw, .key = Key(0, "k"), .args = {"DEL", "k"}, .beside = {"DEL", "side"}});
    ASSERT_EQ(set("v", {"SET", "side", "s"}).reply, Reply::ok());
    const Answer answer = set(std::string(size, 'w'), {"SET", "side", "another one"});
    const Answer both = get();
    if (answer.reply.is_error()) {
      ++refused;
      ASSERT_TRUE(answer.reply.text.starts_with("OOM")) << answer.reply.text;
      ASSERT_EQ(both.reply, Reply::bulk("v"));
      ASSERT_EQ(both.beside, Reply::bulk("s"));
    } else {
      ASSERT_EQ(both.beside, Reply::bulk("another one"));
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_LT(refused, 900U);
}

}  // namespace
}  // namespace nearlane::l2::embedded
