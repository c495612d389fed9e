// ClientCounts: how many connections each client has, so that none has more than its share.
//
// A client is an IPv4 address, or the first half of an IPv6 one: whoever has an address there may have the 2^64 beside it. So
// hosts of one subnet are one client there, as are those behind one proxy or NAT64, and link-local ones. Who comes over a Unix socket
// has no address, and is not counted.
//
// Threads:   any; one lock, taken when a connection comes and goes.
// Errors:    take() says no at the limit.
// Cost:      one entry a client that is connected.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace nearlane::loop {

class ClientCounts {
 public:
  /// Four bytes of an IPv4 address and zeros, or eight of an IPv6 one; behind them which it is.
  using Client = std::array<char, 9>;

  /// `most`: connections of one client, at least 1.
  explicit ClientCounts(unsigned most) : most_(most) {}

  [[nodiscard]] bool take(const Client& client);
  /// Precondition: taken before.
  void give_back(const Client& client) noexcept;

 private:
  struct Hash {
    std::size_t operator()(const Client& client) const noexcept {
      return std::hash<std::string_view>{}({client.data(), client.size()});
    }
  };

  const unsigned most_;
  std::mutex mutex_;
  std::unordered_map<Client, unsigned, Hash> connections_;
};

/// Nothing: it has no address, or has gone already.
[[nodiscard]] std::optional<ClientCounts::Client> client_of(int socket) noexcept;
/// "192.0.2.1", "2001:db8::1", and "::ffff:192.0.2.1" as the first. Nothing: it is no address.
[[nodiscard]] std::optional<ClientCounts::Client> client_at(std::string_view address);

}  // namespace nearlane::loop
