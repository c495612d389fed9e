// A TCP proxy between an instance and its Redis that goes wrong on demand.
//
// It may do what a network may do: be slow, deliver nothing for a while and everything afterwards, end
// connections, accept none, or leave one side talking to nobody; and all that toxic.h lists. And it knows RESP, so that
// it can also do what no network does and a broken store might: leave invalidations out. That last one is for
// proving that whoever watches would notice.
//
// While nothing is wrong it is not noticed: a side that has finished sending is told of to the other one, which may go
// on, and a connection that was reset is reset.
//
// Errors:   unavailable when no port can be had, or not the one that was asked for; invalid_argument for a toxic that
//           cannot be, whose name is taken or not known, or that is one too many.
// Threads:  one of its own moves the bytes. The calls are for any thread and are in force when they return: hold(),
//           cut() and strand() for what is on its way through the proxy too, toxics for what enters it from then on.
//           What the proxy has handed to the kernel is beyond it.
// Lifetime: ends every connection when it goes.
// Cost:     a copy of each chunk of at most 64 KiB; headers of replies are looked at as well. A direction that does
//           not drain is read no further than kMaxQueued, whatever its toxics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/toxic.h"

namespace nearlane::harness {

class FaultProxy {
 public:
  static constexpr std::size_t kMaxQueued = std::size_t{8}
                                            << 20U;  // bytes, a way of one connection
  static constexpr std::size_t kMaxToxics = 64;
  /// Before another connection is accepted where the process has no more descriptors.
  static constexpr Duration kAcceptPause = std::chrono::milliseconds(10);

  [[nodiscard]] static Result<FaultProxy> start(Endpoint server);
  /// At an address of its own: port 0 is any port. The server may be a name, looked up for each connection.
  [[nodiscard]] static Result<FaultProxy> start(Endpoint server, const Endpoint& listen);
  ~FaultProxy();
  FaultProxy(FaultProxy&&) noexcept;
  FaultProxy& operator=(FaultProxy&&) noexcept;

  [[nodiscard]] const Endpoint& endpoint() const noexcept;

  /// Puts a toxic on every connection, those that are open and those that come: behind the toxics that are there.
  Result<void> add(Toxic toxic);
  /// What the toxic of that name, type and way does from now on. Connections are drawn for again; one that lost bytes to
  /// it and is no longer drawn ends.
  Result<void> update(Toxic toxic);
  /// What waited in it goes on at once; a connection that lost bytes to it ends.
  Result<void> remove(std::string_view name);
  /// In the order in which they came.
  [[nodiscard]] std::vector<Toxic> toxics() const;

  // Three of the calls below are toxics too, called delay_upstream, delay_downstream, delay_pushes_downstream and
  // drop_pushes_downstream. One that add() or update() would refuse, such as a delay of more than a day, is the
  // caller's mistake: it is said on stderr, and the process aborts.

  /// What comes from now on arrives so much later, in order.
  void delay(Way way, Duration by);
  /// Nothing arrives while it lasts, not even that the other side has ended, nor what waited to be written when it
  /// began; afterwards everything does, as after a partition that heals. Only new connections still find the proxy.
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
  /// Everything as at the start, without any toxic, but for the connections that were ended and for retarget(). What
  /// waited goes on at once; to have it lost, cut() first.
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
