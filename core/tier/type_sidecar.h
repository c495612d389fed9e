// TypeSidecar: where L2 keeps of what type a value is, if it is not the one that the configuration says of its key.
//
// L2 holds a value as it is, so that every protocol sees the same bytes. Its type is kept beside it, under a name of its
// own in the slot of the key, and is bound to the value by the digest that is its ETag: what any other writer puts under
// the key is another value, of which the sidecar says nothing.
//
//   key "a"       name "nearlane:type:{a}"        text "0123456789abcdef text/html; charset=utf-8"
//   key "{u1}:a"  name "nearlane:type:of:{u1}:a"
//   key "a}b"     name "nearlane:type:{7082}:a}b"  the number is one whose slot is that of "a}b"
//
// Two keys never have the same sidecar: the first form has one '}', its last byte; the last has two at least.
//
// Units:     bytes; a name is up to 22 bytes longer than its key.
// Errors:    none: each key has a sidecar, and a text that is none says nothing.
// Threads:   any.
// Cost:      name: one pass over the key; a key with a '}' and no hash tag also a look into a table of 64 KiB, which the first
//            of them makes within a few milliseconds. own_type_in: a digest of the value.
// Source:    docs/decisions/0025-content-type.md; redis.io/docs/reference/cluster-spec (hash tags).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/entry/media_type.h"

namespace nearlane::tier {

/// Of all their names.
inline constexpr std::string_view kTypePrefix = "nearlane:type:";

/// Bytes of its text: 16 digits, a space, and a type.
inline constexpr std::size_t kMostSidecarText = 17 + kMostMediaType;

/// Precondition: the key is not empty.
[[nodiscard]] std::string type_sidecar(std::string_view key);
/// What it says of a value with this digest (Entry::digest). Precondition: is_media_type(type).
[[nodiscard]] std::string sidecar_text(std::string_view type, std::uint64_t digest);
/// The type, if the text is a sidecar's and is of this value; views `text`.
[[nodiscard]] std::optional<std::string_view> own_type_in(std::string_view text,
                                                          std::string_view value);

}  // namespace nearlane::tier
