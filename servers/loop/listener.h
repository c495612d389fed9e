// Listener: accepts on one loop and hands the sockets on.
//
// Errors:    invalid_argument from bind_listener, naming the address and the system's reason. When
//            the process is out of descriptors it stops accepting for a moment instead of spinning.
// Threads:   its loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/result.h"
#include "servers/loop/address.h"
#include "servers/loop/loop.h"

namespace nearlane::loop {

/// A listening, non-blocking socket. `shared`: several of them may bind the address (SO_REUSEPORT).
[[nodiscard]] Result<int> bind_listener(const Address& address, bool shared);
/// Why the address cannot be had for this process alone. Sharing it would also share it with another server of
/// the same user, which would silently get half of the connections.
[[nodiscard]] std::optional<Error> find_taken(const Address& address);
/// The address that a socket is bound to, its port picked.
[[nodiscard]] Address bound_address(int socket, const Address& asked);

/// Who is at the far and the near end of a connection, for people: "127.0.0.1:4711", or the
/// socket's path.
[[nodiscard]] std::string peer_name(int socket);
[[nodiscard]] std::string local_name(int socket);

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  /// Takes the socket over. `on_accept` owns the descriptor that it is given, which does not block.
  Listener(Loop& home, int socket, std::function<void(int)> on_accept);

  void start();
  void close() noexcept;

 private:
  void accept_all();
  void pause();

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer retry_;
  std::function<void(int)> on_accept_;
  bool closed_ = false;
};

}  // namespace nearlane::loop
