// Peers that are gone without a word are found by the kernel, as Redis finds its clients (tcp-keepalive 300): a peer is
// asked after that many seconds of silence, and then three times within as many again.
//
// That holds where nothing is on its way to the peer; what it has not acknowledged is sent again for longer.
//
// Errors:  a socket that is not TCP's refuses, and needs none of it.
// Threads: any.
// Cost:    four system calls.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace nearlane {

inline void keep_alive(int socket) noexcept {
  constexpr int kOn = 1;
  constexpr int kQuietSeconds = 300;
  constexpr int kBetweenSeconds = kQuietSeconds / 3;
  constexpr int kTimes = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &kQuietSeconds, sizeof kQuietSeconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &kBetweenSeconds, sizeof kBetweenSeconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &kTimes, sizeof kTimes);
}

}  // namespace nearlane
