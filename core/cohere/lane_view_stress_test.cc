#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/cohere/lane_view.h"

namespace nearlane::cohere {
namespace {

TimePoint end_of(std::uint64_t epoch) { return TimePoint(Duration(epoch * 1000)); }

// Each epoch has one lease. A reader who asks at the very end of its entry's lease must be refused,
// however the bump and the next epoch's lease fall between its loads.
// (Optimised, the loads lie in one cache line and rarely come apart; under TSan they do at once.)
TEST(LaneViewStress, NoEntryIsVouchedForByAnotherEpochsLease) {
  LaneView view;
  view.set_lease(end_of(view.epoch()));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> asked{0};
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      const auto entry = Entry::build(KeyRef(0, "k"), "v", kForever, 0);
      while (!stop.load(std::memory_order_relaxed)) {
        const Epoch epoch = view.epoch();
        entry->set_epoch(epoch);
        const TimePoint lease = view.lease_until();
        if (view.vouches(*entry, end_of(epoch), lease)) ++wrong;
        asked.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  while (asked.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
  for (int i = 0; i < 1000000; ++i) {
    view.bump();
    view.set_lease(end_of(view.epoch()));
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0U) << "of " << asked;
}

}  // namespace
}  // namespace nearlane::cohere
