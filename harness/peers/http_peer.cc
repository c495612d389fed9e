#include "harness/peers/http_peer.h"

#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <poll.h>

#include "harness/driver/socket.h"
#include "harness/topology/free_port.h"
#include "harness/topology/pinned.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadyWithin = 20s;
constexpr Duration kAnswersWithin = 500ms;  // one try of many

constexpr std::array kPeers = {
    HttpPeerKind{"nginx", "nginx, static files", start_nginx},
    HttpPeerKind{"h2o", "h2o, static files", start_h2o},
    HttpPeerKind{"varnish", "Varnish, hits", start_varnish},
    HttpPeerKind{"beast", "plain Beast", start_beast},
    HttpPeerKind{"canned", "canned answer, bare epoll", start_canned, true},
};

/// Whether there is a 200 for this page now. The first bytes will do: what it is, is the measuring one's question.
bool answers(const Endpoint& peer, const Page& page) {
  Socket socket;
  if (!socket.connect_by(peer, Clock::now() + kAnswersWithin)) return false;
  const auto request =
      fmt::format("GET /cache/{} HTTP/1.1\r\nHost: {}\r\n\r\n", page.key, peer.to_string());
  if (socket.send(request).bytes != request.size()) return false;
  pollfd waiting{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  constexpr auto kPatience = std::chrono::duration_cast<std::chrono::milliseconds>(kAnswersWithin);
  if (::poll(&waiting, 1, static_cast<int>(kPatience.count())) != 1) return false;
  std::array<char, 1024> reply;
  const auto moved = socket.receive(reply);
  return std::string_view(reply.data(), moved.bytes).starts_with("HTTP/1.1 200 ");
}

Result<Child> start_on_its_core(ChildSpec spec) {
  const Pinned there(kServersCore);
  return Child::start(std::move(spec));
}

}  // namespace

std::span<const HttpPeerKind> http_peers() noexcept { return kPeers; }

HttpPeerResult start_on_free_port(const Site& site, const SpecOf& spec) {
  Error last{Errc::unavailable, {}};
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    auto folder = TempDir::make_in_memory();
    if (!folder) return folder.error();
    const auto port = free_port();
    if (!port) return port.error();
    Endpoint endpoint{.host = "127.0.0.1", .port = *port};
    auto made = spec(folder->path(), endpoint);
    if (!made) return made.error();
    auto child = start_on_its_core(std::move(*made));
    if (!child) return child.error();
    const auto ready =
        child->wait_ready([&] { return answers(endpoint, site.pages().front()); }, kReadyWithin);
    if (ready) {
      return std::make_unique<ChildPeer>(std::move(*folder), std::move(*child),
                                         std::move(endpoint));
    }
    last = ready.error();
    // Only a port that was taken in between is worth another try.
    if (last.detail.find("ddress already in use") == std::string::npos) break;
  }
  return last;
}

HttpPeerResult start_own(std::string_view program, const std::vector<std::string>& arguments) {
  const auto path = find_beside(program);
  if (!path) return path.error();
  auto folder = TempDir::make_in_memory();
  if (!folder) return folder.error();
  ChildSpec spec{.name = std::string(program), .argv = {path->string()}};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  auto child = start_on_its_core(std::move(spec));
  if (!child) return child.error();
  const auto ready = fmt::format("{} ready http=", program);
  const auto line = child->wait_line(ready, kReadyWithin);
  if (!line) return line.error();
  auto endpoint = Endpoint::parse(std::string_view(*line).substr(ready.size()));
  if (!endpoint) return endpoint.error();
  return std::make_unique<ChildPeer>(std::move(*folder), std::move(*child), std::move(*endpoint));
}

}  // namespace nearlane::harness
