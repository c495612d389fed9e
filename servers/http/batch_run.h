// BatchRun: what a batch asks for is done, and what has come of it is worded.
//
// In the order written, but what is next to each other and of one kind side by side: that of one key comes in order all
// the same.
//
// Units:     bytes. Values of at most `most_bytes` together are kept for the answer, in the order in which they come; one that
//            does not fit goes at once, since a thousand large ones may be asked for in a few bytes.
// Errors:    each operation's own, worded as problem.h words them.
// Threads:   work() on the coroutine's executor; calls end on threads of L2's choice, each in a place of its own.
// Lifetime:  outlives work(), and the tier outlives it.
// Cost:      what its operations cost, and the JSON of its page.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "core/tier/tiered_cache.h"
#include "servers/http/batch.h"

namespace nearlane::http {

class BatchRun {
 public:
  BatchRun(tier::TieredCache& tier, std::uint32_t db, std::vector<BatchOperation> operations,
           std::chrono::milliseconds l2_timeout, std::size_t most_bytes);
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;

  [[nodiscard]] boost::asio::awaitable<void> work();
  /// The answer's body. What does not fit says so instead of its value.
  [[nodiscard]] std::string page() const;
  /// Bytes of the values that wait for page().
  [[nodiscard]] std::size_t held() const noexcept;

 private:
  /// What an operation has come to; of a get, its entry, if there is one.
  struct Outcome {
    EntryPtr entry = {};
    bool stale = false;
    bool too_long = false;  // with what came before it
    bool existed = false;   // of the others: before
    std::optional<Error> failure = {};
  };

  void start(std::size_t index, std::function<void()> done);
  void keep(Outcome& outcome, EntryPtr entry) noexcept;

  tier::TieredCache& tier_;
  const std::uint32_t db_;
  const std::vector<BatchOperation> operations_;
  const std::chrono::milliseconds l2_timeout_;
  const TimePoint deadline_;
  const std::size_t most_bytes_;
  std::atomic<std::size_t> bytes_{0};  // of what is kept
  std::vector<Outcome> outcomes_;
};

}  // namespace nearlane::http
