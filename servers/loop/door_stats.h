// DoorStats: what one door counts on one loop.
//
// Units:     commands; durations in nanoseconds. L1 latency runs from "request bytes are in user
//            space" to "response bytes are ready", for every command of a batch that L1 answered,
//            each with its batch's duration.
// Threads:   the loop writes, anyone reads.
// Lifetime:  all memory is allocated in the constructor.
// Cost:      one relaxed load and store on a line that no other thread writes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/histogram.h"

namespace nearlane::loop {

/// Which tier answered; local: the server itself.
enum class AnsweredBy : std::uint8_t { l1, l2, local, count };
enum class Outcome : std::uint8_t { hit, miss, ok, error, count };

class DoorStats {
 public:
  explicit DoorStats(std::size_t commands) : requests_(commands * kCells) {}

  void count(std::size_t command, AnsweredBy tier, Outcome outcome,
             std::uint64_t amount = 1) noexcept {
    auto& cell = requests_[index(command, tier, outcome)];
    cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t requests(std::size_t command, AnsweredBy tier,
                                       Outcome outcome) const noexcept {
    return requests_[index(command, tier, outcome)].load(std::memory_order_relaxed);
  }

  AtomicHistogram l1_latency;

 private:
  static constexpr auto kOutcomes = static_cast<std::size_t>(Outcome::count);
  static constexpr std::size_t kCells = static_cast<std::size_t>(AnsweredBy::count) * kOutcomes;

  static std::size_t index(std::size_t command, AnsweredBy tier, Outcome outcome) noexcept {
    return command * kCells + static_cast<std::size_t>(tier) * kOutcomes +
           static_cast<std::size_t>(outcome);
  }

  std::vector<std::atomic<std::uint64_t>> requests_;
};

}  // namespace nearlane::loop
