// Two sockets of this process that are connected to each other, for tests of what a connection does with its peer.
//
// Errors:    abort the test.
// Lifetime:  whoever asks closes both.
#pragma once

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nearlane::loop {

inline std::array<int, 2> unix_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0) std::abort();
  return ends;
}

/// Over loopback: where it matters how a connection ends.
inline std::array<int, 2> tcp_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int connected = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  if (::bind(listener, address, size) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, address, &size) != 0 || ::connect(connected, address, size) != 0)
    std::abort();
  const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  if (accepted < 0 || ::fcntl(connected, F_SETFL, O_NONBLOCK) != 0) std::abort();
  ::close(listener);
  return {connected, accepted};
}

}  // namespace nearlane::loop
