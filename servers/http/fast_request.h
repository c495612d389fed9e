// FastRequest: a GET or HEAD of /cache/{key} that is understood to the letter, read where it lies.
//
// What is not understood is no error: it is left to Beast's parser and the routes, which decide. So this may be
// stricter than they are and never laxer: it takes nothing that has a body or asks for one, that ends or changes the
// connection, that asks for a part or sets a condition beside If-None-Match, nor anything that is said twice, folded,
// or not terminated by CRLF.
//
// A client says the same of itself in each request. So a FastReader keeps the fields of its connection's last one: if all of
// them come again, or a line of them in its place, they are compared, not read. All bytes are compared, whatever the first
// are, for a credential may be among them and the connection may be one that others share.
//
// Units:     bytes.
// Errors:    none: nullopt is "not mine", or "not complete yet".
// Threads:   its connection's.
// Lifetime:  a request's views are of the bytes read, of `decoded` where the key was percent-encoded, and of the reader until
//            it reads the next one.
// Cost:      one pass over the request. What is kept is kKeptBytes and kKeptLines of lines, allocated once a connection.
// Source:    RFC 9112 sections 2.2, 3 and 5; RFC 9110 sections 7.2, 8.6, 10.1.1, 13 and 14.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "servers/http/encoding.h"

namespace nearlane::http {

/// A longer request is Beast's: cookies and all, few heads reach half of it. Unit: bytes.
inline constexpr std::size_t kFastRequestBytes = std::size_t{8} * 1024;
/// A key that is percent-encoded and longer when decoded is Beast's. Unit: bytes.
inline constexpr std::size_t kDecodedKeyBytes = 256;

using DecodedKey = std::array<char, kDecodedKeyBytes>;

/// What a request says beside its first line.
struct FastFields {
  Weights accepted = {};  // by Accept-Encoding
  std::optional<std::string_view> if_none_match = {};
  std::optional<std::string_view> authorization = {};
  std::optional<std::string_view> api_key = {};
};

struct FastRequest {
  bool head = false;          // else GET
  std::string_view key = {};  // decoded, never empty
  FastFields fields = {};
  std::size_t size = 0;  // bytes of the request, its empty line among them
};

/// What a field means to the fast lane.
enum class FastField : std::uint8_t {
  other,  // says nothing to the routes
  host,
  connection,
  accept_encoding,
  if_none_match,
  authorization,
  api_key,
  foreign  // may change the framing, the connection or the answer in a way that is Beast's to know
};

/// Reads the requests of one connection.
class FastReader {
 public:
  FastReader() = default;
  FastReader(const FastReader&) = delete;
  FastReader& operator=(const FastReader&) = delete;

  /// The fields of a longer header, or of more lines, are read each time. Unit: bytes.
  static constexpr std::size_t kKeptBytes = 1024;
  static constexpr std::size_t kKeptLines = 16;

  /// The request that `bytes` begins with.
  [[nodiscard]] std::optional<FastRequest> read(std::string_view bytes, DecodedKey& decoded);

 private:
  struct Line {
    std::uint16_t size = 0;  // with its CRLF
    std::uint16_t value_at = 0;
    std::uint16_t value_size = 0;
    FastField field = FastField::other;
  };

  static std::optional<Line> read_line(std::string_view bytes);
  bool read_lines(std::string_view bytes, FastRequest& request);
  void keep(std::string_view bytes, std::span<const Line> lines, const FastFields& fields);

  // Of the last request:
  std::string kept_;         // its bytes behind the first line
  std::vector<Line> lines_;  // of what is in kept_
  FastFields fields_;        // views of kept_
};

}  // namespace nearlane::http
