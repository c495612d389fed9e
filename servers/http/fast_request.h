// FastRequest: a GET or HEAD of /cache/{key} that is understood to the letter, read where it lies.
//
// What is not understood is no error: it is left to Beast's parser and the routes, which decide. So this may be
// stricter than they are and never laxer: it takes nothing that has a body or asks for one, that ends or changes the
// connection, that asks for a part or sets a condition beside If-None-Match, nor anything that is said twice, folded,
// or not terminated by CRLF.
//
// Units:     bytes.
// Errors:    none: nullopt is "not mine", or "not complete yet".
// Threads:   plain functions.
// Lifetime:  views of the scanned bytes, and of `decoded` where the key was percent-encoded.
// Cost:      one pass over the request; no allocation.
// Source:    RFC 9112 sections 2.2, 3 and 5; RFC 9110 sections 7.2, 8.6, 10.1.1, 13 and 14.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace nearlane::http {

/// A longer request is Beast's: cookies and all, few heads reach half of it. Unit: bytes.
inline constexpr std::size_t kFastRequestBytes = std::size_t{8} * 1024;
/// A key that is percent-encoded and longer when decoded is Beast's. Unit: bytes.
inline constexpr std::size_t kDecodedKeyBytes = 256;

using DecodedKey = std::array<char, kDecodedKeyBytes>;

struct FastRequest {
  bool head = false;          // else GET
  std::string_view key = {};  // decoded, never empty
  std::optional<std::string_view> accept_encoding = {};
  std::optional<std::string_view> if_none_match = {};
  std::optional<std::string_view> authorization = {};
  std::optional<std::string_view> api_key = {};
  std::size_t size = 0;  // bytes of the request, its empty line among them
};

/// The request that `bytes` begins with.
[[nodiscard]] std::optional<FastRequest> scan_fast(std::string_view bytes, DecodedKey& decoded);

}  // namespace nearlane::http
