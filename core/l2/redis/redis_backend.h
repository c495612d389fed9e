// One Redis (or Valkey) master as L2, named or found by its sentinels: lanes over TCP, or over TLS.
//
// `pool` lanes, each a cohere::Lane on one event loop, plus a few untracked connections for
// commands with several keys or none. This room only carries bytes and time; what they mean is
// decided in cohere.
//
// Threads:   submit from any thread; a lane's calls settle and complete on its loop.
// Lifetime:  the loops outlive the backend's last handler: stop(), let them run out, then destroy.
// Errors:    as L2Backend; the URL's own in make_route.
// Cost:      one post to the lane's loop a call from another loop; commands of one loop turn share
//            a send.
#pragma once

#include <memory>
#include <span>

#include "core/l2/l2_backend.h"
#include "core/l2/redis/route.h"

namespace nearlane::l2 {

[[nodiscard]] std::unique_ptr<L2Backend> make_redis_backend(
    std::shared_ptr<Route> route, const L2Config& config,
    std::span<boost::asio::io_context* const> loops);

}  // namespace nearlane::l2
