// Conditional requests: lists of entity tags.
//
// Threads:   plain functions.  Cost: one pass, no allocation.
// Source:    RFC 9110 sections 8.8.3, 13.1.1 and 13.1.2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nearlane::http {

/// The strong entity tag of a value with this digest, in this encoding (empty: as it is):
/// "\"0123456789abcdef-br\"".
[[nodiscard]] std::string entity_tag(std::uint64_t digest, std::string_view encoding);

/// Whether a list of entity tags holds `tag`, compared weakly as If-None-Match asks; "*" holds
/// every tag. What is not a list of tags holds none.
[[nodiscard]] bool lists_tag(std::string_view list, std::string_view tag);

[[nodiscard]] bool is_star(std::string_view list);

}  // namespace nearlane::http
