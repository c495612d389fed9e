#include "harness/topology/redis_server.h"

#include <fstream>
#include <utility>

#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGSTOP and SIGCONT are POSIX, not C++

#include "harness/topology/free_port.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr const char* kFile = "redis.conf";

Result<Child> launch(const RedisOptions& options, const TempDir& folder, const Endpoint& endpoint,
                     const Endpoint& tls_endpoint) {
  ChildSpec spec{.name = options.program + " on " + endpoint.to_string(), .argv = {}};
  spec.argv = {options.program};
  if (!options.file.empty()) spec.argv.push_back(folder.path() / kFile);
  spec.argv.insert(spec.argv.end(), {"--port", std::to_string(endpoint.port), "--bind",
                                     endpoint.host, "--dir", folder.path().string(), "--save", "",
                                     "--appendonly", "no", "--daemonize", "no"});
  if (options.tls) {
    spec.argv.insert(spec.argv.end(),
                     {"--tls-port", std::to_string(tls_endpoint.port), "--tls-ca-cert-file",
                      options.tls->authority, "--tls-cert-file", options.tls->certificate,
                      "--tls-key-file", options.tls->key, "--tls-auth-clients", "no"});
  }
  spec.argv.insert(spec.argv.end(), options.config.begin(), options.config.end());
  auto child = Child::start(std::move(spec));
  if (!child) return child.error();

  // Asking for the process's number proves that it is ours that answers, not another's on the same
  // port.
  RedisClient client(endpoint, 500ms);
  const auto ours = std::to_string(child->pid());
  auto ready = child->wait_ready(
      [&] {
        auto answering = client.info("server", "process_id");
        return answering && *answering == ours;
      },
      options.ready_within);
  if (!ready) return ready.error();
  return child;
}

}  // namespace

RedisServer::RedisServer(RedisOptions options, TempDir folder, Child child, Endpoint endpoint,
                         Endpoint tls_endpoint)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      child_(std::move(child)),
      endpoint_(std::move(endpoint)),
      tls_endpoint_(std::move(tls_endpoint)) {}

Result<RedisServer> RedisServer::start(RedisOptions options) {
  if (auto program = find_in_path(options.program); !program) return program.error();
  auto folder = options.folder_in_memory ? TempDir::make_in_memory() : TempDir::make();
  if (!folder) return folder.error();
  if (!options.file.empty()) std::ofstream(folder->path() / kFile) << options.file;
  Error last{Errc::unavailable, {}};
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    auto port = free_port();
    if (!port) return port.error();
    const auto tls_port = options.tls ? free_port() : Result<std::uint16_t>(std::uint16_t{0});
    if (!tls_port) return tls_port.error();
    Endpoint endpoint{.host = "127.0.0.1", .port = *port};
    Endpoint tls_endpoint{.host = "127.0.0.1", .port = *tls_port};
    auto child = launch(options, *folder, endpoint, tls_endpoint);
    if (child) {
      return RedisServer(std::move(options), std::move(*folder), std::move(*child),
                         std::move(endpoint), std::move(tls_endpoint));
    }
    last = child.error();
    // Only a port that was taken in between is worth another try.
    if (last.detail.find("Address already in use") == std::string::npos) break;
  }
  return last;
}

Result<void> RedisServer::stall() const { return child_.signal(SIGSTOP); }
Result<void> RedisServer::resume() const { return child_.signal(SIGCONT); }

Result<void> RedisServer::restart() {
  child_.kill();
  auto child = launch(options_, folder_, endpoint_, tls_endpoint_);
  if (!child) return child.error();
  child_ = std::move(*child);
  return {};
}

}  // namespace nearlane::harness
