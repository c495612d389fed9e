// A Redis Cluster as L2: lanes to each of its primaries.
//
// `pool` lanes in all, each a cohere::Lane to one primary at a time (cluster_layout.h), and for each primary a few untracked
// connections. Which lane a key belongs to, its slot says. Invariant: what L1 serves of a key is vouched for by a
// lane to the primary that owns the key's slot, as far as is known here, and by no other. What was not executed because the
// slot is elsewhere is sent again, until its deadline.
//
// Threads:   submit from any thread; a lane's calls settle and complete on its loop. The map is followed on the first loop.
// Lifetime:  as RedisBackend.
// Errors:    as L2Backend; unavailable also where a slot's primary stays unknown, and where there are more primaries than lanes.
// Cost:      as RedisBackend; slot_of a call.
// Source:    docs/decisions/0024-a-cluster-behind.md.
#pragma once

#include <memory>
#include <span>

#include "core/l2/l2_backend.h"
#include "core/l2/redis/route.h"

namespace nearlane::l2 {

/// `route`: whose URL names nodes of the cluster.
[[nodiscard]] std::unique_ptr<L2Backend> make_cluster_backend(
    std::shared_ptr<Route> route, const L2Config& config,
    std::span<boost::asio::io_context* const> loops);

}  // namespace nearlane::l2
