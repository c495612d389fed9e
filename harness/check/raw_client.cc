#include "harness/check/raw_client.h"

#include <cerrno>
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

constexpr std::size_t kReadBytes = 65536;  // one recv

std::string last_error() { return std::generic_category().message(errno); }

}  // namespace

Result<RawClient> RawClient::connect(const Endpoint& endpoint) {
  RawClient client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr) != 1) {
    return Error{Errc::invalid_argument, "not an IPv4 address: " + endpoint.host};
  }
  if (::connect(client.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error{Errc::unavailable, endpoint.to_string() + ": " + last_error()};
  }
  const int on = 1;
  ::setsockopt(client.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return client;
}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      parser_(std::move(other.parser_)),
      received_(std::move(other.received_)) {}

RawClient& RawClient::operator=(RawClient&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(parser_, other.parser_);
  std::swap(received_, other.received_);
  return *this;
}

Result<void> RawClient::send(std::string_view bytes, Duration limit) {
  const TimePoint deadline = Clock::now() + limit;
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno != EAGAIN) return Error{Errc::connection_lost, last_error()};
    const auto ready = wait_for(POLLIN | POLLOUT, deadline);
    if (!ready) return ready.error();
    if ((*ready & POLLIN) == 0) continue;
    if (const auto more = receive(deadline); !more) return more.error();
  }
  return {};
}

std::size_t RawClient::send_until_stalled(std::string_view bytes, Duration patience) {
  std::size_t total = 0;
  while (total < bytes.size() && wait_for(POLLOUT, Clock::now() + patience)) {
    const auto rest = bytes.substr(total);
    const auto sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) break;
    if (sent > 0) total += static_cast<std::size_t>(sent);
  }
  return total;
}

/// The events that came, of those asked for.
Result<short> RawClient::wait_for(short events, TimePoint deadline) const {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd waiting{fd_, events, 0};
  if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) {
    return Error{Errc::timeout, "the peer is silent; received so far: " + received_.substr(0, 200)};
  }
  return waiting.revents;
}

Result<void> RawClient::receive(TimePoint deadline) {
  if (const auto ready = wait_for(POLLIN, deadline); !ready) return ready.error();
  const std::size_t before = received_.size();
  received_.resize(before + kReadBytes);
  const auto got = ::recv(fd_, received_.data() + before, kReadBytes, 0);
  received_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
  if (got <= 0) return Error{Errc::connection_lost, got == 0 ? "closed" : last_error()};
  return {};
}

Result<RawReply> RawClient::read(Duration limit) {
  const TimePoint deadline = Clock::now() + limit;
  std::size_t parsed = 0;
  while (true) {
    std::string_view input = std::string_view(received_).substr(parsed);
    auto next = parser_.next(input);
    if (!next) return next.error();
    parsed = received_.size() - input.size();
    if (next->has_value()) {
      RawReply reply{received_.substr(0, parsed), std::move(**next)};
      received_.erase(0, parsed);
      return reply;
    }
    if (const auto more = receive(deadline); !more) return more.error();
  }
}

Result<std::string> RawClient::read_to_end(Duration limit) {
  const TimePoint deadline = Clock::now() + limit;
  while (true) {
    const auto more = receive(deadline);
    if (more) continue;
    if (more.error().code != Errc::connection_lost) return more.error();
    return std::exchange(received_, {});
  }
}

void RawClient::finish_sending() const noexcept { ::shutdown(fd_, SHUT_WR); }

}  // namespace nearlane::harness
