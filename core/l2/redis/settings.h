// What of Redis's configuration does not go with a cache in front of it, and its owner has to know.
//
// tracking-table-max-keys: each lane asks for a table of tracked keys without a limit (core/cohere/lane_forms.cc). Where that is
// not allowed, entries beyond the limit may go stale unannounced (docs/coherence.md).
// maxmemory-policy: what L1 answers for looks idle to Redis, and an allkeys policy evicts it; core/tier/recency.cc works against
// that, as far as it goes.
//
// Threads:   any.
// Errors:    said in the log; nothing else depends on it.
#pragma once

#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

/// Asks Redis, and warns. `l2` outlives its calls.
void check_settings(L2Backend& l2, TimePoint deadline);

}  // namespace nearlane::l2
