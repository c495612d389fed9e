// The admin pages: what /metrics, /healthz, /readyz and /stats answer, and INFO's text.
//
// Units:     metrics in Prometheus' base units (seconds, bytes); /stats says ns in its names.
// Threads:   any.
// Cost:      sums over loops and threads; a scrape's price, never a request's.
#pragma once

#include <string>
#include <string_view>

#include "servers/admin/sources.h"

namespace nearlane::admin {

/// Prometheus text.
[[nodiscard]] std::string metrics_page(const Sources& sources);

/// JSON: counters by tier, L1's state, and L1 latency by door with its whole histogram
/// (core/base/histogram.h reads it back).
[[nodiscard]] std::string stats_page(const Sources& sources);

struct Readiness {
  bool ready = false;
  std::string body =
      {};  // JSON: whether it drains, its warm-up, coherence mode and bound, L2's health
};
[[nodiscard]] Readiness readiness(const Sources& sources);

/// JSON: why a key is answered as it is. Holds no byte of its value.
[[nodiscard]] std::string why_page(const Sources& sources, const KeyRef& key,
                                   const tier::Explanation& seen);

/// One section of INFO, or "default", "all" and "everything" for every one.
[[nodiscard]] std::string info_text(const Sources& sources, std::string_view section);

}  // namespace nearlane::admin
