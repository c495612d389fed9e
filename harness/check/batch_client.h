// One connection that sends several requests at once and waits for all their replies.
//
// It sleeps while it waits, so that many of them leave the cores to the servers; it is for load and for
// correctness, never for measuring.
//
// Errors:   in each answer: not_sent (no connection), lost, timeout and what the codec finds. The next
//           exchange connects anew.
// Threads:  one. Lifetime: an answer's value is valid during the call that hands it over.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "harness/driver/codec.h"
#include "harness/driver/request.h"
#include "harness/driver/socket.h"

namespace nearlane::harness {

class BatchClient {
 public:
  BatchClient(Protocol protocol, Endpoint peer, Duration timeout);

  /// Is told each request's place, its answer, and when that had arrived; once for each, in their order.
  using Told = std::function<void(std::size_t, const Reply&, TimePoint)>;
  void exchange(std::span<const Request> requests, const Told& told);
  /// From the next exchange on, with somebody else.
  void turn_to(Endpoint peer);

 private:
  [[nodiscard]] bool connect(TimePoint deadline);
  [[nodiscard]] Failure carry(std::span<const Request> requests, std::size_t& answered,
                              const Told& told, TimePoint deadline);
  [[nodiscard]] bool wait(short events, TimePoint deadline) const;

  Protocol protocol_;
  Endpoint peer_;
  Duration timeout_;
  std::unique_ptr<Codec> codec_;
  Socket socket_;
  std::string out_;
  std::vector<char> in_;
};

}  // namespace nearlane::harness
