// Random commands on a few keys, for comparing one executor of commands with another.
//
// Deadlines lie far ahead and no two are alike, or long past, so that executors whose clocks differ
// by some milliseconds agree. Ill-formed commands are among them: their errors must agree as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/protocol/reply.h"

namespace nearlane::harness {

using Words = std::vector<std::string>;

/// Commands on strings, hashes, keys and expiry, as every L2 serves them.
[[nodiscard]] rc::Gen<std::vector<Words>> any_commands();

/// Whether two replies to `command` say the same: byte for byte, but for clocks (remaining times may
/// differ by two seconds) and for the order of KEYS, SCAN and a
/// hash's fields.
[[nodiscard]] bool agree(const Words& command, protocol::Reply a, protocol::Reply b);

[[nodiscard]] std::string to_bytes(const Words& command);
/// As an inline command, every word quoted.
[[nodiscard]] std::string to_inline(const Words& command);
/// For failure messages: quoted as redis-cli would take it, long words cut.
[[nodiscard]] std::string to_text(const Words& command);

}  // namespace nearlane::harness
