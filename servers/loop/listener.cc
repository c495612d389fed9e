#include "servers/loop/listener.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace nearlane::loop {

namespace {

constexpr int kBacklog = 1024;  // connections that wait for accept; the kernel cuts it to somaxconn
constexpr auto kRetryAccept = std::chrono::milliseconds(50);  // after running out of descriptors

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const Address& address) {
  SocketAddress out;
  if (address.kind == Address::Kind::unix_path) {
    auto* local = reinterpret_cast<sockaddr_un*>(&out.storage);
    local->sun_family = AF_UNIX;
    std::memcpy(local->sun_path, address.path.c_str(), address.path.size() + 1);
    out.size = sizeof(sockaddr_un);
  } else if (address.host.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
    out.size = sizeof(sockaddr_in6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr);
    out.size = sizeof(sockaddr_in);
  }
  return out;
}

/// A socket file outlives the process that made it; one that nobody listens on any more is in the
/// way. Connecting to a file of another kind is refused just the same, and that file is not ours.
void remove_dead_socket(SocketAddress& address, const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  if (::connect(probe, address.get(), address.size) != 0 && errno == ECONNREFUSED) {
    ::unlink(path.c_str());
  }
  ::close(probe);
}

Error system_error(const Address& address, int code) {
  return {Errc::invalid_argument, fmt::format("cannot listen on {}: {}", address.to_text(),
                                              std::generic_category().message(code))};
}

/// A bound socket, which does not listen yet.
Result<int> bind_socket(const Address& address, bool shared) {
  SocketAddress where = to_socket_address(address);
  if (address.kind == Address::Kind::unix_path) remove_dead_socket(where, address.path);
  const int socket =
      ::socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return system_error(address, errno);
  const int on = 1;
  if (address.kind == Address::Kind::tcp) {
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (::bind(socket, where.get(), where.size) != 0) {
    const int code = errno;
    ::close(socket);
    return system_error(address, code);
  }
  return socket;
}

}  // namespace

Result<int> bind_listener(const Address& address, bool shared) {
  Result<int> socket = bind_socket(address, shared);
  if (socket.has_error()) return socket;
  if (::listen(*socket, kBacklog) != 0) {
    const int code = errno;
    ::close(*socket);
    return system_error(address, code);
  }
  return socket;
}

std::optional<Error> find_taken(const Address& address) {
  const Result<int> socket = bind_socket(address, false);
  if (socket.has_error()) return socket.error();
  ::close(*socket);
  return {};
}

Address bound_address(int socket, const Address& asked) {
  Address bound = asked;
  if (asked.kind != Address::Kind::tcp) return bound;
  SocketAddress where;
  where.size = sizeof where.storage;
  if (::getsockname(socket, where.get(), &where.size) != 0) return bound;
  bound.port = ntohs(where.storage.ss_family == AF_INET6
                         ? reinterpret_cast<sockaddr_in6*>(&where.storage)->sin6_port
                         : reinterpret_cast<sockaddr_in*>(&where.storage)->sin_port);
  return bound;
}

namespace {

std::string to_name(const SocketAddress& where) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (where.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&where.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
  }
  if (where.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&where.storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  return fmt::format("{}:0", reinterpret_cast<const sockaddr_un*>(&where.storage)->sun_path);
}

}  // namespace

std::string peer_name(int socket) {
  SocketAddress where;
  where.size = sizeof where.storage;
  return ::getpeername(socket, where.get(), &where.size) == 0 ? to_name(where) : "?:0";
}

std::string local_name(int socket) {
  SocketAddress where;
  where.size = sizeof where.storage;
  return ::getsockname(socket, where.get(), &where.size) == 0 ? to_name(where) : "?:0";
}

Listener::Listener(Loop& home, int socket, std::function<void(int)> on_accept)
    : socket_(home.context(), socket), retry_(home.context()), on_accept_(std::move(on_accept)) {}

void Listener::start() {
  if (closed_) return;
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& failed) {
                       if (!failed) self->accept_all();
                     });
}

void Listener::close() noexcept {
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  retry_.cancel();
}

void Listener::accept_all() {
  while (!closed_) {
    const int accepted =
        ::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      pause();
      return;
    }
    const int on = 1;
    ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on,
                 sizeof on);  // fails on AF_UNIX: no matter
    on_accept_(accepted);
  }
  start();
}

void Listener::pause() {
  retry_.expires_after(kRetryAccept);
  retry_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
    if (!failed) self->start();
  });
}

}  // namespace nearlane::loop
