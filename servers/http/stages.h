// Stages: what may be done to a response after the route made it. Composed in order, off in the
//         head profile.
//
// Threads:   plain functions.
#pragma once

#include <span>
#include <vector>

#include "servers/http/messages.h"

namespace nearlane::http {

using Stage = void (*)(const Request& request, Response& response);

/// Cross-origin requests from anywhere may read answers and their validators.
void add_cors(const Request& request, Response& response);
/// What browsers should not do with a body of ours.
void add_security_headers(const Request& request, Response& response);

/// The stages of the profiles v2.0 and v3.0.
[[nodiscard]] std::vector<Stage> full_middleware();

/// Answers a CORS preflight.
[[nodiscard]] Response preflight();

}  // namespace nearlane::http
