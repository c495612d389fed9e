// Session: what a RESP connection does with the bytes that arrive. No I/O;
//          servers/resp/connection.h carries them.
//
// Threads:   its loop's.
// Lifetime:  owned by its connection, and by its own calls to L2 that are not answered yet.
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "core/base/clock.h"
#include "servers/resp/output.h"

namespace nearlane::resp {

class Session {
 public:
  /// The connection. Told on its loop, never from within serve().
  class Host {
   public:
    virtual ~Host() = default;
    /// Replies came in: there may be output, and input that had to wait may go on.
    virtual void answered() noexcept = 0;
  };

  virtual ~Session() = default;

  /// Takes commands from the front of `input` and returns how many bytes it took. What is left is
  /// either not complete or must wait (blocked()), and has to be offered again.
  [[nodiscard]] virtual std::size_t serve(std::string_view input, TimePoint received) = 0;

  /// Bytes to send, in order. The host takes them from the front.
  [[nodiscard]] Output& output() noexcept { return out_; }
  /// Moves replies to the output that had no room there.
  virtual void refill() = 0;

  /// Input must wait for replies, or for output to be sent: nothing is read meanwhile.
  [[nodiscard]] virtual bool blocked() const noexcept = 0;
  /// Everything was answered.
  [[nodiscard]] virtual bool idle() const noexcept = 0;
  /// Takes no more input; the connection ends when it is idle and the output sent.
  [[nodiscard]] bool closing() const noexcept { return closing_; }
  /// A command is under way that may wait for as long as it likes: nobody wants its reply once the peer has left.
  [[nodiscard]] virtual bool waits() const noexcept { return false; }
  /// It hears what others say: nobody expects it to say anything itself.
  [[nodiscard]] virtual bool listens() const noexcept { return false; }
  /// Bytes that are missing at least for the command at the front.
  [[nodiscard]] virtual std::size_t missing() const noexcept = 0;
  /// The peer has taken nothing of the output for so long, and is hung up on.
  virtual void given_up(std::chrono::milliseconds /*took_nothing*/) noexcept {}
  /// The host is gone; replies that are still to come are dropped.
  virtual void detach() noexcept = 0;

 protected:
  Output out_;
  bool closing_ = false;
};

}  // namespace nearlane::resp
