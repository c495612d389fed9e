// BatchRun: what a batch asks for is done, and what has come of it is worded.
//
// In the order written, but what is next to each other and of one kind side by side: that of one key comes in order all
// the same.
//
// Errors:    each operation's own, worded as problem.h words them.
// Threads:   work() on the coroutine's executor; calls end on threads of L2's choice, each in a place of its own.
// Lifetime:  outlives work(), and the tier outlives it.
// Cost:      what its operations cost, and the JSON of its page.
#pragma once

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
           std::chrono::milliseconds l2_timeout);
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;

  [[nodiscard]] boost::asio::awaitable<void> work();
  /// The answer's body, of values of at most so many bytes together: what does not fit says so instead of its value.
  [[nodiscard]] std::string page(std::size_t most_bytes) const;

 private:
  /// What an operation has come to; of a get, its entry, if there is one.
  struct Outcome {
    EntryPtr entry = {};
    bool stale = false;
    bool existed = false;  // of the others: before
    std::optional<Error> failure = {};
  };

  void start(std::size_t index, std::function<void()> done);

  tier::TieredCache& tier_;
  const std::uint32_t db_;
  const std::vector<BatchOperation> operations_;
  const std::chrono::milliseconds l2_timeout_;
  const TimePoint deadline_;
  std::vector<Outcome> outcomes_;
};

}  // namespace nearlane::http
