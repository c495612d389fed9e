// A non-blocking TCP client socket.
//
// Errors:   unavailable, with the system's text; timeout where a deadline has passed.
// Threads:  one user at a time.
// Lifetime: closed by the destructor.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class Socket {
 public:
  enum class State : std::uint8_t { closed, connecting, open };
  /// What a send or receive did; `bytes` 0 with would_block false is the peer's end or an error.
  struct Moved {
    std::size_t bytes = 0;
    bool would_block = false;
  };

  Socket() = default;
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// Begins to connect; TCP_NODELAY is set. `peer.host` is a numeric IPv4 address or "localhost".
  [[nodiscard]] Result<void> connect(const Endpoint& peer);
  /// To be asked once writable: open now, or why not.
  [[nodiscard]] Result<void> finish_connect();
  /// Both of these, for whoever has nothing else to do meanwhile: open on return, or why not. Sleeps.
  [[nodiscard]] Result<void> connect_by(const Endpoint& peer, TimePoint deadline);
  [[nodiscard]] Moved send(std::string_view bytes) const noexcept;
  [[nodiscard]] Moved receive(std::span<char> into) const noexcept;
  /// Receives what there is, `most` bytes at most, and leaves it in the kernel.
  [[nodiscard]] Moved discard(std::size_t most) const noexcept;
  void close() noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] State state() const noexcept { return state_; }

 private:
  int fd_ = -1;
  State state_ = State::closed;
};

}  // namespace nearlane::harness
