// HTTP/1.1 with kept-alive connections, as the cache routes need it: GET (or HEAD in its place), PUT, DELETE and
// POST …/touch on /cache/{key}. A 304 is a hit without a value: the client's own copy is right.
//
// Errors:   protocol for a head that cannot be read, too_large for a head above kMaxHeadBytes or a body above
//           kMaxBodyBytes. A body's end is known by Content-Length alone: chunked replies are refused.
// Cost:     a scan of the head for four header names; the body is a view.
#pragma once

#include <string>

#include "harness/driver/codec.h"

namespace nearlane::harness {

class HttpCodec final : public Codec {
 public:
  static constexpr std::size_t kMaxHeadBytes = std::size_t{64} << 10U;
  static constexpr std::size_t kMaxBodyBytes = std::size_t{1} << 30U;

  HttpCodec(const Endpoint& peer, std::string_view headers, HttpReads reads = HttpReads::get);
  void encode(const Request& request, std::string& out) override;
  [[nodiscard]] Result<void> feed(std::string_view bytes) override;
  [[nodiscard]] Result<bool> next(Op kind, Reply& reply) override;
  void reset() override;

 private:
  struct Head {
    std::size_t size = 0;  // with the empty line
    int status = 0;
    bool has_length = false;
    std::size_t length = 0;
    bool closes = false;
    std::string_view cache;  // X-Cache
  };
  [[nodiscard]] Result<bool> read_head(Head& head);
  [[nodiscard]] static Result<void> read_line(std::string_view line, Head& head);

  std::string common_;  // the lines that end every request's head
  HttpReads reads_;
  std::string buffer_;
  std::size_t at_ = 0;        // start of the reply under way
  std::size_t searched_ = 0;  // no end of head before here
};

/// Appends `bytes` as one path segment: everything but unreserved characters as %XX.
void append_percent_encoded(std::string_view bytes, std::string& out);

}  // namespace nearlane::harness
