// Operation: while one is, the executor is at something of the store that may take long, or hang with the disk.
//
// Threads:   begun and ended by one thread; any may ask Operation::Since.
// Cost:      a store at either end.
#pragma once

#include <atomic>

#include "core/base/clock.h"

namespace nearlane::l2::rocks {

class Operation {
 public:
  /// When the present one began.
  class Since {
   public:
    [[nodiscard]] bool longer_than(Duration length) const noexcept {
      return Clock::now() - at_.load(std::memory_order_relaxed) > length;
    }

   private:
    friend class Operation;
    std::atomic<TimePoint> at_{kForever};  // kForever: there is none
  };

  explicit Operation(Since& since, TimePoint now = Clock::now()) noexcept : since_(since) {
    since_.at_.store(now, std::memory_order_relaxed);
  }
  ~Operation() { since_.at_.store(kForever, std::memory_order_relaxed); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 private:
  Since& since_;
};

}  // namespace nearlane::l2::rocks
