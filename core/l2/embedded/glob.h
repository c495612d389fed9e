// Redis's glob patterns, as KEYS takes them: * ? [abc] [^a-z] and \ before a literal.
//
// Errors:  none; an unfinished class or escape matches as Redis lets it match.
// Threads: a plain function.
// Cost:    time quadratic in the worst case, never exponential: of several stars only the last one
//          is tried again.
// Source:  stringmatchlen in Redis's util.c.
#pragma once

#include <string_view>

namespace nearlane::l2::embedded {

[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text) noexcept;

}  // namespace nearlane::l2::embedded
