// Servers that are measured beside Nearlane over RESP, each alone on kServersCore (pinned.h).
//
// A page each: redis.cc (redis-server as Debian has it), nutcracker.cc (twemproxy before a Redis), memcached.cc (which is asked for
// the same in a protocol of its own), and canned_resp_peer.cc with a program of ours, canned_resp_main.cc: one ready value whatever is
// asked, which is what the kernel alone costs.
//
// Errors:   invalid_argument where a program is missing, unavailable where it would not start, timeout; with its last lines.
// Threads:  start from one thread, which is not pinned.
// Lifetime: the process goes with the object.
// Cost:     10 ms to start.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/base/result.h"
#include "harness/topology/child.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

class RespPeer {
 public:
  virtual ~RespPeer() = default;
  [[nodiscard]] virtual const Endpoint& resp() const noexcept = 0;
  /// The process that does all the work.
  [[nodiscard]] virtual const Child& child() const noexcept = 0;
};
/// A process that answers at an address, and needs nothing else.
class ProcessPeer final : public RespPeer {
 public:
  ProcessPeer(Child child, Endpoint endpoint)
      : child_(std::move(child)), endpoint_(std::move(endpoint)) {}
  [[nodiscard]] const Endpoint& resp() const noexcept override { return endpoint_; }
  [[nodiscard]] const Child& child() const noexcept override { return child_; }

 private:
  Child child_;
  Endpoint endpoint_;
};
using RespPeerResult = Result<std::unique_ptr<RespPeer>>;

[[nodiscard]] RespPeerResult start_redis();
/// With room for 2 GiB.
[[nodiscard]] RespPeerResult start_memcached();
/// Proxies to `redis`, which outlives it.
[[nodiscard]] RespPeerResult start_nutcracker(const Endpoint& redis);
/// Answers each GET with `value_bytes` times kCannedByte (canned_resp.h); MGET and HGET likewise.
[[nodiscard]] RespPeerResult start_canned_resp(std::size_t value_bytes);

}  // namespace nearlane::harness
