// MediaType: whether a text is an Internet media type that may be sent back as it came.
//
// Stricter than the standard in one thing: printable ASCII only, whatever a quoted parameter might hold, and tabs beside a
// semicolon.
//
// Units:     bytes.
// Threads:   a plain function.
// Cost:      one pass, no allocation.
// Source:    RFC 9110 sections 5.6.2, 5.6.4, 5.6.6 and 8.3.1.
#pragma once

#include <cstddef>
#include <string_view>

namespace nearlane {

/// An entry keeps the length in one byte. Unit: bytes.
inline constexpr std::size_t kMostMediaType = 255;

/// "type/subtype", and parameters such as "; charset=utf-8" behind it, or semicolons without any; no spaces before it.
[[nodiscard]] bool is_media_type(std::string_view text) noexcept;

}  // namespace nearlane
