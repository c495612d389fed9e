#include "core/tier/precompress_queue.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nearlane::tier {
namespace {

EntryPtr make(std::string_view name, std::size_t size) {
  return Entry::build(KeyRef(0, name), std::string(size, 'v'), kForever, 1);
}

TEST(PrecompressQueue, WorksInTheOrderOfOffers) {
  std::string done;
  PrecompressQueue queue({.threads = 0}, [&](const Entry& entry) { done += entry.key().name; });
  EXPECT_FALSE(queue.work_once());
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(queue.offer(make(name, 10)));
  EXPECT_EQ(queue.waiting(), 3U);
  while (queue.work_once()) {
  }
  EXPECT_EQ(done, "abc");
  EXPECT_EQ(queue.waiting(), 0U);
}

TEST(PrecompressQueue, TurnsAwayWhatIsOverItsEntries) {
  PrecompressQueue queue({.threads = 0, .most_waiting = 2}, [](const Entry&) {});
  EXPECT_TRUE(queue.offer(make("a", 10)));
  EXPECT_FALSE(queue.full());
  EXPECT_TRUE(queue.offer(make("b", 10)));
  EXPECT_TRUE(queue.full());
  EXPECT_FALSE(queue.offer(make("c", 10)));
  queue.work_once();
  EXPECT_TRUE(queue.offer(make("c", 10)));
}

TEST(PrecompressQueue, TurnsAwayWhatIsOverItsBytesAlsoWhileItWorks) {
  PrecompressQueue* itself = nullptr;
  std::vector<bool> taken;
  PrecompressQueue queue({.threads = 0, .most_bytes = 100}, [&](const Entry& entry) {
    if (entry.key().name == "a") taken.push_back(itself->offer(make("c", 41)));
  });
  itself = &queue;
  EXPECT_FALSE(queue.offer(make("z", 101)));
  EXPECT_TRUE(queue.offer(make("a", 60)));
  EXPECT_FALSE(queue.offer(make("b", 41)));
  queue.work_once();
  EXPECT_EQ(taken, std::vector{false}) << "what is being worked on is still held";
  EXPECT_TRUE(queue.offer(make("b", 100)));
}

TEST(PrecompressQueue, DropsWhatWaitsWhenItStops) {
  const auto entry = make("a", 10);
  int worked = 0;
  {
    PrecompressQueue queue({.threads = 0}, [&](const Entry&) { ++worked; });
    queue.offer(entry);
    queue.stop();
    EXPECT_EQ(queue.waiting(), 0U);
    EXPECT_FALSE(queue.offer(entry));
    EXPECT_FALSE(queue.work_once());
  }
  EXPECT_EQ(worked, 0);
}

TEST(PrecompressQueue, HasThreadsOfItsOwnThatEndWithIt) {
  std::atomic<int> worked{0};
  {
    PrecompressQueue queue({.threads = 2}, [&](const Entry&) {
      ++worked;
      worked.notify_all();
    });
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(queue.offer(make("a", 10)));
    for (int seen = worked; seen < 100; seen = worked) worked.wait(seen);
  }
  EXPECT_EQ(worked, 100);
}

}  // namespace
}  // namespace nearlane::tier
