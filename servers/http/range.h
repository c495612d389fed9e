// Range: the part of a body that a GET asks for. One range of bytes; of what asks for several, or in another unit, all is
// sent, as RFC 9110 allows.
//
// Units:     bytes.
// Threads:   plain functions.  Cost: one pass, no allocation.
// Source:    RFC 9110 sections 14.1 and 14.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nearlane::http {

/// As it was asked: "bytes=first-last", "bytes=first-", or, without `first`, the last so many: "bytes=-last".
struct RangeSpec {
  std::optional<std::uint64_t> first = {};
  std::optional<std::uint64_t> last = {};
};

/// Nothing: it is no such range, and the field means nothing.
[[nodiscard]] std::optional<RangeSpec> parse_range(std::string_view field);

struct Range {
  std::uint64_t first = 0;
  std::uint64_t size = 0;  // never 0
};

/// Of a body of `size` bytes; nothing: none of them was asked for (416).
[[nodiscard]] std::optional<Range> resolve(const RangeSpec& spec, std::uint64_t size) noexcept;

}  // namespace nearlane::http
