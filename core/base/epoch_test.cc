#include "core/base/epoch.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::epoch {
namespace {

std::atomic<int> freed{0};

struct Node {
  static constexpr std::uint64_t kAlive = 0x600d600d600d600d;
  explicit Node(std::uint64_t number) : value(number) {}
  ~Node() {
    alive = 0;
    freed.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t alive = kAlive;
  std::uint64_t value;
};

void free_node(void* object) { delete static_cast<Node*>(object); }

void retire_node(Node* node) { retire(node, free_node, sizeof(Node)); }

class Epoch : public testing::Test {
 protected:
  void SetUp() override {
    drain();
    freed = 0;
  }
  void TearDown() override { drain(); }
};

/// Lets another thread stand under a guard until it is told to go.
class OtherReader {
 public:
  OtherReader() : thread_([this] { run(); }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_; });
  }
  OtherReader(const OtherReader&) = delete;
  OtherReader& operator=(const OtherReader&) = delete;
  ~OtherReader() { leave(); }
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      go_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    const Guard guard;
    std::unique_lock lock(mutex_);
    inside_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return go_; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool inside_ = false;
  bool go_ = false;
  std::thread thread_;
};

TEST_F(Epoch, FreesWhatNobodyCanSeeAfterAFewRounds) {
  retire_node(new Node(1));
  EXPECT_EQ(freed, 0);
  EXPECT_EQ(retired_bytes(), sizeof(Node));
  for (int round = 0; round < 3; ++round) collect();
  EXPECT_EQ(freed, 1);
  EXPECT_EQ(retired_bytes(), 0U);
}

TEST_F(Epoch, FreesNothingWhileAnOlderGuardStands) {
  OtherReader reader;
  for (std::uint64_t i = 0; i < 1000; ++i) retire_node(new Node(i));
  for (int round = 0; round < 100; ++round) collect();
  EXPECT_EQ(freed, 0);
  EXPECT_EQ(retired_bytes(), 1000 * sizeof(Node));
  reader.leave();
  for (int round = 0; round < 100; ++round) collect();
  EXPECT_EQ(freed, 1000);
  EXPECT_EQ(retired_bytes(), 0U);
}

TEST_F(Epoch, FreesNothingUnderOnesOwnGuard) {
  {
    const Guard guard;
    retire_node(new Node(1));
    for (int round = 0; round < 10; ++round) collect();
    EXPECT_EQ(freed, 0);
  }
  for (int round = 0; round < 3; ++round) collect();
  EXPECT_EQ(freed, 1);
}

TEST_F(Epoch, AnIdleThreadThatOnceReadDoesNotHoldReclamationUp) {
  std::mutex mutex;
  std::condition_variable changed;
  bool read = false;
  bool go = false;
  std::thread idle([&] {
    { const Guard guard; }
    std::unique_lock lock(mutex);
    read = true;
    changed.notify_all();
    changed.wait(lock, [&] { return go; });
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return read; });
  }
  retire_node(new Node(1));
  for (int round = 0; round < 3; ++round) collect();
  EXPECT_EQ(freed, 1);
  {
    const std::lock_guard lock(mutex);
    go = true;
  }
  changed.notify_all();
  idle.join();
}

TEST_F(Epoch, GuardsNest) {
  EXPECT_FALSE(guarded());
  {
    const Guard outer;
    {
      const Guard inner;
      EXPECT_TRUE(guarded());
    }
    EXPECT_TRUE(guarded());
    retire_node(new Node(1));
    for (int round = 0; round < 10; ++round) collect();
    EXPECT_EQ(freed, 0) << "the inner guard's end must not end the outer one";
  }
  EXPECT_FALSE(guarded());
}

TEST_F(Epoch, OneCallFreesABoundedNumber) {
  OtherReader reader;
  for (std::uint64_t i = 0; i < 10 * kCollectBatch; ++i) retire_node(new Node(i));
  reader.leave();
  int before = freed;
  for (int round = 0; round < 20; ++round) {
    const bool more = collect();
    EXPECT_LE(freed - before, static_cast<int>(kCollectBatch));
    EXPECT_EQ(more, freed - before == static_cast<int>(kCollectBatch));
    before = freed;
  }
  EXPECT_EQ(freed, static_cast<int>(10 * kCollectBatch));
}

