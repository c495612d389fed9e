// Bursts: a load of sequences that sends several requests at once and the next when all of them are answered.
//
// The generator (generator.h) encodes, parses, and keeps each request's times; that takes it about as long as a fast server needs for
// the answer. This load compares lengths, and some replies byte by byte, so that it can keep up where servers are compared by their
// throughput of pipelined requests. How many requests come together depends on neither side's speed.
//
// Order:     bursts of a sequence go to connections that are free, in turn; its end is followed by its beginning. A closed loop sends
//            when a burst was answered. An open loop sends when a burst is due and a connection free; its response_time counts from
//            when it was due.
// Units:     the report's counts and rates are of requests, its times of whole bursts: from the first request's bytes given to the
//            kernel (or due) until the last reply's last byte was there.
// Errors:    any failure ends it: unavailable or timeout where not all connections open, connection_lost, l2_error for an error reply
//            (at a burst's beginning, or anywhere in a compared one; RESP's or memcached's), protocol for a reply that is not the expected one, timeout where nothing comes any more, busy where too many wait;
//            invalid_argument for what cannot be.
// Threads:   blocks its caller, on whose thread all of it runs.
// Cost:      a core, as long as it polls. Memory: a compared reply.
// Source:    recv's MSG_TRUNC, tcp(7): what is not compared is discarded in the kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "harness/driver/run.h"
#include "harness/driver/sequence.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

inline constexpr std::uint32_t kMaxBurstConnections = 20'000;  // of all loads together

struct BurstLoad {
  const Sequence* sequence = nullptr;  // outlives the run
  Endpoint target;
  std::uint32_t connections = 1;
  std::uint32_t burst = 1;               // requests
  std::uint32_t under_way = UINT32_MAX;  // bursts at once, at most
  double rate = 0;                       // bursts/s, by Poisson; 0: a closed loop
  std::uint64_t bursts = UINT64_MAX;     // at most
  std::uint64_t first = 0;               // request of the sequence to begin with, modulo its size
};

struct BurstOptions {
  Duration duration = std::chrono::seconds(1);  // nothing is sent that is due later
  Duration timeout = std::chrono::seconds(5);   // without a byte from anyone
  /// Every so many-th burst's reply is compared. Of the others: its length, and that it is no error.
  std::uint64_t compare_every = 1;
  bool polls = true;  // false: sleeps while nothing comes, to leave its core to another server
  std::uint64_t seed = 42;
  std::function<void()> opened = {};    // every connection is open, and nothing was sent
  std::function<void()> answered = {};  // all is answered, and every connection is still open
};

struct BurstReport {
  std::vector<RunReport> runs;  // one a load
  Duration load_cpu{};          // this thread's, from opened to answered
};

[[nodiscard]] Result<BurstReport> send_bursts(std::span<const BurstLoad> loads,
                                              const BurstOptions& options);

}  // namespace nearlane::harness
