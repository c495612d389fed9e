#include "harness/bench/server_stats.h"

#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "core/base/clock.h"
#include "harness/driver/socket.h"

namespace nearlane::harness {
namespace {

constexpr Duration kWithin = std::chrono::seconds(5);
constexpr std::size_t kMaxPage = std::size_t{16} << 20U;

}  // namespace

Result<std::string> http_get(const Endpoint& peer, std::string_view path,
                             std::string_view headers) {
  const auto deadline = Clock::now() + kWithin;
  const auto failed = [&](Errc code, std::string_view what) {
    return Error{code, fmt::format("{}{}: {}", peer.to_string(), path, what)};
  };
  Socket socket;
  if (const auto open = socket.connect_by(peer, deadline); !open) return open.error();
  const auto request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n",
                                   path, peer.to_string(), headers);
  if (socket.send(request).bytes != request.size()) {
    return failed(Errc::unavailable, "the request was not taken");
  }
  std::string reply;
  std::array<char, 65536> buffer;
  for (;;) {
    const auto moved = socket.receive(buffer);
    if (moved.bytes == 0 && !moved.would_block) break;  // it closes, as it was asked to
    if (moved.bytes == 0 && Clock::now() >= deadline) return failed(Errc::timeout, "no answer");
    if (moved.bytes == 0) {
      pollfd waiting{.fd = socket.fd(), .events = POLLIN, .revents = 0};
      (void)poll(&waiting, 1, 10);
      continue;
    }
    reply.append(buffer.data(), moved.bytes);
    if (reply.size() > kMaxPage) return failed(Errc::too_large, "an endless page");
  }
  const auto head = reply.find("\r\n\r\n");
  if (head == std::string::npos || !reply.starts_with("HTTP/1.1 200")) {
    return failed(Errc::protocol,
                  fmt::format("answered \"{}\"", reply.substr(0, reply.find('\r'))));
  }
  return reply.substr(head + 4);
}

Result<ServerStats> parse_stats(std::string_view text) {
  const auto page = nlohmann::json::parse(text, nullptr, false);
  try {
    ServerStats stats;
    stats.l1_hits = page.at("l1").at("hits").get<std::uint64_t>();
    stats.l1_misses = page.at("l1").at("misses").get<std::uint64_t>();
    stats.l1_entries = page.at("l1").at("entries").get<std::uint64_t>();
    stats.l1_bytes = page.at("l1").at("bytes").get<std::uint64_t>();
    stats.precompressed = page.at("l1").at("precompressed").get<std::uint64_t>();
    stats.l2_hits = page.at("l2").at("hits").get<std::uint64_t>();
    stats.l2_misses = page.at("l2").at("misses").get<std::uint64_t>();
    stats.confirmations = page.at("l2").at("confirmations").get<std::uint64_t>();
    stats.invalidations = page.at("l2").at("invalidations").get<std::uint64_t>();
    stats.large_in_line = page.at("l2").at("large_in_line").get<std::uint64_t>();
    stats.resident_bytes = page.at("resident_bytes").get<std::uint64_t>();
    for (const auto& [door, about] : page.at("doors").items()) {
      auto read = Histogram::from_text(about.at("l1_latency").at("histogram").get<std::string>());
      if (!read) return read.error();
      stats.l1_latency.emplace(door, std::move(*read));
      stats.requests.emplace(door, about.at("requests").get<std::uint64_t>());
    }
    return stats;
  } catch (const nlohmann::json::exception& wrong) {
    return Error{Errc::protocol, fmt::format("/stats: {}", wrong.what())};
  }
}

Result<ServerStats> read_stats(const Endpoint& http, std::string_view headers) {
  const auto page = http_get(http, "/stats", headers);
  if (!page) return page.error();
  return parse_stats(*page);
}

}  // namespace nearlane::harness
