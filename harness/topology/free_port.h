// A TCP port of 127.0.0.1 for a server that cannot be told to pick one itself: asked of the kernel and let go again.
// Another program may take it in between, so who uses it tries again where the server says so.
//
// Errors:   unavailable.
// Threads:  any.
#pragma once

#include <cstdint>

#include "core/base/result.h"

namespace nearlane::harness {

[[nodiscard]] Result<std::uint16_t> free_port();

/// How often a server is started before its port is not to blame.
inline constexpr int kPortAttempts = 10;

}  // namespace nearlane::harness
