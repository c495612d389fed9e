// ClusterRoutes: the ways to the nodes of a cluster, for connections that others make.
//
// A route leads to one node, as far as is known now; where another one takes its place, the route's version grows.
//
// Errors:    null: nothing is known of the cluster yet, or of that slot's owner.
// Threads:   any.
// Lifetime:  the backend's.
// Cost:      a lock.
#pragma once

#include <memory>
#include <string_view>

#include "core/l2/redis/cluster_map.h"
#include "core/l2/redis/route.h"

namespace nearlane::l2 {

class ClusterRoutes {
 public:
  virtual ~ClusterRoutes() = default;
  /// To the primary that has the key's slot.
  [[nodiscard]] virtual std::shared_ptr<Route> of(std::string_view key) = 0;
  /// To any primary.
  [[nodiscard]] virtual std::shared_ptr<Route> any() = 0;
  /// Where a node, to which `from` leads, says that a key is: MOVED, which is taken note of, or ASK.
  [[nodiscard]] virtual std::shared_ptr<Route> follow(Redirection redirection,
                                                      const Route& from) = 0;
};

}  // namespace nearlane::l2
