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

}  // namespace
}  // namespace nearlane::l2