TEST_F(Epoch, OneCallFreesABoundedNumberOfBytes) {
  constexpr int kObjects = 20;
  OtherReader reader;
  for (int i = 0; i < kObjects; ++i) retire(new Node(1), free_node, kCollectBytes / 2);
  reader.leave();
  while (freed < kObjects) {
    const int before = freed;
    const bool more = collect();
    ASSERT_LE(freed - before, 2);
    ASSERT_EQ(more, freed - before == 2);
  }
}

TEST_F(Epoch, WhatAThreadLeavesThatRestsIsFreedByOthers) {
  std::mutex mutex;
  std::condition_variable changed;
  int step = 0;
  const auto reach = [&](int next) {
    const std::lock_guard lock(mutex);
    step = next;
    changed.notify_all();
  };
  const auto await = [&](int wanted) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return step >= wanted; });
  };
  OtherReader reader;
  std::thread sleeper([&] {
    for (std::uint64_t i = 0; i < 10; ++i) retire_node(new Node(i));
    rest();
    reach(1);
    await(2);
    retire_node(new Node(11));  // it goes on as before
    rest();
  });
  await(1);
  reader.leave();
  for (int round = 0; round < 10; ++round) collect();
  EXPECT_EQ(freed, 10);
  reach(2);
  sleeper.join();
  for (int round = 0; round < 10; ++round) collect();
  EXPECT_EQ(freed, 11);
  EXPECT_EQ(retired_bytes(), 0U);
}

TEST_F(Epoch, RetiringAloneKeepsTheListShort) {
  for (std::uint64_t i = 0; i < 10000; ++i) {
    retire_node(new Node(i));
    ASSERT_LE(retired_bytes(), 200 * sizeof(Node));
  }
}

TEST_F(Epoch, WhatAnEndedThreadRetiredIsFreedByOthers) {
  std::thread([] { retire_node(new Node(1)); }).join();
  EXPECT_EQ(freed, 0);
  EXPECT_EQ(retired_bytes(), sizeof(Node));
  for (int round = 0; round < 3; ++round) collect();
  EXPECT_EQ(freed, 1);
  EXPECT_EQ(retired_bytes(), 0U);
}

/// Retires and reads in a destructor that runs after the domain has let the thread go.
struct RetiresLate {
  void touch() const noexcept {}
  ~RetiresLate() {
    const Guard guard;
    retire_node(std::make_unique<Node>(2).release());
  }
};

TEST_F(Epoch, AThreadMayRetireInItsLastDestructors) {
  std::thread([] {
    thread_local const RetiresLate late;  // built first, so destroyed last
    late.touch();
    const Guard guard;
    retire_node(new Node(1));
  }).join();
  for (int round = 0; round < 4; ++round) collect();
  EXPECT_EQ(freed, 2);
  EXPECT_EQ(retired_bytes(), 0U);
}

TEST_F(Epoch, AFreeFunctionMayRetire) {
  struct Parent {
    Node* child = new Node(1);
  };
  retire(
      new Parent,
      [](void* object) {
        const std::unique_ptr<Parent> parent(static_cast<Parent*>(object));
        retire_node(parent->child);
      },
      sizeof(Parent));
  for (int round = 0; round < 6; ++round) collect();
  EXPECT_EQ(freed, 1);
  EXPECT_EQ(retired_bytes(), 0U);
}

TEST_F(Epoch, DrainFreesEverythingOfEverybody) {
  retire_node(new Node(1));
  std::thread([] { retire_node(new Node(2)); }).join();
  drain();
  EXPECT_EQ(freed, 2);
  EXPECT_EQ(retired_bytes(), 0U);
}

}  // namespace
}  // namespace nearlane::epoch
