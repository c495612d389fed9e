// ApiKeys: the keys that the HTTP door accepts. Caller: what one connection has shown of them.
//
// A key is kept as its SHA-256 and what is sent is compared by its own, with every key and in all bytes, so that the
// time that it takes tells nothing of how near a guess was. Several keys hold at once: a new one is added before the old one
// goes. Where there is no key at all, everybody is let in.
//
// Threads:   ApiKeys any; a Caller its connection's loop.
// Lifetime:  the keys outlive their callers.
// Cost:      a hash of what was sent and 32 bytes a key; for what this connection was let in with last, a comparison of
//            its bytes.
// Source:    FIPS 180-4, by OpenSSL; RFC 6750 section 2.1.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nearlane::http {

class ApiKeys {
 public:
  explicit ApiKeys(std::span<const std::string> keys);

  [[nodiscard]] bool asked_for() const noexcept { return !hashes_.empty(); }
  [[nodiscard]] bool holds(std::string_view key) const noexcept;

 private:
  using Hash = std::array<unsigned char, 32>;
  static Hash hash_of(std::string_view key) noexcept;

  std::vector<Hash> hashes_;
};

class Caller {
 public:
  explicit Caller(const ApiKeys& keys) : keys_(keys) {}

  /// Whether a request with these fields is let in: "Authorization: Bearer KEY", or "X-API-Key: KEY".
  [[nodiscard]] bool admitted(std::optional<std::string_view> authorization,
                              std::optional<std::string_view> api_key);

 private:
  bool shows_key(std::string_view sent);

  const ApiKeys& keys_;
  std::string accepted_;  // what was accepted last
};

}  // namespace nearlane::http
