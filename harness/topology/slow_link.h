// SlowLink: a way to a Redis on which a large reply takes time, as over a network, though everything is on one machine.
//
// Each connection has so many bytes a second towards the client and no more, whatever the others carry; towards the server
// nothing is slowed. A reply is delivered as it comes, in parts, so that whoever waits behind it on the same connection waits
// until it is over, and whoever has another connection does not.
//
// Errors:   unavailable when no port can be had.
// Threads:  one of its own moves the bytes. The calls are for any thread.
// Lifetime: ends every connection when it goes.
// Cost:     a copy of each part of at most 32 KiB. What a part of it would take less than 50 us for goes at once, since no timer
//           is as exact; the time is made up for by what follows.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class SlowLink {
 public:
  [[nodiscard]] static Result<SlowLink> start(Endpoint server, double bytes_per_s);
  ~SlowLink();
  SlowLink(SlowLink&&) noexcept;
  SlowLink& operator=(SlowLink&&) noexcept;

  [[nodiscard]] const Endpoint& endpoint() const noexcept;
  /// Bytes that clients were sent so far, over all connections.
  [[nodiscard]] std::uint64_t delivered() const noexcept;

 private:
  class Loop;
  explicit SlowLink(std::unique_ptr<Loop> loop) noexcept;
  std::unique_ptr<Loop> loop_;
};

}  // namespace nearlane::harness
