// twemproxy, which Debian calls nutcracker: one thread of work, and one connection to the Redis behind it, as is its default.
#include <utility>

#include <fmt/format.h>

#include "harness/peers/resp_peer.h"
#include "harness/report/files.h"
#include "harness/topology/free_port.h"
#include "harness/topology/pinned.h"
#include "harness/topology/redis_client.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadyWithin = 10s;
/// Where Debian has it; a user's PATH need not name that.
constexpr const char* kInstalled = "/usr/sbin/nutcracker";

constexpr const char* kConfig = R"(peer:
  listen: {}
  redis: true
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: false
  preconnect: true
  servers:
   - {}:1
)";

class NutcrackerPeer final : public RespPeer {
 public:
  NutcrackerPeer(TempDir folder, Child child, Endpoint endpoint)
      : folder_(std::move(folder)), child_(std::move(child)), endpoint_(std::move(endpoint)) {}
  [[nodiscard]] const Endpoint& resp() const noexcept override { return endpoint_; }
  [[nodiscard]] const Child& child() const noexcept override { return child_; }

 private:
  TempDir folder_;  // before child_: removed after the process has gone
  Child child_;
  Endpoint endpoint_;
};

RespPeerResult start_on(const Endpoint& endpoint, std::uint16_t stats_port,
                        const std::string& program, const Endpoint& redis) {
  auto folder = TempDir::make_in_memory();
  if (!folder) return folder.error();
  const auto file = folder->path() / "nutcracker.yml";
  const auto config = fmt::format(kConfig, endpoint.to_string(), redis.to_string());
  if (const auto written = write_file(file, config); !written) return written.error();
  const auto start = [&] {
    const Pinned there(kServersCore);
    return Child::start({.name = "nutcracker on " + endpoint.to_string(),
                         .argv = {program, "--conf-file", file.string(), "--stats-addr",
                                  endpoint.host, "--stats-port", std::to_string(stats_port)}});
  };
  auto child = start();
  if (!child) return child.error();
  RedisClient client(endpoint);
  const auto ready = child->wait_ready(
      [&] {
        const auto answer = client.command({"GET", "nutcracker"});
        return answer && !answer->is_error();
      },
      kReadyWithin);
  if (!ready) return ready.error();
  return std::make_unique<NutcrackerPeer>(std::move(*folder), std::move(*child), endpoint);
}

}  // namespace

RespPeerResult start_nutcracker(const Endpoint& redis) {
  auto program = find_in_path("nutcracker");
  if (!program) program = find_in_path(kInstalled);
  if (!program) return program.error();
  Error last{Errc::unavailable, {}};
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    const auto port = free_port();
    if (!port) return port.error();
    const auto stats_port = free_port();
    if (!stats_port) return stats_port.error();
    auto peer =
        start_on({.host = "127.0.0.1", .port = *port}, *stats_port, program->string(), redis);
    if (peer) return peer;
    last = peer.error();
    // Only a port that was taken in between is worth another try.
    if (last.detail.find("ddress already in use") == std::string::npos) break;
  }
  return last;
}

}  // namespace nearlane::harness
