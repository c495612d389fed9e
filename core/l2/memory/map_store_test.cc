// The cap of bytes, which only the store in memory has.
#include "core/l2/memory/map_store.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/l2/embedded/keyspace.h"

namespace nearlane::l2::memory {
namespace {

using namespace std::chrono_literals;
using embedded::kEntryOverhead;
using embedded::Keyspace;
using protocol::Reply;
using Words = std::vector<std::string_view>;

class MapStoreTest : public testing::Test {
 protected:
  static constexpr std::size_t kValue = 1000;
  Reply run(const Words& words) { return keyspace.execute(0, words, now); }
  std::string error(const Words& words) {
    const Reply reply = run(words);
    return reply.is_error() ? reply.text : "no error: " + reply.text;
  }
  std::int64_t number(const Words& words) { return run(words).integer; }

  WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
  MapStore store{4 * (1 + kValue + kEntryOverhead)};
  Keyspace keyspace{store, 3000};
  std::string value = std::string(kValue, 'x');
};

TEST_F(MapStoreTest, RefusesWritesThatDoNotFitAndChangesNothing) {
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

TEST_F(MapStoreTest, MakesRoomByDroppingWhatHasExpired) {
  for (const auto key : {"a", "b", "c", "d"}) run({"PSETEX", key, "10", value});
  now += 11ms;
  EXPECT_EQ(run({"SET", "e", value}), Reply::ok());
  EXPECT_EQ(store.size(), 4U);
}

TEST_F(MapStoreTest, HoldsValuesToTheirLimit) {
  const std::string half(2000, 'x');
  run({"SET", "a", half});
  EXPECT_EQ(error({"APPEND", "a", half}),
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

TEST(MapStore, CountsBytesExactlyWhateverHappens) {
  EXPECT_TRUE(rc::check([] {
    MapStore store(3000);
    Keyspace keyspace(store);
    WallTime now{std::chrono::milliseconds(1'700'000'000'000)};
    const std::vector<std::string> keys = {"a", "bb", "ccc", "dddd"};
    const auto length = *rc::gen::inRange(1, 60);
    for (int i = 0; i < length; ++i) {
      const std::string key = *rc::gen::elementOf(keys);
      const std::string size(*rc::gen::inRange<std::size_t>(0, 900), 'v');
      const std::string ms = std::to_string(*rc::gen::inRange(1, 20));
      const std::vector<Words> commands = {{"SET", key, size},
                                           {"PSETEX", key, ms, size},
                                           {"APPEND", key, size},
                                           {"SETRANGE", key, ms, size},
                                           {"DEL", key},
                                           {"PEXPIRE", key, ms},
                                           {"HSET", key, ms, size},
                                           {"HDEL", key, ms},
                                           {"PERSIST", key},
                                           {"MSET", key, size, "bb", size}};
      (void)keyspace.execute(0, *rc::gen::elementOf(commands), now);
      now += std::chrono::milliseconds(*rc::gen::inRange(0, 5));
      if (*rc::gen::inRange(0, 4) == 0) store.sweep(now.time_since_epoch().count(), 1);
      RC_ASSERT(store.bytes() <= 3000U);
    }
    std::uint64_t bytes = 0;
    (void)store.scan(0, 0, 100, now.time_since_epoch().count(), [&](const auto& entry) {
      bytes += entry.first.size() + entry.second.bytes.size() + kEntryOverhead;
    });
    store.sweep(now.time_since_epoch().count(), 100);
    RC_ASSERT(store.bytes() == bytes);
  }));
}

}  // namespace
}  // namespace nearlane::l2::memory
