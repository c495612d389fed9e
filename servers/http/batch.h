// Batch: several operations in one request, and their results, as JSON; without I/O.
//
//   {"operations": [{"get": "a"}, {"set": "b", "value": "text", "ttl": 60}, {"delete": "c"}]}
//   {"results": [{"status": 200, "value": "text", "etag": "\"…\""}, {"status": 201}, {"status": 404, …}]}
//
// JSON's strings are text. A value that is not is written in base64 under "value_base64", in either direction; keys are
// text. "ttl" is in seconds, "px" in milliseconds.
//
// Units:     bytes.
// Errors:    invalid_argument, saying what to mend; too_large over a limit.
// Threads:   plain functions.
// Cost:      one pass over the body; what is not as above ends it at once, so nothing is built of what is refused.
// Source:    RFC 8259, RFC 4648 section 4.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::http {

struct BatchLimits {
  std::size_t operations = 1000;
  std::size_t bytes = std::size_t{16} << 20U;  // of a request, and of the values in an answer
};

struct BatchOperation {
  enum class Kind : std::uint8_t { get, set, del };
  Kind kind = Kind::get;
  std::string key = {};
  std::string value = {};                             // set
  std::optional<std::chrono::milliseconds> ttl = {};  // set
};

[[nodiscard]] Result<std::vector<BatchOperation>> parse_batch(std::string_view body,
                                                              const BatchLimits& limits);

[[nodiscard]] std::string to_base64(std::string_view bytes);
/// Nothing: it is not the base64 of anything.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

}  // namespace nearlane::http
