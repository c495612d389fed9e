// Conditional requests: lists of entity tags.
//
// Threads:   plain functions.
// Cost:      one pass, no allocation; Preconditions: a digest of the value, and three tags.
// Source:    RFC 9110 sections 8.8.3, 13.1.1, 13.1.2 and 13.2.2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nearlane::http {

/// The strong entity tag of a value with this digest, in this encoding (empty: as it is):
/// "\"0123456789abcdef-br\"".
class EntityTag {
 public:
  /// Precondition: `encoding` is the name of one that we know.
  EntityTag(std::uint64_t digest, std::string_view encoding) noexcept;
  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }
  /// The digest's part of it.
  static constexpr std::size_t kDigits = 16;
  [[nodiscard]] std::string_view digits() const noexcept { return text().substr(1, kDigits); }

 private:
  std::array<char, 24> text_;
  std::size_t size_ = 0;
};

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
