// Errors as application/problem+json, and the one table from Errc to a status
// (servers/resp/errors.h is RESP's).
//
// Source:    RFC 9457.
#pragma once

#include <chrono>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/base/result.h"
#include "servers/http/messages.h"

namespace nearlane::http {

[[nodiscard]] Response problem(Status status, std::string_view detail);

/// `writes`: the request may have changed something; the problem then says whether it did.
[[nodiscard]] Response problem(const Error& error, bool writes,
                               std::chrono::milliseconds l2_timeout);
/// The body of that one.
[[nodiscard]] nlohmann::json problem_body(const Error& error, bool writes,
                                          std::chrono::milliseconds l2_timeout);

}  // namespace nearlane::http
