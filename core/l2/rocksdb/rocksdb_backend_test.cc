// The executor: one order, one commit a group, and an answer for everyone, whatever the disk does.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/epoch.h"
#include "core/l2/rocksdb/rocksdb_backend_fixture.h"

namespace nearlane::l2 {
namespace {

using namespace std::chrono_literals;
using protocol::Reply;
using testing::HasSubstr;

TEST_F(RocksdbBackendTest, AGroupIsOneCommitAndIsAnsweredInOrderAfterIt) {
  open(Fsync::always);
  Story story;
  Gate gate(*backend);
  const auto syncs = files.log_syncs();
  std::vector<std::future<Answer>> counts;
  counts.reserve(100);
  auto set = submit({"SET", "k", "v"}, &story);
  auto get = submit({"GET", "k"}, &story);
  auto nx = submit({"SETNX", "k", "w"}, &story);
  for (int i = 0; i < 100; ++i) counts.push_back(submit({"INCR", "n"}));
  auto after = submit({"DBSIZE"}, &story);
  gate.open();
  EXPECT_EQ(after.get().reply, Reply::number(2));
  EXPECT_EQ(set.get().reply, Reply::ok());
  EXPECT_EQ(get.get().reply, Reply::bulk("v"));
  EXPECT_EQ(nx.get().reply, Reply::number(0));
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(counts[static_cast<std::size_t>(i)].get().reply.integer, i + 1);
  EXPECT_EQ(files.log_syncs(), syncs + 1);
  EXPECT_THAT(story.events, testing::ElementsAre("settle SET", "settle GET", "settle SETNX",
                                                 "settle DBSIZE", "complete SET", "complete GET",
                                                 "complete SETNX", "complete DBSIZE"));
}

/// What a map does when a write settles: an entry leaves it, on the executor's thread.
class Retiring final : public Call {
 public:
  Retiring(std::promise<void>& completed, std::atomic<bool>& freed)
      : Call({.op = Op::confirm, .key = Key(0, "k")}), completed_(completed), freed_(freed) {}
  void settle(const Answer&) noexcept override {
    const auto free = [](void* freed) { static_cast<std::atomic<bool>*>(freed)->store(true); };
    epoch::retire(&freed_, free, 1);
  }
  void complete(Answer) noexcept override { completed_.set_value(); }

