// A workload: a seeded stream of operations, each with the moment at which it is due.
//
// Three sources. `generated` draws keys, operations and sizes from distributions. `trace` replays a
// recorded log; where the log is not at hand, a stand-in may run instead, and whoever reports says
// so. `sessions` is that stand-in: session-shaped requests drawn from the quantiles of a recorded
// day.
//
// Units:    `at` counts from the start of the run; sizes in bytes.
// Errors:   read_workload leaves its problems in the Settings; open_workload and next return what
// the
//           trace readers do.
// Threads:  one a stream. The same spec and seed give the same stream on every machine.
// Source:   requests a session 6/22/60 and gaps 3/70/869 s (p50/p90/p99), 2,365 clients in 12.9 h:
//           the web server log of NASA's Kennedy Space Center, 1 August 1995.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/workload/settings.h"
#include "harness/workload/trace.h"

namespace nearlane::harness {

struct Operation {
  Duration at = Duration::zero();
  Op op = Op::get;
  std::string key = {};
  std::size_t value_bytes = 0;  // of a set
  bool follows = false;  // belongs to the same request of an application as the operation before it
  Duration ttl = Duration::zero();  // of a set or touch; zero = none
};

struct WorkloadSpec {
  std::string name = {};
  std::string source = {};  // generated, trace or sessions
  std::uint64_t seed = 42;
  std::uint64_t operations = 0;  // of a trace: at most so many; 0 = all
  double rate = 0;               // operations/s; 0 = closed loop, every `at` is zero
  bool poisson = true;           // else evenly spaced
  std::vector<std::pair<std::uint64_t, double>> sizes =
      {};  // bytes and their share, which a key keeps
  Duration ttl = Duration::zero();
  // generated
  std::uint64_t keys = 0;
  std::string distribution = {};  // constant, uniform or zipf
  double theta = 0.99;
  std::array<double, 4> mix{};  // by Op; adds up to 1
  std::string prefix = {};
  // trace
  std::string trace = {};
  bool stand_in = false;
  // trace and sessions: with a session TTL each recorded read becomes one request of a web
  // application: a get, then a set when the session is new or had expired by the log's own clock,
  // else a touch. A session that comes back after expiring has a new name, as it has a new
  // identifier in life.
  Duration session_ttl = Duration::zero();
};

/// Reads and checks one [[workload]] table.
[[nodiscard]] WorkloadSpec read_workload(Section& section);

class Workload {
 public:
  virtual ~Workload() = default;
  /// False at the end. `operation` is reused, so that a long stream allocates little.
  [[nodiscard]] virtual Result<bool> next(Operation& operation) = 0;
};

struct OpenedWorkload {
  std::unique_ptr<Workload> stream;
  std::string origin;  // what really runs: "trace nasa-sessions", "generated ..."
  std::string absent;  // the trace that was not found, else empty
};

/// `traces` is the directory of traces, or empty.
[[nodiscard]] Result<OpenedWorkload> open_workload(const WorkloadSpec& spec,
                                                   const std::string& traces);

/// How large the value of a generated workload's key with this number is, whenever it is written.
[[nodiscard]] std::size_t value_bytes_of(const WorkloadSpec& spec, std::uint64_t number);

/// The name of the key with this number: prefix and 16 digits that show nothing of its popularity.
void write_key_name(std::string_view prefix, std::uint64_t number, std::string& out);

}  // namespace nearlane::harness
