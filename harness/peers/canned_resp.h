// What the canned server does with what it has received.
//
// A request is an array of bulk strings. GET (and whatever else of three letters begins with G) and HGET are answered with the ready
// value, MGET with one of it for each key, all else with OK. Nothing but the first word and the lengths is looked at.
//
// Threads:  any. Cost: a pass over the lengths.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace nearlane::harness {

/// What its values are made of.
inline constexpr char kCannedByte = 'x';

/// Appends to `out` what answers the whole requests that `in` begins with, `value` being a ready bulk string; how many bytes they
/// are. Nothing where `in` is no such request.
[[nodiscard]] std::optional<std::size_t> answer_canned(std::string_view in, std::string_view value,
                                                       std::string& out);

}  // namespace nearlane::harness
