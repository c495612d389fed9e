// Precompression: forms of a value that are smaller than it, made where nobody waits for them.
//
// A form is kept only if it saves kLeastSaving of the value. What does not look as if it could is given up after a
// sample: random bytes, and what is compressed already. A sample sees little of what repeats only over a distance
// longer than itself, so a value of such a kind is left as it is; that costs bytes, never an answer.
//
// Units:     bytes.
// Errors:    compress: nullopt where the library refuses; the value is then sent as it is.
// Threads:   plain functions. Each thread that compresses keeps up to 4 MiB of tables until it ends.
// Cost:      a pass over the value for each form, tens of microseconds a KiB: never on a hit of the head profile.
// Source:    RFC 7932 (brotli), RFC 1952 (gzip).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/entry/entry.h"

namespace nearlane {

/// Below this a compressed body is hardly smaller than its headers. Unit: bytes.
inline constexpr std::size_t kLeastCompressed = 256;
/// Both forms of a larger value would keep a thread for longer than half a second. Unit: bytes.
inline constexpr std::size_t kMostPrecompressed = std::size_t{8} << 20U;
/// A form must save at least this part of the value.
inline constexpr std::size_t kLeastSaving = 10;  // a tenth

/// How hard the libraries try.
struct Effort {
  int brotli;
  int gzip;
};
/// What servers use for bodies made while a client waits.
inline constexpr Effort kWhileWaiting{.brotli = 4, .gzip = 6};
inline constexpr Effort kBeforehand{.brotli = 5, .gzip = 6};

/// The value in this coding, however large that is. Precondition: not identity.
[[nodiscard]] std::optional<std::string> compress(std::string_view value, Coding coding,
                                                  Effort effort);

/// Whether it is worth trying: by its size, and by a sample of it.
[[nodiscard]] bool looks_compressible(std::string_view value);

/// The forms worth keeping; often none.
[[nodiscard]] Variants precompress(std::string_view value);

}  // namespace nearlane
