// A closed loop of HTTP reads against one server, as many as it answers: what it costs the server and how long its clients wait.
//
// The calling thread runs the load and should be on a core of its own (pinned.h), the server on another. The server's CPU time
// is taken from the first answer on, when every connection is open, and is that of all its processes.
//
// Errors:   those of the generator; protocol where an answer is not as `check` wants it. A load that had no turn on a busy
//           machine is void.
// Threads:  one. Cost: `load_for`, and a pass over /proc before it.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

#include "core/base/result.h"
#include "harness/bench/scenario.h"
#include "harness/driver/codec.h"
#include "harness/driver/request.h"
#include "harness/report/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct HttpLoad {
  Endpoint target;
  pid_t server = 0;
  std::uint32_t connections = 1;
  std::uint32_t in_flight = 1;  // on one connection; sent at once, then waited for
  std::string headers = {};     // lines that end in CRLF
  HttpReads reads = HttpReads::get;
  Duration load_for{};
  Checker check = {};
};

/// Adds cpu_ns_per_op (the server's), rate_per_s, response_bytes (heads too), load_ns_per_op (the load's own CPU time), and
/// the latencies of single requests.
[[nodiscard]] Result<void> load_http(RequestSource& source, const HttpLoad& load,
                                     Repetition& repetition);

/// How long it lasts in a run of this size: long enough for both sides to have turns on a busy machine.
[[nodiscard]] Duration load_time(Duration wanted, const Bench& bench);

/// A measure of that.
[[nodiscard]] Measure http_load_measure(std::string id, std::string what, const HttpLoad& load);

}  // namespace nearlane::harness
