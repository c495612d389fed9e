// A blocking HTTP connection that stays open, and whose answers can be asked for later than they come.
//
// Errors:   none: what does not come within its limit, or at all, is an empty response.
// Threads:  one user at a time.
// Cost:     one recv for each piece that arrives; for tests, never for measuring.
// Source:   RFC 9112 section 6.3, of which it knows Content-Length and what has no body.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "core/base/clock.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct HttpResponse {
  std::string status = {};  // such as 204
  std::string head = {};
  std::string body = {};

  [[nodiscard]] bool from_l1() const { return head.find("X-Cache: L1") != std::string::npos; }
};

/// A request without a body.
[[nodiscard]] std::string http_request(std::string_view method, std::string_view target);

class HttpClient {
 public:
  explicit HttpClient(const Endpoint& endpoint);

  /// Requests as they are to be, one or several, or a part of one.
  void send(std::string_view bytes);
  /// Whether anything has come, or comes within so long.
  [[nodiscard]] bool hears_within(std::chrono::milliseconds patience);
  /// `to_head`: it has no body, whatever its head says of one.
  [[nodiscard]] HttpResponse response(Duration limit = std::chrono::seconds(20),
                                      bool to_head = false);
  HttpResponse exchange(std::string_view method, std::string_view target) {
    send(http_request(method, target));
    return response();
  }

 private:
  [[nodiscard]] bool wait(Duration limit);
  [[nodiscard]] bool receive(TimePoint deadline);

  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  std::string received_;  // not handed out yet
};

}  // namespace nearlane::harness
