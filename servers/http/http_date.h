// The time of day as HTTP's Date says it.
//
// Threads:   any; each has its own text.  Cost: one look at the clock, and a new text once a second.
// Source:    RFC 9110 section 5.6.7.
#pragma once

#include <string>

namespace nearlane::http {

/// IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT". Good until the thread's next call.
[[nodiscard]] const std::string& http_date();

}  // namespace nearlane::http
