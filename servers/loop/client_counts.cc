#include "servers/loop/client_counts.h"

#include <algorithm>
#include <cassert>
#include <span>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace nearlane::loop {

namespace {

using Client = ClientCounts::Client;

constexpr std::size_t kV4 = 4;
constexpr std::size_t kV6 = 8;  // of 16

Client client_from(std::span<const std::uint8_t> bytes) noexcept {
  Client client{};
  std::copy(bytes.begin(), bytes.end(), client.begin());
  client.back() = static_cast<char>(bytes.size());
  return client;
}

Client client_from(const in_addr& address) noexcept {
  return client_from(std::span(reinterpret_cast<const std::uint8_t*>(&address), kV4));
}

Client client_from(const in6_addr& address) noexcept {
  const std::span bytes(address.s6_addr);
  return IN6_IS_ADDR_V4MAPPED(&address) ? client_from(bytes.last(kV4))
                                        : client_from(bytes.first(kV6));
}

}  // namespace

bool ClientCounts::take(const Client& client) {
  const std::lock_guard lock(mutex_);
  unsigned& connections = connections_[client];
  if (connections >= most_) return false;
  ++connections;
  return true;
}

void ClientCounts::give_back(const Client& client) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(client);
  assert(found != connections_.end());
  if (--found->second == 0) connections_.erase(found);
}

std::optional<Client> client_of(int socket) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  if (peer.ss_family == AF_INET)
    return client_from(reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr);
  if (peer.ss_family == AF_INET6)
    return client_from(reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_addr);
  return {};
}

std::optional<Client> client_at(std::string_view address) {
  const std::string text(address);
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return client_from(v4);
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return client_from(v6);
  return {};
}

}  // namespace nearlane::loop
