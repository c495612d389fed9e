// One Nearlane server as a child process, on ports that the system picks.
//
// Errors:   invalid_argument (no such program), unavailable (it ended, or its ready line is not
//           as agreed), timeout; with its last lines.
// Threads:  start and restart from one thread; the rest as Child.
// Lifetime: the process goes with the object.
// Source:   the ready line: `nearlane ready resp=HOST:PORT http=HOST:PORT pid=N`.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct InstanceOptions {
  std::string name = "nearlane";
  std::string l2 = "memory:";
  std::vector<std::string> flags = {};  // such as {"--threads", "1"}
  std::vector<std::string> env = {};    // NAME=VALUE
  std::filesystem::path program = {};   // empty = find_server()
  std::filesystem::path log = {};       // where its output is kept; empty = memory only
  Duration ready_within = std::chrono::seconds(15);
};

class Instance {
 public:
  [[nodiscard]] static Result<Instance> start(InstanceOptions options = {});

  /// A door that is `off` has port 0.
  [[nodiscard]] const Endpoint& resp() const noexcept { return resp_; }
  [[nodiscard]] const Endpoint& http() const noexcept { return http_; }
  [[nodiscard]] Child& child() noexcept { return child_; }
  [[nodiscard]] const Child& child() const noexcept { return child_; }

  /// Waits until it says that so many lanes to L2 are up, which is all of them if that is its `--pool`:
  /// what goes over one that is still connecting may fail. timeout with what it said last.
  [[nodiscard]] Result<void> lanes_up_within(unsigned lanes, Duration limit) const;

  /// SIGTERM and wait for its drain; past the limit it is killed and the answer is timeout.
  [[nodiscard]] Result<ExitStatus> drain(Duration limit = std::chrono::seconds(10));
  /// SIGKILL, reaped on return.
  void kill() { child_.kill(); }
  /// Kills what still runs and starts it again on the same ports.
  [[nodiscard]] Result<void> restart();

 private:
  Instance(InstanceOptions options, Child child, Endpoint resp, Endpoint http);
  [[nodiscard]] static Result<Instance> launch(InstanceOptions options, const std::string& resp,
                                               const std::string& http);

  InstanceOptions options_;
  Child child_;
  Endpoint resp_;
  Endpoint http_;
};

/// The server's program: the NEARLANE_BIN variable, else `nearlane` beside the running program,
/// else in ../bin.
[[nodiscard]] Result<std::filesystem::path> find_server();

/// The two endpoints of a ready line; protocol if it is not one.
struct ReadyLine {
  Endpoint resp;
  Endpoint http;
};
[[nodiscard]] Result<ReadyLine> parse_ready_line(std::string_view line);

}  // namespace nearlane::harness
