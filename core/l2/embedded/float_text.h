// Numbers with a fraction as INCRBYFLOAT and HINCRBYFLOAT read and write them.
//
// Errors:   nullopt: not a number as Redis reads one.
// Threads:  plain functions.
// Source:   string2ld and ld2string in Redis 7.0's util.c.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nearlane::l2::embedded {

/// Whatever strtold takes whole, but no leading space and no NaN.
[[nodiscard]] std::optional<long double> read_float(std::string_view text);
/// 17 decimals, without the zeros at the end.
[[nodiscard]] std::string write_float(long double value);
[[nodiscard]] bool is_finite(long double value);

}  // namespace nearlane::l2::embedded
