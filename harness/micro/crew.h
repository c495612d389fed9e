// Crew: the threads of one measurement. They come, wait for each other, and set off together.
//
// Threads:   each is bound to a core of its own where this process has enough of them, the caller, who is
//            the first, only while the crew lives: a map that is filled or asks for the number of cores
//            must not find one.
// Lifetime:  the job outlives the crew.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include <sched.h>

namespace nearlane::micro {

class Crew {
 public:
  /// Returns when all helpers are ready.
  Crew(unsigned threads, const std::function<void(unsigned)>& job);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Releases the helpers, does the caller's share, and returns when all have done theirs. Once.
  void go();

 private:
  const std::function<void(unsigned)>& job_;
  cpu_set_t allowed_{};
  std::atomic<unsigned> ready_{0};
  std::atomic<unsigned> done_{0};
  std::atomic<bool> gate_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace nearlane::micro