 private:
  std::promise<void>& completed_;
  std::atomic<bool>& freed_;
};

TEST_F(RocksdbBackendTest, WhatAnIdleExecutorHasRetiredIsFreedByOthers) {
  std::promise<void> completed;
  std::atomic<bool> freed{false};
  open();
  backend->submit(std::make_unique<Retiring>(completed, freed));
  completed.get_future().wait();
  EXPECT_TRUE(eventually([&] {
    epoch::collect();
    return freed.load();
  }));
  backend.reset();
  epoch::drain();
}

TEST_F(RocksdbBackendTest, AFullQueueIsBusyAndNothingIsDone) {
  open(Fsync::no, {.queue = 2});
  Gate gate(*backend);
  auto first = submit({"INCR", "n"});
  auto second = submit({"INCR", "n"});
  const Answer third = submit({"INCR", "n"}).get();
  ASSERT_TRUE(third.error.has_value());
  EXPECT_EQ(third.error->code, Errc::busy);
  EXPECT_THAT(third.error->detail, HasSubstr("2 calls are waiting"));
  gate.open();
  EXPECT_EQ(first.get().reply, Reply::number(1));
  EXPECT_EQ(second.get().reply, Reply::number(2));
  EXPECT_EQ(ask({"GET", "n"}).reply, Reply::bulk("2"));
}

TEST_F(RocksdbBackendTest, WhatIsLateInTheQueueIsNotDone) {
  open();
  Gate gate(*backend);
  auto late = submit({"SET", "k", "v"}, nullptr, Clock::now());
  auto exists = submit({"EXISTS", "k"});
  gate.open();
  const Answer answer = late.get();
  ASSERT_TRUE(answer.error.has_value());
  EXPECT_EQ(answer.error->code, Errc::timeout);
  EXPECT_EQ(exists.get().reply, Reply::number(0));
}

TEST_F(RocksdbBackendTest, StopAnswersEveryoneAndKeepsWhatItAcknowledged) {
  open();
  Gate gate(*backend);
  std::vector<std::future<Answer>> answers;
  answers.reserve(500);
  for (int i = 0; i < 500; ++i) answers.push_back(submit({"SET", std::to_string(i), "x"}));
  std::thread stopper([this] { backend->stop(); });
  gate.open();
  stopper.join();
  std::vector<std::string> acknowledged;
  for (int i = 0; i < 500; ++i) {
    const Answer answer = answers[static_cast<std::size_t>(i)].get();
    if (answer.error) {
      EXPECT_EQ(answer.error->code, Errc::shutting_down);
    } else {
      acknowledged.push_back(std::to_string(i));
    }
  }
  EXPECT_EQ(ask({"PING"}).error->code, Errc::shutting_down);
  open();
  EXPECT_EQ(ask({"DBSIZE"}).reply.integer, static_cast<std::int64_t>(acknowledged.size()));
  for (const auto& key : acknowledged) EXPECT_EQ(ask({"EXISTS", key}).reply.integer, 1) << key;
}

TEST_F(RocksdbBackendTest, TellsWhatIsLeftOfAFetchedAndOfAWrittenKey) {
  open();
  EXPECT_EQ(backend->capabilities().coherence, "local");
  const auto call = [this](Command command) {
    std::promise<Answer> promise;
    auto answer = promise.get_future();
    backend->submit(std::make_unique<Asked>(std::move(command), std::move(promise), nullptr, ""));
    return answer.get();
  };
  const Answer set = call({.op = Op::transact,
                           .key = Key(0, "k"),
                           .args = {"SET", "k", "v", "PX", "100000"},
                           .ask_existed = true});
  EXPECT_EQ(set.existed, false);
  EXPECT_GT(set.pttl, 0);
  const Answer got = call({.op = Op::fetch, .key = Key(0, "k")});
  EXPECT_EQ(got.reply, Reply::bulk("v"));
  EXPECT_GT(got.pttl, 0);
  EXPECT_LE(got.pttl, 100'000);
  EXPECT_EQ(got.epoch, backend->lanes()[0].epoch());
  const Answer none = call({.op = Op::fetch, .key = Key(0, "none")});
  EXPECT_TRUE(none.reply.is_null());
  EXPECT_EQ(none.pttl, -2);
  (void)call(
      {.op = Op::raw, .key = Key(0, ""), .args = {"FLUSHALL"}, .wide = true, .undeclared = true});
  EXPECT_NE(got.epoch, backend->lanes()[0].epoch());
}

TEST_F(RocksdbBackendTest, SyncsOnceASecondWhatItHasAcknowledged) {
  open(Fsync::everysec);
  const auto syncs = files.log_syncs();
  EXPECT_EQ(ask({"SET", "early", "x"}).reply, Reply::ok());
  ASSERT_TRUE(eventually([&] { return files.log_syncs() > syncs; }));
  files.cut_power();
  backend.reset();
  files.lose_unsynced();
  open(Fsync::everysec);
  EXPECT_EQ(ask({"GET", "early"}).reply, Reply::bulk("x"));
}

TEST_F(RocksdbBackendTest, NothingIsSyncedWhereNobodyAsksForIt) {
  open(Fsync::no);
  EXPECT_EQ(ask({"SET", "k", "x"}).reply, Reply::ok());
  files.cut_power();
  backend.reset();
  files.lose_unsynced();
  open(Fsync::no);
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::null());
}

TEST_F(RocksdbBackendTest, AFullDiskRefusesWritesAnswersReadsAndIsForgivenWhenThereIsSpace) {
  open();
  EXPECT_EQ(ask({"SET", "k", "1"}).reply, Reply::ok());
  files.set_full(true);
  Gate gate(*backend);
  auto before = submit({"GET", "k"});
  auto refused = submit({"INCR", "k"});
  auto after = submit({"GET", "k"});
  gate.open();
  EXPECT_EQ(before.get().reply, Reply::bulk("1"));
  const Reply reply = refused.get().reply;
  ASSERT_TRUE(reply.is_error());
  EXPECT_THAT(reply.text, testing::StartsWith("MISCONF the embedded store at " + dir.path()));
  EXPECT_THAT(reply.text, HasSubstr("No space"));
  EXPECT_EQ(after.get().reply, Reply::bulk("1"));  // not what could not be committed
  EXPECT_THAT(ask({"SET", "k", "2"}).reply.text, testing::StartsWith("MISCONF"));
  EXPECT_FALSE(backend->health().ready);
  EXPECT_THAT(backend->health().detail, HasSubstr("writes are refused"));
  files.set_full(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"INCR", "k"}).reply, Reply::number(2));
  open();
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::bulk("2"));
}

