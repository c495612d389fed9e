// CannedServer: ready answers on bare epoll and one thread. What a request costs here it costs in the kernel; no server can be
// much cheaper. Requests that come together are answered in one send.
//
// Errors:    listen() says 0 and leaves errno.
// Threads:   one.
// Lifetime:  run() never returns; whoever started the program ends it.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nearlane::harness {

/// `Answer`: answers the whole requests that its bytes begin with, by appending to `out`; how many bytes they are. Nothing:
/// they are no such requests, and the connection is over.
template <class Answer>
requires std::is_invocable_r_v<std::optional<std::size_t>, Answer, std::string_view,
                               std::string&> class CannedServer {
 public:
  /// `most_held`: a request that is not whole yet is no load generator's if it is longer. Unit: bytes.
  CannedServer(Answer answer, std::size_t most_held)
      : answer_(std::move(answer)), most_held_(most_held) {}

  /// The port, or 0.
  int listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, kBacklog) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      return 0;
    }
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    return ntohs(address.sin_port);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int ready = ::epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == listener_) {
          accept();
        } else if (!serve(event.data.fd, event.events)) {
          ::close(event.data.fd);
        }
      }
    }
  }

 private:
  static constexpr int kBacklog = 1024;

  struct Connection {
    std::string in;   // the begin of a request
    std::string out;  // what the kernel has not taken
  };

  void watch(int operation, int fd, std::uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, operation, fd, &event);
  }

  void accept() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const auto number = static_cast<std::size_t>(fd);
      if (connections_.size() <= number) connections_.resize(number + 1);
      connections_[number] = {};
      watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  /// False: it is over.
  bool serve(int fd, std::uint32_t events) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    if ((events & EPOLLOUT) != 0) watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      const auto got = ::recv(fd, received_.data(), received_.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
      if (got > 0 && !answer(connection, {received_.data(), static_cast<std::size_t>(got)}))
        return false;
    }
    return connection.out.empty() || flush(fd, connection);
  }

  bool answer(Connection& connection, std::string_view bytes) {
    // Most requests come whole, and are then copied nowhere.
    const bool begun = !connection.in.empty();
    if (begun) bytes = connection.in.append(bytes);
    const std::optional<std::size_t> taken = answer_(bytes, connection.out);
    if (!taken) return false;
    if (begun) {
      connection.in.erase(0, *taken);
    } else {
      connection.in.assign(bytes.substr(*taken));
    }
    return connection.in.size() <= most_held_;
  }

  bool flush(int fd, Connection& connection) const {
    std::size_t sent = 0;
    while (sent < connection.out.size()) {
      const auto got =
          ::send(fd, connection.out.data() + sent, connection.out.size() - sent, MSG_NOSIGNAL);
      if (got < 0 && errno != EAGAIN) return false;
      if (got < 0) {
        watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
        break;
      }
      sent += static_cast<std::size_t>(got);
    }
    connection.out.erase(0, sent);
    return true;
  }

  Answer answer_;
  const std::size_t most_held_;
  int listener_ = -1;
  int epoll_ = -1;
  std::vector<Connection> connections_;  // by descriptor
  std::array<char, std::size_t{64} << 10U> received_{};
};

}  // namespace nearlane::harness
