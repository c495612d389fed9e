// TestServer: the HTTP door over an embedded store in this process and on this thread, for tests of what it answers.
//
// A conversation is a socket pair: no listener, no port, no other thread, and nothing is waited for.
//
// Lifetime:  conversations end with their call; what they wrote stays.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "core/l1/l1_map.h"
#include "core/l2/memory/memory_backend.h"
#include "core/tier/tiered_cache.h"
#include "servers/http/door.h"
#include "servers/loop/loop_group.h"

namespace nearlane::http {

/// Keys that begin so are never in L1.
inline constexpr std::string_view kNeverInL1 = "raw:";

class TestServer {
 public:
  explicit TestServer(RoutesConfig routes)
      : tier_({.precompress = tier::Precompress::asked,
               .prefixes = {{.match = std::string(kNeverInL1), .rules = {.l1 = false}},
                            {.match = "slid:", .rules = {.touch_coalescing = true}},
                            {.match = "b:",
                             .rules = {.precompress = tier::Precompress::asked,
                                       .content_type = "application/json"}}},
               .precompression = {.threads = 0}},
              *l1::make_l1({.map = "native", .policy = "lru", .bytes = std::uint64_t{8} << 20U}),
              l2::make_memory_backend(std::uint64_t{64} << 20U)),
        loops_(1, {}),
        door_(loops_, tier_, with_pages(std::move(routes)), {.max_body = std::uint64_t{1} << 20U}) {
    tier_.start();
  }
  ~TestServer() { tier_.stop(); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] tier::TieredCache& tier() noexcept { return tier_; }
  [[nodiscard]] const loop::DoorStats& stats() const noexcept { return *door_.stats().front(); }

  /// What comes back for `pieces`, of which each is sent when all that could be answered before it has been, until
  /// the server closes or has answered all.
  [[nodiscard]] std::string converse(std::span<const std::string_view> pieces) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0)
      return "no sockets";
    loop::Loop& home = loops_.loop(0);
    home.add(door_.accept(home, ends[0]));
    std::string received;
    for (std::string_view piece : pieces) {
      while (!piece.empty()) {
        const ssize_t sent = ::send(ends[1], piece.data(), piece.size(), MSG_NOSIGNAL);
        if (sent > 0) piece.remove_prefix(static_cast<std::size_t>(sent));
        serve(ends[1], received);
        if (home.connections() == 0) break;
      }
    }
    ::shutdown(ends[1], SHUT_WR);
    serve(ends[1], received);
    ::close(ends[1]);
    while (
        tier_
            .precompress_once()) {  // what a thread of its own would do, at a time that both lanes see
    }
    return home.connections() == 0 ? received : received + "(and the connection stays open)";
  }
  [[nodiscard]] std::string converse(std::string_view bytes) {
    return converse(std::span(&bytes, 1));
  }

 private:
  static RoutesConfig with_pages(RoutesConfig routes) {
    routes.admin = [](Route) { return AdminPage{200, "text/plain", "ok\n"}; };
    routes.why = [](const KeyRef&, const tier::Explanation&) {
      return AdminPage{200, "application/json", "{}"};
    };
    return routes;
  }

  /// Lets the server do what it can, and takes what it sends.
  void serve(int peer, std::string& received) {
    ssize_t got = 0;
    do {
      loops_.loop(0).context().restart();
      loops_.loop(0).context().poll();
      std::array<char, 65536> chunk;
      got = ::recv(peer, chunk.data(), chunk.size(), 0);
      if (got > 0) received.append(chunk.data(), static_cast<std::size_t>(got));
    } while (got > 0);
  }

  tier::TieredCache tier_;
  loop::LoopGroup loops_;
  Door door_;
};

/// `fields`: more of the head, each with its end.
[[nodiscard]] inline std::string put_request(std::string_view key, std::string_view value,
                                             std::string_view fields = {}) {
  std::string request = "PUT /cache/";
  request.append(key).append(" HTTP/1.1\r\nHost: t\r\n").append(fields);
  request.append("Content-Length: ");
  request.append(std::to_string(value.size())).append("\r\n\r\n").append(value);
  return request;
}

/// Answers without what depends on when they were given.
[[nodiscard]] inline std::string without_dates(std::string answers) {
  static constexpr std::string_view kDate = "\r\nDate: ";
  for (std::size_t at = answers.find(kDate); at != std::string::npos;
       at = answers.find(kDate, at + kDate.size())) {
    answers.erase(at + kDate.size(), answers.find('\r', at + kDate.size()) - at - kDate.size());
  }
  return answers;
}

}  // namespace nearlane::http
