// The embedded store in memory: one machine, gone when the process ends.
//
// It is a Keyspace under one lock: commands are executed, and their calls settled, one at a time,
// so the order in which L1 learns of changes is the order in which they happened. Nobody else can
// write, so its lease never ends.
//
// Threads:   any; a command runs on its caller's thread.
// Cost:      one lock a command, nothing waits for anything else.
// Errors:    Redis's own texts; unknown commands say that they need another L2; a full store
//            answers Redis's OOM error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/l2_backend.h"

namespace nearlane::l2 {

[[nodiscard]] std::unique_ptr<L2Backend> make_memory_backend(
    std::uint64_t max_bytes, std::size_t max_value = embedded::kMaxValue);

}  // namespace nearlane::l2
