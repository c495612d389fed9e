// Redis's table of tracked keys (tracking-table-max-keys): will it overflow?
//
// Each lane asks for a table without a limit (core/cohere/lane.cc). Where that is not allowed, entries beyond the
// limit may go stale unannounced (docs/coherence.md), which the owner of that Redis has to know.
//
// Threads:   any.
// Errors:    said in the log; nothing else depends on it.
#pragma once

#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

/// Asks Redis for the limit, and warns where there is one or it cannot be read. `l2` outlives its call.
void check_tracking_table(L2Backend& l2, TimePoint deadline);

}  // namespace nearlane::l2
