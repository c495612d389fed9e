// PrecompressQueue: entries that wait to be compressed, and the threads that do it.
//
// First come, first served. What does not fit is turned away, never waited for. The threads begin with the first
// entry, and yield to all others: whoever serves hits goes first.
//
// Units:     entries, and bytes of their values; what is being worked on counts. For what has its forms and waits to be put the
//            tier has the same bound once more (precompress.cc).
// Errors:    none; offer() says whether it has taken the entry.
// Threads:   any; `work` runs on the queue's own.
// Lifetime:  holds a pin of what waits. stop() ends the threads, after what they are at, and drops the rest.
// Cost:      offer: one lock.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/entry/entry.h"

namespace nearlane::tier {

struct PrecompressLimits {
  unsigned threads = 1;             // 0: work_once() does it
  std::size_t most_waiting = 1024;  // entries
  std::uint64_t most_bytes = std::uint64_t{64} << 20U;
};

class PrecompressQueue {
 public:
  using Work = std::function<void(const Entry&)>;

  PrecompressQueue(const PrecompressLimits& limits, Work work)
      : limits_(limits), work_(std::move(work)) {}
  ~PrecompressQueue() { stop(); }
  PrecompressQueue(const PrecompressQueue&) = delete;
  PrecompressQueue& operator=(const PrecompressQueue&) = delete;

  /// Whether it would be turned away for the number of those that wait, as far as can be told without a lock.
  [[nodiscard]] bool full() const noexcept { return waiting() >= limits_.most_waiting; }
  /// False: turned away.
  bool offer(EntryPtr entry);
  /// Works on one in the calling thread; false: none waits. How a test or a simulation, without threads, decides when.
  bool work_once();
  void stop() noexcept;
  [[nodiscard]] std::size_t waiting() const noexcept {
    return waiting_.load(std::memory_order_relaxed);
  }

 private:
  void run();
  void work(const Entry& entry);
  EntryPtr await();
  /// The first that waits, if one does; under the lock.
  EntryPtr take() noexcept;

  const PrecompressLimits limits_;
  const Work work_;
  std::atomic<std::size_t> waiting_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<EntryPtr> entries_;
  std::vector<std::thread> threads_;
  std::uint64_t bytes_ = 0;
  bool stopped_ = false;
};

}  // namespace nearlane::tier
