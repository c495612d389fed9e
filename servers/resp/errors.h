// The one table from Errc to what a RESP client is told (servers/http/problem.h is HTTP's).
//
// Errors of L2 go out verbatim. Of our own, all begin with "ERR", because clients act on other
// codes: they would retry TRYAGAIN and LOADING, and a write whose outcome is unknown must not be
// retried unasked.
// Cost:     allocates; never on a hit.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "core/base/result.h"

namespace nearlane::resp {

/// Arguments that an error text repeats are cut to this many bytes, as in Redis.
inline constexpr std::size_t kEchoBytes = 128;

/// The text after '-'. `writes`: the command may have changed something.
[[nodiscard]] std::string error_text(const Error& error, bool writes,
                                     std::chrono::milliseconds l2_timeout);

}  // namespace nearlane::resp
