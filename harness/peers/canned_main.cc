// nearlane-peer-canned FILE CODING: answers every request head with the same ready bytes, on bare epoll and one thread.
// What a request costs here it costs in the kernel; no server can be much cheaper.
//
// A head is what ends in an empty line; it is not looked at. Requests that come together are answered in one send.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr int kBacklog = 1024;
/// A longer head is no load generator's. Unit: bytes.
constexpr std::size_t kMostHead = std::size_t{64} << 10U;

struct Connection {
  std::string in;   // the begin of a head
  std::string out;  // what the kernel has not taken
};

class Canned {
 public:
  explicit Canned(std::string answer) : answer_(std::move(answer)) {}

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
      if (got > 0) answer(connection, {received_.data(), static_cast<std::size_t>(got)});
      if (connection.in.size() > kMostHead) return false;
    }
    return connection.out.empty() || flush(fd, connection);
  }

  void answer(Connection& connection, std::string_view bytes) {
    // Most heads come whole, and are then copied nowhere.
    const bool begun = !connection.in.empty();
    if (begun) connection.in.append(bytes);
    std::string_view left = begun ? std::string_view(connection.in) : bytes;
    // memmem is vectorised, find is not.
    while (const void* end = ::memmem(left.data(), left.size(), kHeadEnd.data(), kHeadEnd.size())) {
      left.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(end) - left.data()) +
                         kHeadEnd.size());
      connection.out.append(answer_);
    }
    connection.in = std::string(left);
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

  std::string answer_;
  int listener_ = -1;
  int epoll_ = -1;
  std::vector<Connection> connections_;  // by descriptor
  std::array<char, std::size_t{64} << 10U> received_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: nearlane-peer-canned FILE CODING\n", stderr);
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), {});
  const std::string_view coding = argv[2];
  const std::string coded =
      coding == "identity"
          ? ""
          : fmt::format("Content-Encoding: {}\r\nVary: Accept-Encoding\r\n", coding);
  const auto canned = std::make_unique<Canned>(
      fmt::format("HTTP/1.1 200 OK\r\nServer: canned\r\nContent-Type: application/octet-stream\r\n"
                  "ETag: \"0123456789abcdef\"\r\n{}Content-Length: {}\r\n\r\n{}",
                  coded, body.size(), body));
  const int port = canned->listen();
  if (!file || port == 0) {
    std::perror("nearlane-peer-canned");
    return 1;
  }
  fmt::print("nearlane-peer-canned ready http=127.0.0.1:{}\n", port);
  std::fflush(stdout);
  canned->run();
}
