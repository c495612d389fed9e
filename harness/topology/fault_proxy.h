// A TCP proxy between an instance and its Redis that goes wrong on demand.
//
// It may do what a network may do: be slow, deliver nothing for a while and everything afterwards, end
// connections, accept none, or leave one side talking to nobody. And it knows RESP, so that it can also
// do what no network does and a broken store might: leave invalidations out. That last one is for
// proving that whoever watches would notice.
//
// Errors:   unavailable when no port can be had.
// Threads:  one of its own moves the bytes. The calls are for any thread and are in force when they
//           return.
// Lifetime: ends every connection when it goes.
// Cost:     a copy of each chunk of at most 64 KiB; replies are parsed as well. A direction that does
//           not drain is read no further than kMaxQueued, apart from a reply that has not come whole,
//           which is kept besides, however large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

enum class Way : std::uint8_t { to_server, to_client };

class FaultProxy {
 public:
  static constexpr std::size_t kMaxQueued = std::size_t{8}
                                            << 20U;  // bytes, a way of one connection

  [[nodiscard]] static Result<FaultProxy> start(Endpoint server);
  ~FaultProxy();
  FaultProxy(FaultProxy&&) noexcept;
  FaultProxy& operator=(FaultProxy&&) noexcept;

  [[nodiscard]] const Endpoint& endpoint() const noexcept;

  /// What comes from now on arrives so much later, in order.
  void delay(Way way, Duration by);
  /// Nothing arrives while it lasts, not even that the other side has ended; afterwards everything does,
  /// as after a partition that heals. Only new connections still find the proxy.
  void hold(Way way, bool on);
  /// From the first invalidation on, the rest of that connection's replies waits so long.
  void delay_pushes(Duration by);
  /// Invalidations are taken out of the stream, and the replies behind them arrive.
  void drop_pushes(bool on);
  /// Ends every connection on both sides at once.
  void cut();
  /// Half open: the server's side of every connection ends, even of one that is still being made, and
  /// the client is not told. What it sends is swallowed until cut().
  void strand();
  /// New connections are ended as soon as they come.
  void refuse(bool on);
  /// New connections go to another server.
  void retarget(Endpoint server);
  /// Everything as at the start, but for the connections that were ended and for retarget().
  void heal();

  struct Counts {
    std::uint64_t accepted = 0;
    std::uint64_t open = 0;
    std::uint64_t pushes = 0;
    std::uint64_t pushes_dropped = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  class Loop;
  explicit FaultProxy(std::unique_ptr<Loop> loop) noexcept;
  std::unique_ptr<Loop> loop_;
};

}  // namespace nearlane::harness
