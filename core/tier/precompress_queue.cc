#include "core/tier/precompress_queue.h"

#include <utility>

#if defined(__linux__)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace nearlane::tier {
namespace {

/// Of the calling thread alone, which is what Linux means by a process here.
void yield_to_others() noexcept {
#if defined(__linux__)
  constexpr int kNice = 10;  // a ninth of the processor's time where somebody else wants it
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
#endif
}

}  // namespace

bool PrecompressQueue::offer(EntryPtr entry) {
  const std::uint64_t size = entry->value().size();
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || entries_.size() >= limits_.most_waiting) return false;
    if (bytes_ + size > limits_.most_bytes) return false;
    bytes_ += size;
    entries_.push_back(std::move(entry));
    waiting_.store(entries_.size(), std::memory_order_relaxed);
    while (threads_.size() < limits_.threads) threads_.emplace_back([this] { run(); });
  }
  changed_.notify_one();
  return true;
}

void PrecompressQueue::stop() noexcept {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    entries_.clear();
    waiting_.store(0, std::memory_order_relaxed);
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

bool PrecompressQueue::work_once() {
  EntryPtr entry;
  {
    const std::lock_guard lock(mutex_);
    entry = take();
  }
  if (entry) work(*entry);
  return static_cast<bool>(entry);
}

void PrecompressQueue::run() {
  yield_to_others();
  while (const EntryPtr entry = await()) work(*entry);
}

void PrecompressQueue::work(const Entry& entry) {
  work_(entry);
  const std::lock_guard lock(mutex_);
  bytes_ -= entry.value().size();
}

/// Null: the queue has stopped.
EntryPtr PrecompressQueue::await() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || !entries_.empty(); });
  return take();
}

EntryPtr PrecompressQueue::take() noexcept {
  if (entries_.empty()) return nullptr;
  EntryPtr entry = std::move(entries_.front());
  entries_.pop_front();
  waiting_.store(entries_.size(), std::memory_order_relaxed);
  return entry;
}

}  // namespace nearlane::tier
