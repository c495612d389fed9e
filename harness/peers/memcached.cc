// memcached with one thread of work. It speaks its own text protocol, in which its requests are made (RespKeys).
#include <fstream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "harness/peers/resp_peer.h"
#include "harness/topology/pinned.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadyWithin = 10s;
/// More than the largest scenario's values and what it keeps beside them.
constexpr int kMemoryMib = 2048;
constexpr int kMostConnections = 4096;  // as many as a generator opens
/// What it writes into the file that is named to it, once it listens.
constexpr std::string_view kListens = "TCP INET: ";

/// 0: it does not listen yet.
std::uint16_t port_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(kListens)) return 0;
  const auto endpoint = Endpoint::parse("127.0.0.1:" + line.substr(kListens.size()));
  return endpoint ? endpoint->port : std::uint16_t{0};
}

}  // namespace

RespPeerResult start_memcached() {
  auto folder = TempDir::make();
  if (!folder) return folder.error();
  const auto file = folder->path() / "port";
  const auto start = [&] {
    const Pinned there(kServersCore);
    // Started as root it insists on -u; otherwise it ignores it. As many requests at one event as the deepest pipeline has, or it
    // would send its answers in pieces; and room for values of a MiB.
    return Child::start({.name = "memcached",
                         .argv = {"memcached", "-u", "root", "-l", "127.0.0.1", "-p", "-1", "-U",
                                  "0", "-t", "1", "-m", std::to_string(kMemoryMib), "-c",
                                  std::to_string(kMostConnections), "-R", "64", "-I", "2m"},
                         .env = {"MEMCACHED_PORT_FILENAME=" + file.string()}});
  };
  auto child = start();
  if (!child) return child.error();
  std::uint16_t port = 0;
  const auto ready = child->wait_ready([&] { return (port = port_in(file)) != 0; }, kReadyWithin);
  if (!ready) return ready.error();
  return std::make_unique<ProcessPeer>(std::move(*child),
                                       Endpoint{.host = "127.0.0.1", .port = port});
}

}  // namespace nearlane::harness
