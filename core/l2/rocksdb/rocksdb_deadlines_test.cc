// A deadline is kept whatever the disk does, and what comes after it is nobody's answer.
#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/l2/rocksdb/rocksdb_backend_fixture.h"

namespace nearlane::l2 {
namespace {

using namespace std::chrono_literals;
using protocol::Reply;
using testing::HasSubstr;

class RocksdbDeadlinesTest : public RocksdbBackendTest {
 protected:
  void expect_late(std::future<Answer> late, const std::string& text) {
    ASSERT_EQ(late.wait_for(10s), std::future_status::ready);
    const Answer answer = late.get();
    ASSERT_TRUE(answer.error.has_value()) << answer.reply.text;
    EXPECT_EQ(answer.error->code, Errc::timeout);
    EXPECT_THAT(answer.error->detail, HasSubstr(text));
  }
  const RocksdbLimits limits{.queue = 10'000, .longest_operation = 10ms};
};

TEST_F(RocksdbDeadlinesTest, AreKeptByADiskThatHangs) {
  open(Fsync::no, limits);
  Story story;
  EXPECT_TRUE(backend->health().ready);
  Gate gate(*backend);
  files.set_log_hangs(true);
  const TimePoint soon = Clock::now() + 300ms;  // time enough to get to the disk
  auto before = submit({"GET", "k"}, &story);
  auto write = submit({"SET", "k", "v"}, &story, soon);
  gate.open();
  ASSERT_TRUE(eventually([&] { return files.hanging_writes() > 0; }));
  auto queued = submit({"DEL", "k"}, &story, soon);
  auto after = submit({"GETRANGE", "k", "0", "-1"}, &story);
  expect_late(std::move(write), "did not answer in time");
  expect_late(std::move(queued), "in the queue; nothing was done");
  EXPECT_TRUE(eventually([&] { return !backend->health().ready; }));
  EXPECT_THAT(backend->health().detail, HasSubstr("it has not answered for 10 ms"));
  EXPECT_EQ(before.wait_for(0ms), std::future_status::timeout) << "it has time";
  files.set_log_hangs(false);
  // What was read before a write that was given up must not come into L1 after it.
  const Answer read = before.get();
  EXPECT_EQ(read.reply, Reply::null());
  EXPECT_EQ(read.epoch, cohere::kNoEpoch);
  const Answer written = after.get();
  EXPECT_EQ(written.reply, Reply::bulk("v"));
  EXPECT_EQ(written.epoch, backend->lanes()[0].epoch());
  EXPECT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  backend->stop();
  for (const std::string call : {"GET", "SET", "DEL", "GETRANGE"}) {
    EXPECT_EQ(std::count(story.events.begin(), story.events.end(), "settle " + call), 1) << call;
    EXPECT_EQ(std::count(story.events.begin(), story.events.end(), "complete " + call), 1) << call;
  }
}

TEST_F(RocksdbDeadlinesTest, AReadThatIsGivenUpTakesNothingFromOthers) {
  open(Fsync::no, limits);
  Gate gate(*backend);
  files.set_log_hangs(true);
  auto read = submit({"GET", "k"}, nullptr, Clock::now() + 20ms);
  auto write = submit({"SET", "k", "v"});
  gate.open();
  expect_late(std::move(read), "");
  files.set_log_hangs(false);
  const Answer written = write.get();
  EXPECT_EQ(written.reply, Reply::ok());
  EXPECT_EQ(written.epoch, backend->lanes()[0].epoch());
}

TEST_F(RocksdbDeadlinesTest, AQueueFullOfLateCallsHasRoomAgain) {
  open(Fsync::no, {.queue = 2});
  files.set_log_hangs(true);
  auto write = submit({"SET", "k", "v"});
  ASSERT_TRUE(eventually([&] { return files.hanging_writes() > 0; }));
  auto first = submit({"INCR", "n"}, nullptr, Clock::now() + 1ms);
  auto second = submit({"INCR", "n"}, nullptr, Clock::now() + 1ms);
  expect_late(std::move(first), "nothing was done");
  expect_late(std::move(second), "nothing was done");
  auto third = submit({"INCR", "n"});
  files.set_log_hangs(false);
  EXPECT_EQ(write.get().reply, Reply::ok());
  EXPECT_EQ(third.get().reply, Reply::number(1));
}

// A promise that is kept twice ends the process.
TEST_F(RocksdbDeadlinesTest, EveryoneIsAnsweredOnceWhereDeadlinesPassAllTheTime) {
  open(Fsync::no, limits);
  constexpr int kCalls = 5000;
  std::vector<std::future<Answer>> answers;
  answers.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    if (i % 500 == 0) files.set_log_hangs(i % 1000 == 0);
    answers.push_back(submit({"INCR", "n"}, nullptr, Clock::now() + i % 50 * 100us));
  }
  files.set_log_hangs(false);
  std::int64_t done = 0;
  std::int64_t unknown = 0;
  for (auto& future : answers) {
    const Answer answer = future.get();
    if (!answer.error) {
      ++done;
      continue;
    }
    ASSERT_EQ(answer.error->code, Errc::timeout);
    if (answer.error->detail.find("nothing was done") == std::string::npos) ++unknown;
  }
  const std::int64_t counted = std::stoll("0" + ask({"GET", "n"}).reply.text);
  EXPECT_GE(counted, done);
  EXPECT_LE(counted, done + unknown);
}

}  // namespace
}  // namespace nearlane::l2
