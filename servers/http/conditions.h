// Conditional requests: lists of entity tags.
//
// Threads:   plain functions.
// Cost:      one pass, no allocation; Preconditions: a digest of the value, and three tags.
// Source:    RFC 9110 sections 8.8.3, 13.1.1, 13.1.2 and 13.2.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nearlane::http {

/// The strong entity tag of a value with this digest, in this encoding (empty: as it is):
/// "\"0123456789abcdef-br\"".
[[nodiscard]] std::string entity_tag(std::uint64_t digest, std::string_view encoding);

/// How tags are compared: weakly, W/"x" is "x"; strongly, it is nothing.
enum class Comparison : std::uint8_t { weak, strong };

/// Whether a list of entity tags holds `tag`; "*" holds every tag. What is not a list of tags holds none.
[[nodiscard]] bool lists_tag(std::string_view list, std::string_view tag,
                             Comparison comparison = Comparison::weak);

[[nodiscard]] bool is_star(std::string_view list);

/// What a write asks of the value that is there.
struct Preconditions {
  std::optional<std::string> if_match = {};
  std::optional<std::string> if_none_match = {};

  [[nodiscard]] bool any() const noexcept { return if_match || if_none_match; }
  /// Of the value, or of there being none. A tag of any of its forms is a tag of the value.
  [[nodiscard]] bool hold(std::optional<std::string_view> value) const;
};

}  // namespace nearlane::http
