// A real redis-server on a loopback port of its own, in a folder of its own, without
// persistence.
//
// Errors:   invalid_argument (not installed), unavailable (would not start), timeout; with its
//           last lines.
// Threads:  start and restart from one thread; the rest as Child.
// Lifetime: the process and the folder go with the object.
// Cost:     about 10 ms to start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/certificate_authority.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"
#include "harness/topology/redis_client.h"
#include "harness/topology/temp_dir.h"

namespace nearlane::harness {

struct RedisOptions {
  std::vector<std::string> config = {};  // as on its command line: {"--maxmemory", "64mb"}
  std::string file =
      {};  // a configuration file's lines, which the server may rewrite; empty: there is no file
  std::string program = "redis-server";  // or valkey-server, or a path
  bool folder_in_memory = false;         // so that it never waits for a disk that others keep busy
  /// What it shows on a second port, which speaks TLS alone and asks for no client's certificate.
  std::optional<TlsFiles> tls = {};
  Duration ready_within = std::chrono::seconds(10);
};

class RedisServer {
 public:
  [[nodiscard]] static Result<RedisServer> start(RedisOptions options = {});

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  /// Where it speaks TLS, if it does.
  [[nodiscard]] const Endpoint& tls_endpoint() const noexcept { return tls_endpoint_; }
  [[nodiscard]] std::string url() const { return "redis://" + endpoint_.to_string(); }
  [[nodiscard]] Child& child() noexcept { return child_; }
  [[nodiscard]] const Child& child() const noexcept { return child_; }
  [[nodiscard]] RedisClient client() const { return RedisClient(endpoint_); }

  /// SIGKILL, reaped on return.
  void kill() { child_.kill(); }
  /// SIGSTOP and SIGCONT: it accepts connections (the kernel does) and answers nothing.
  Result<void> stall() const;
  Result<void> resume() const;
  /// Kills what still runs and starts it again on the same port, in the same folder.
  [[nodiscard]] Result<void> restart();

 private:
  RedisServer(RedisOptions options, TempDir folder, Child child, Endpoint endpoint,
              Endpoint tls_endpoint);

  RedisOptions options_;
  TempDir folder_;  // before child_: removed after the process has gone
  Child child_;
  Endpoint endpoint_;
  Endpoint tls_endpoint_;
};

}  // namespace nearlane::harness
