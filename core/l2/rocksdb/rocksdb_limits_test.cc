// What the store on disk holds in memory for its clients has a bound, and no client pays for another's.
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/l2/rocksdb/rocksdb_backend_fixture.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;
using rocks::DiskStore;

class RocksdbLimitsTest : public RocksdbBackendTest {};

TEST_F(RocksdbLimitsTest, AGroupThatHasChangedMuchIsCommittedBeforeItGoesOn) {
  open(Fsync::always);
  Gate gate(*backend);
  const auto syncs = files.log_syncs();
  const std::string end = std::to_string(DiskStore::kMostChanged);
  Story story;
  auto small = submit({"SET", "small", "v"}, &story);
  auto large = submit({"SETRANGE", "large", end, "x"}, &story);
  auto longer = submit({"APPEND", "large", "y"}, &story);
  auto last = submit({"GETRANGE", "large", end, "-1"}, &story);
  gate.open();
  EXPECT_EQ(last.get().reply, Reply::bulk("xy"));
  EXPECT_EQ(files.log_syncs(), syncs + 2);
  EXPECT_THAT(story.events,
              testing::ElementsAre("settle SET", "settle SETRANGE", "complete SET",
                                   "complete SETRANGE", "settle APPEND", "complete APPEND",
                                   "settle GETRANGE", "complete GETRANGE"));
}

TEST_F(RocksdbLimitsTest, ATransactionIsOneCommitHoweverMuchItChanges) {
  open(Fsync::always);
  const auto syncs = files.log_syncs();
  const std::string end = std::to_string(DiskStore::kMostChanged);
  auto all = exec({{0, {"SETRANGE", "a", end, "x"}}, {0, {"RENAME", "a", "b"}}});
  EXPECT_FALSE(all.get().reply.is_error());
  EXPECT_EQ(files.log_syncs(), syncs + 1);
  EXPECT_EQ(ask({"EXISTS", "a", "b"}).reply, Reply::number(1));
}

TEST_F(RocksdbLimitsTest, AQueueFullOfBytesIsBusyAndNothingIsDone) {
  open(Fsync::no, {.queue = 1000, .queue_bytes = std::size_t{1} << 20U});
  Gate gate(*backend);
  const std::string half(std::size_t{1} << 19U, 'v');
  auto first = submit({"SET", "a", half});
  const Answer second = submit({"SET", "b", half}).get();
  ASSERT_TRUE(second.error.has_value());
  EXPECT_EQ(second.error->code, Errc::busy);
  EXPECT_THAT(second.error->detail, testing::HasSubstr("calls of 1 MiB are waiting"));
  auto small = submit({"EXISTS", "a", "b"});
  gate.open();
  EXPECT_EQ(first.get().reply, Reply::ok());
  EXPECT_EQ(small.get().reply, Reply::number(1));
  EXPECT_EQ(ask({"SET", "b", half}).reply, Reply::ok()) << "what is taken out makes room";
}

TEST_F(RocksdbLimitsTest, OneCallIsTakenHoweverLargeItIs) {
  open(Fsync::no, {.queue = 1000, .queue_bytes = 10});
  Gate gate(*backend);
  auto large = submit({"SET", "a", std::string(1000, 'v')});
  EXPECT_EQ(submit({"PING"}).get().error->code, Errc::busy);
  gate.open();
  EXPECT_EQ(large.get().reply, Reply::ok());
}

}  // namespace
}  // namespace nearlane::l2
