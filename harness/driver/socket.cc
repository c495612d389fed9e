#include "harness/driver/socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nearlane::harness {
namespace {

Error failed(const char* what, int number) {
  return {Errc::unavailable, what + (": " + std::generic_category().message(number))};
}

/// Whoever opens thousands of connections outruns the server that takes them. It drops what its queue has no room for, and the
/// kernel would ask again a second later; who asks anew is let in as soon as there is room. Doubled each time, for who is far away.
constexpr auto kFirstPatience = std::chrono::milliseconds(10);

}  // namespace

Result<void> Socket::connect(const Endpoint& peer) {
  close();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(peer.port);
  const auto host = peer.host == "localhost" ? std::string("127.0.0.1") : peer.host;
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return Error{Errc::invalid_argument, "'" + peer.host + "' is not an IPv4 address"};
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return failed("socket", errno);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::connecting;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    const int number = errno;
    close();
    return failed("connect", number);
  }
  return {};
}

Result<void> Socket::finish_connect() {
  int number = 0;
  socklen_t size = sizeof number;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &number, &size);
  if (number != 0) {
    close();
    return failed("connect", number);
  }
  state_ = State::open;
  return {};
}

Result<void> Socket::connect_by(const Endpoint& peer, TimePoint deadline) {
  for (Duration patience = kFirstPatience;; patience *= 2) {
    if (auto begun = connect(peer); !begun) return begun;
    const TimePoint until = std::min(Clock::now() + patience, deadline);
    const auto left = std::max<std::int64_t>(
        0, std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count());
    pollfd waiting{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(left)) > 0) return finish_connect();
    close();
    if (until == deadline) return Error{Errc::timeout, "not connected in time"};
  }
}

Socket::Moved Socket::send(std::string_view bytes) const noexcept {
  const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return {.bytes = static_cast<std::size_t>(sent), .would_block = false};
  return {.bytes = 0, .would_block = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR};
}

Socket::Moved Socket::receive(std::span<char> into) const noexcept {
  const auto got = ::recv(fd_, into.data(), into.size(), 0);
  if (got >= 0) return {.bytes = static_cast<std::size_t>(got), .would_block = false};
  return {.bytes = 0, .would_block = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR};
}

Socket::Moved Socket::discard(std::size_t most) const noexcept {
  const auto got = ::recv(fd_, nullptr, most, MSG_TRUNC);
  if (got >= 0) return {.bytes = static_cast<std::size_t>(got), .would_block = false};
  return {.bytes = 0, .would_block = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR};
}

void Socket::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  state_ = State::closed;
}

}  // namespace nearlane::harness
