// CallQueue: the calls that wait for the executor, in the order in which they came, capped by their number and their bytes.
//
// Units:     bytes of a call's arguments, as they lie in this process.
// Errors:    push() says why it takes no more.
// Threads:   one at a time; the owner locks.
// Lifetime:  owns its calls until they are popped or removed.
// Cost:      remove_if() goes through all of them.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "core/cohere/call.h"

namespace nearlane::l2::rocks {

class CallQueue {
 public:
  struct Queued {
    std::unique_ptr<cohere::Call> call;
    std::size_t bytes;
  };

  CallQueue(std::size_t most_calls, std::size_t most_bytes)
      : most_calls_(most_calls), most_bytes_(most_bytes) {}

  [[nodiscard]] static Queued weigh(std::unique_ptr<cohere::Call> call);

  [[nodiscard]] bool empty() const noexcept { return calls_.empty(); }

  /// Why `queued` was not taken, and is its owner's still; empty: it was. One is taken however large it is.
  [[nodiscard]] std::string push(Queued& queued);
  [[nodiscard]] Queued pop();

  /// Those for which `wanted(call)` says so leave, in their order, by way of `taken`.
  template <class Wanted, class Taken>
  void remove_if(Wanted&& wanted, Taken&& taken) {
    std::erase_if(calls_, [&](Queued& queued) {
      if (!wanted(*queued.call)) return false;
      bytes_ -= queued.bytes;
      taken(std::move(queued.call));
      return true;
    });
  }

 private:
  const std::size_t most_calls_;
  const std::size_t most_bytes_;
  std::deque<Queued> calls_;
  std::size_t bytes_ = 0;
};

}  // namespace nearlane::l2::rocks
