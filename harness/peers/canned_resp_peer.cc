// The canned server as a child process. It picks its port itself and says so.
#include <string>
#include <utility>

#include "harness/peers/resp_peer.h"
#include "harness/topology/pinned.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadyWithin = 10s;
constexpr const char* kProgram = "nearlane-peer-canned-resp";
constexpr std::string_view kReady = "nearlane-peer-canned-resp ready resp=";

}  // namespace

RespPeerResult start_canned_resp(std::size_t value_bytes) {
  const auto program = find_beside(kProgram);
  if (!program) return program.error();
  const auto start = [&] {
    const Pinned there(kServersCore);
    return Child::start(
        {.name = kProgram, .argv = {program->string(), std::to_string(value_bytes)}});
  };
  auto child = start();
  if (!child) return child.error();
  const auto line = child->wait_line(kReady, kReadyWithin);
  if (!line) return line.error();
  auto endpoint = Endpoint::parse(std::string_view(*line).substr(kReady.size()));
  if (!endpoint) return endpoint.error();
  return std::make_unique<ProcessPeer>(std::move(*child), std::move(*endpoint));
}

}  // namespace nearlane::harness