TEST_F(RocksdbBackendTest, ATransactionIsOneCommitAmongOthers) {
  open(Fsync::always);
  const auto syncs = files.log_syncs();
  auto all = exec({{0, {"SET", "a", "1"}}, {0, {"INCR", "a"}}, {3, {"SET", "b", "x"}}});
  EXPECT_EQ(all.get().reply, Reply::array({Reply::ok(), Reply::number(2), Reply::ok()}));
  EXPECT_EQ(files.log_syncs(), syncs + 1);
  open();
  EXPECT_EQ(ask({"GET", "a"}).reply, Reply::bulk("2"));
}

TEST_F(RocksdbBackendTest, OneOrderDecidesWhetherAWatchHolds) {
  open();
  const auto watch_k = [&] {
    auto watch = std::make_shared<cohere::Watch>();
    std::promise<Answer> promise;
    auto answer = promise.get_future();
    Command command{
        .op = Op::watch, .key = Key(0, "k"), .args = {"k"}, .wide = true, .watch = watch};
    backend->submit(
        std::make_unique<Asked>(std::move(command), std::move(promise), nullptr, "WATCH"));
    return std::pair(watch, std::move(answer));
  };
  Gate gate(*backend);
  auto before = submit({"SET", "k", "1"});
  auto [one, watched] = watch_k();
  auto [two, watched_too] = watch_k();
  auto good = exec({{0, {"SET", "k", "2"}}}, one);
  auto late = exec({{0, {"SET", "k", "3"}}}, two);
  auto read = submit({"GET", "k"});
  gate.open();
  EXPECT_EQ(watched.get().reply, Reply::ok());
  EXPECT_EQ(good.get().reply, Reply::array({Reply::ok()}));
  EXPECT_EQ(late.get().reply, Reply::null());
  EXPECT_EQ(read.get().reply, Reply::bulk("2"));
}

TEST_F(RocksdbBackendTest, AFullDiskRefusesATransactionAsAWhole) {
  open();
  EXPECT_EQ(ask({"SET", "k", "1"}).reply, Reply::ok());
  auto watch = std::make_shared<cohere::Watch>();
  std::promise<Answer> promise;
  auto watched = promise.get_future();
  Command command{.op = Op::watch, .key = Key(0, "k"), .args = {"k"}, .wide = true, .watch = watch};
  backend->submit(
      std::make_unique<Asked>(std::move(command), std::move(promise), nullptr, "WATCH"));
  EXPECT_EQ(watched.get().reply, Reply::ok());
  files.set_full(true);
  auto writes = exec({{0, {"GET", "k"}}, {0, {"SET", "j", "2"}}, {0, {"SET", "k", "2"}}}, watch);
  EXPECT_THAT(writes.get().reply.text,
              testing::StartsWith(
                  "EXECABORT Transaction discarded because of: MISCONF the embedded store at "));
  auto reads = exec({{0, {"GET", "k"}}, {0, {"GET", "j"}}});
  EXPECT_EQ(reads.get().reply, Reply::array({Reply::bulk("1"), Reply::null()}));
  files.set_full(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"EXISTS", "j"}).reply, Reply::number(0));
}

TEST_F(RocksdbBackendTest, ADiskThatDoesNotSyncRefusesWrites) {
  open(Fsync::everysec);
  files.set_sync_fails(true);
  EXPECT_EQ(ask({"SET", "k", "2"}).reply, Reply::ok());
  ASSERT_TRUE(eventually([&] { return !backend->health().ready; }));
  EXPECT_THAT(ask({"SET", "k", "3"}).reply.text, HasSubstr("does not sync"));
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::bulk("2"));
  files.set_sync_fails(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"SET", "k", "4"}).reply, Reply::ok());
  open();
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::bulk("4"));
}

TEST_F(RocksdbBackendTest, ASyncThatDoesNotReturnRefusesWritesAndHoldsUpNoReads) {
  open(Fsync::everysec);
  files.set_sync_hangs(true);
  EXPECT_EQ(ask({"SET", "k", "1"}).reply, Reply::ok());
  ASSERT_TRUE(eventually([&] { return files.hanging_syncs() > 0; }));
  EXPECT_EQ(ask({"SET", "k", "2"}).reply, Reply::ok()) << "it may return yet";
  EXPECT_TRUE(eventually([&] { return ask({"SET", "k", "2"}).reply.is_error(); }, 5s));
  EXPECT_THAT(ask({"SET", "k", "3"}).reply.text, HasSubstr("sync: it has not returned"));
  EXPECT_FALSE(backend->health().ready);
  EXPECT_THAT(backend->health().detail, HasSubstr("sync: it has not returned"));
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::bulk("2"));
  files.set_sync_hangs(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"SET", "k", "4"}).reply, Reply::ok());
}

