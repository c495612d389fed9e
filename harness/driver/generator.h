// The generator: one thread that sends requests when they are due, over many connections, and takes the times.
//
// Order:    a request for a named connection keeps its order with the others of that connection; one for any
//           connection goes to the next that has room. One that is due while no connection has room waits, and
//           its response_time goes on.
// Errors:   unavailable when not every connection opens in time. During the run nothing is an error: what fails
//           is counted by Failure, and the report says whether the run counts.
// Threads:  generate blocks its caller; several may run at once on threads of their own.
// Cost:     it polls: near a due time, and for two milliseconds after a reply, the thread does not sleep,
//           because a wake-up (40 to 50 us between cores of a virtual machine) would be measured as the
//           server's. It takes most of one core.
// Limits:   every loop ends by duration + timeout; caps are named in GeneratorOptions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/driver/codec.h"
#include "harness/driver/run.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct GeneratorOptions {
  Protocol protocol = Protocol::resp;
  std::vector<Endpoint> targets;  // connection i goes to target i modulo their number
  std::uint32_t connections = 1;  // at most 4096
  std::uint32_t pipeline = 1;     // requests in flight on one connection; at most 1024
  /// A connection sends `pipeline` requests at once and the next when all of them are answered, so that how many come
  /// together does not depend on how fast either side is. For a closed loop.
  bool in_bursts = false;
  std::string http_headers = {};  // lines ending in CRLF, such as an API key's
  HttpReads http_reads = HttpReads::get;
  Duration timeout = std::chrono::seconds(5);  // of a reply, and of waiting to be sent
  std::uint32_t max_waiting = 1U << 20U;  // due requests without a connection; more are not_sent
  std::uint32_t max_reconnects = 10'000;  // of all connections together
  Duration connect_within = std::chrono::seconds(5);  // all connections, before the run starts
  /// What a balancer would say of a target: one that is out of rotation gets no new requests, and no new connections.
  /// Asked of each every millisecond, on the generator's thread; empty: all are in.
  std::function<bool(std::size_t target)> in_rotation = {};
};

[[nodiscard]] Result<RunReport> generate(RequestSource& source, const GeneratorOptions& generator,
                                         const RunOptions& run);

}  // namespace nearlane::harness
