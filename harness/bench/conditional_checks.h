// Conditional requests, asked and compared with what RFC 9110 says of them: If-None-Match and If-Match with a value's tag,
// as a weak one, in lists, as "*", with tags of other forms and of nothing, for GET, HEAD, PUT and DELETE.
//
// Errors:   unavailable where the value does not get its compressed forms. What is answered wrongly is counted and said.
// Threads:  one. Cost: some hundred requests, one after the other on one kept connection.
// Source:   RFC 9110 sections 8.8.3, 13.1.1, 13.1.2 and 13.2.2; a tag of any of its forms is a tag of the value, which is
//           what may be asked of a cache that makes forms beside the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "harness/topology/endpoint.h"

namespace nearlane::harness {

struct CheckedGroup {
  std::string id;
  std::string what;
  std::uint64_t asked = 0;
  std::vector<std::string> wrong = {};
};

/// In a server that has none of the keys "conditional-…".
[[nodiscard]] Result<std::vector<CheckedGroup>> check_conditions(const Endpoint& http,
                                                                 std::size_t value_bytes);

}  // namespace nearlane::harness