TEST_F(RocksdbBackendTest, NobodyWhoReadsWaitsForASyncWhereACommitHasFailedMeanwhile) {
  open(Fsync::everysec);
  files.set_sync_hangs(true);
  EXPECT_EQ(ask({"SET", "k", "1"}).reply, Reply::ok());
  ASSERT_TRUE(eventually([&] { return files.hanging_syncs() > 0; }));
  files.set_full(true);
  EXPECT_THAT(ask({"SET", "k", "2"}).reply.text, HasSubstr("No space"));
  files.set_full(false);
  // Until it would be tried again, and beyond.
  for (const auto until = Clock::now() + 1500ms; Clock::now() < until;) {
    auto answer = submit({"GET", "k"});
    const bool came = answer.wait_for(1s) == std::future_status::ready;
    EXPECT_TRUE(came);
    if (!came) break;
    EXPECT_EQ(answer.get().reply, Reply::bulk("1"));
    std::this_thread::sleep_for(50ms);
  }
  files.set_sync_hangs(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"SET", "k", "3"}).reply, Reply::ok());
}

// After a sync that failed the system may have dropped what it was to write.
TEST_F(RocksdbBackendTest, SaysWhatIsLostWhereADirectoryIsOpenedAgain) {
  open(Fsync::everysec);
  files.set_sync_fails(true);
  for (int i = 0; i < 100; ++i) (void)submit({"SET", std::to_string(i), std::string(1000, 'x')});
  ASSERT_EQ(ask({"DBSIZE"}).reply, Reply::number(100));
  ASSERT_TRUE(eventually([&] { return !backend->health().ready; }));
  EXPECT_THAT(backend->health().detail, testing::Not(HasSubstr("its log was damaged")));
  for (const auto& file : std::filesystem::directory_iterator(dir.path() + "/db")) {
    if (file.path().extension() != ".log") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(50'000);
    bytes << "damage";
  }
  files.set_sync_fails(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  const std::string detail = backend->health().detail;
  EXPECT_THAT(detail, HasSubstr("its log was damaged"));
  const auto left = ask({"DBSIZE"}).reply.integer;
  EXPECT_LT(left, 60);
  EXPECT_THAT(detail, testing::StartsWith(std::to_string(left) + " keys"));
}

// It is in the log before it is synced, and the log is read again. L1 must not go on with what was there before.
TEST_F(RocksdbBackendTest, AWriteWhoseSyncFailedMayBeThereLaterAndIsDisowned) {
  open(Fsync::always);
  EXPECT_EQ(ask({"SET", "k", "1"}).reply, Reply::ok());
  files.set_sync_fails(true);
  const Reply refused = ask({"SET", "k", "2"}).reply;
  EXPECT_THAT(refused.text, testing::StartsWith("MISCONF "));
  EXPECT_THAT(refused.text, HasSubstr("whether this was written is not known"));
  const Answer before = ask({"GET", "k"});
  EXPECT_EQ(before.reply, Reply::bulk("1"));
  EXPECT_EQ(before.epoch, backend->lanes()[0].epoch());
  const Reply unsent = ask({"SET", "k", "3"}).reply;
  EXPECT_THAT(unsent.text, testing::StartsWith("MISCONF "));
  EXPECT_THAT(unsent.text, testing::Not(HasSubstr("not known")));
  files.set_sync_fails(false);
  ASSERT_TRUE(eventually([&] { return backend->health().ready; })) << backend->health().detail;
  EXPECT_EQ(ask({"GET", "k"}).reply, Reply::bulk("2"));
  EXPECT_NE(before.epoch, backend->lanes()[0].epoch());
  EXPECT_EQ(backend->lanes()[0].lease_until(), kForever);
}

TEST_F(RocksdbBackendTest, DropsWhatHasExpiredAlthoughNobodyAsks) {
  open(Fsync::no, {.queue = 10'000});
  for (int i = 0; i < 3000; ++i) (void)submit({"SET", std::to_string(i), "x", "PX", "1"});
  EXPECT_EQ(ask({"SET", "stays", "x"}).reply, Reply::ok());
  EXPECT_TRUE(eventually([&] {
    return backend->health().detail.starts_with("1 keys in rocksdb:");
  })) << backend->health().detail;
  EXPECT_EQ(ask({"DBSIZE"}).reply, Reply::number(1));
}

TEST_F(RocksdbBackendTest, HoldsALargeValue) {
  open();
  const std::string large(std::size_t{64} << 20U, 'x');
  EXPECT_EQ(ask({"SET", "k", large}).reply, Reply::ok());
  open();
  EXPECT_EQ(ask({"GET", "k"}).reply.text.size(), large.size());
}

}  // namespace
}  // namespace nearlane::l2
