// Toxiproxy's HTTP API on a loopback address.
//
// What it does to proxies is nobody's business but this machine's: any other address is refused, and so are browsers,
// which a web page could make speak to it (Toxiproxy does the same).
//
// Errors:   invalid_argument (no address, or one that others reach), unavailable (it cannot be had).
// Threads:  one of its own answers, one request after the other.
// Lifetime: ends its connections and every proxy when it goes.
// Cost:     at most kMaxConnections of ProxyApi::kMaxBody bytes; more wait to be accepted. One that sends or takes
//           nothing for kPatience is hung up on.
// Source:   https://github.com/Shopify/toxiproxy#http-api
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class ApiServer {
 public:
  static constexpr std::string_view kUsualAddress = "127.0.0.1:8474";  // Toxiproxy's own port
  static constexpr std::size_t kMaxConnections = 64;
  static constexpr auto kPatience = std::chrono::seconds(60);

  /// With the proxies of `populate`, which is JSON as for POST /populate, or empty.
  [[nodiscard]] static Result<ApiServer> start(std::string_view address,
                                               std::string_view populate = {});
  ~ApiServer();
  ApiServer(ApiServer&&) noexcept;
  ApiServer& operator=(ApiServer&&) noexcept;

  [[nodiscard]] const Endpoint& endpoint() const noexcept;
  /// How many proxies it began with.
  [[nodiscard]] std::size_t populated() const noexcept;

 private:
  class Loop;
  explicit ApiServer(std::unique_ptr<Loop> loop) noexcept;
  std::unique_ptr<Loop> loop_;
};

}  // namespace nearlane::harness
