// Reads a client's commands: RESP arrays of bulk strings, and inline commands as redis-cli and
// telnet send them.
//
// Errors:    Errc::protocol or Errc::too_large; detail is Redis's own text ("Protocol error:
//            invalid bulk length"), to be sent as "-ERR <detail>" before the connection is closed.
//            The parser is of no use afterwards.
// Lifetime:  arguments view the caller's buffer, an inline command's the parser; either way they
//            live until the buffer changes or parse() is called again.
// Threads:   one owner.
// Cost:      no allocation once the argument vector has grown; a command that arrives in pieces is
//            read again from its start once at most (offsets of what was read are kept), so a hostile
//            trickle costs linear time.
// Source:    processMultibulkBuffer and processInlineBuffer in Redis's networking.c.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace nearlane::protocol {

struct CommandLimits {
  std::size_t max_arguments = std::size_t{1024} * 1024;  // Redis's own limit
  std::size_t max_bulk_bytes =
      std::size_t{64} * 1024 * 1024;  // max_value; longer is refused before it is read
  std::size_t max_inline_bytes = std::size_t{64} * 1024;           // Redis's PROTO_INLINE_MAX_SIZE
  std::size_t max_command_bytes = std::size_t{256} * 1024 * 1024;  // all arguments of one command
  // Until a client has authenticated itself it may send ten arguments of 16 KiB, as in Redis.
  bool authenticated = true;
};

class CommandParser {
 public:
  explicit CommandParser(CommandLimits limits = {}) : limits_(limits) {}

  /// From the next command on; what args() views stays.
  void set_limits(CommandLimits limits) noexcept { limits_ = limits; }

  enum class Status : unsigned char { complete, need_more };

  /// Looks for one command at the front of `buffer`, which must start with the bytes that earlier
  /// need_more calls saw (it may have moved in memory and grown). complete: args() are its
  /// arguments (possibly none: an empty line or "*0", to be skipped) and consumed() its length;
  /// drop that many bytes and call again.
  [[nodiscard]] Result<Status> parse(std::string_view buffer);

  [[nodiscard]] std::span<const std::string_view> args() const noexcept { return args_; }
  [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }
  /// After need_more: at least this many bytes are missing, so that a large value gets a large
  /// read. Never 0.
  [[nodiscard]] std::size_t missing() const noexcept { return missing_; }

 private:
  struct Slice {
    std::size_t offset;
    std::size_t size;
  };
  Result<Status> parse_inline(std::string_view buffer);
  bool parse_plain(std::string_view buffer);
  Result<Status> parse_array(std::string_view buffer);
  Result<bool> find_line(std::string_view buffer, char end, const char* too_long);
  Result<bool> array_header(std::string_view buffer);
  Result<bool> bulk_header(std::string_view buffer);
  Status need(std::size_t bytes);
  void finish(std::size_t consumed);

  CommandLimits limits_;
  std::vector<std::string_view> args_;
  std::string unquoted_;        // an inline command's arguments, their quotes resolved
  std::vector<Slice> slices_;   // arguments read so far of a command that is not complete
  std::size_t position_ = 0;    // start of the line or bulk that is being read
  std::size_t scanned_ = 0;     // up to here the line's end was looked for
  std::size_t line_end_ = 0;    // where it was found
  std::size_t declared_ = 0;    // arguments that the array's header announced
  std::size_t bulk_ = 0;        // size that the bulk's header announced
  std::size_t total_bulk_ = 0;  // of all bulks announced so far
  bool in_array_ = false;
  bool in_bulk_ = false;
  std::size_t consumed_ = 0;
  std::size_t missing_ = 1;
};

}  // namespace nearlane::protocol
