// What HELP of a container of commands answers, line by line.
//
// Source:  Redis 7.0's own texts.
#pragma once

#include <span>
#include <string_view>

namespace nearlane::resp {

/// Of `container`, in lower case; empty: there is none.
[[nodiscard]] std::span<const std::string_view> help_text(std::string_view container) noexcept;

}  // namespace nearlane::resp
