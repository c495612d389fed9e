// Reads RESP2 and RESP3 replies from a stream that arrives in any pieces.
//
// Errors:    Errc::protocol with the offending byte's offset, Errc::too_large over a limit; the
//            parser is then dead until reset(). An aggregate with too many elements is no error of the
//            stream: it is read to its end, and an error reply stands in its place.
// Threads:   one owner.
// Lifetime:  replies own their bytes; nothing views the input after next().
// Cost:      every input byte is looked at once; a bulk's body is copied once, straight into its
//            Reply. A header reserves 4 MiB at most: memory grows with the bytes that came.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/result.h"
#include "core/protocol/reply.h"

namespace nearlane::protocol {

struct ReplyLimits {
  std::size_t max_bulk_bytes = std::size_t{512} * 1024 * 1024;  // Redis's own proto-max-bulk-len
  std::size_t max_elements = std::size_t{1} << 20U;             // of one aggregate
  std::size_t max_depth = 16;                                   // nested aggregates
  std::size_t max_line_bytes = std::size_t{64} * 1024;  // a header, simple string or error line
};

class ReplyParser {
 public:
  explicit ReplyParser(ReplyLimits limits = {});
  ~ReplyParser();
  ReplyParser(ReplyParser&&) noexcept;
  ReplyParser& operator=(ReplyParser&&) noexcept;

  /// Takes bytes from the front of `input` (which is advanced) until one reply is complete or the
  /// input is used up. A reply: that reply. nullopt: all was taken, more is needed. Attributes
  /// ("|") are read and dropped.
  [[nodiscard]] Result<std::optional<Reply>> next(std::string_view& input);

  /// Forgets what was half read, for a new connection.
  void reset();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace nearlane::protocol
