#include "core/protocol/command_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/protocol/integer.h"

namespace nearlane::protocol {

namespace {

Error broken(std::string detail) { return {Errc::protocol, std::move(detail)}; }
Error too_large(std::string detail) { return {Errc::too_large, std::move(detail)}; }

// What a client that has not authenticated itself may send; AUTH and HELLO need no more.
constexpr std::int64_t kUnauthenticatedArguments = 10;
constexpr std::int64_t kUnauthenticatedBulkBytes = 16384;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// What ends a word outside quotes. Vertical tab and form feed do not, though they are skipped
/// before one.
bool ends_word(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

/// The line of an array or of a bulk, as nearly all are: "*2" or "$16", at most four digits, no zero in front.
struct ShortHeader {
  std::size_t number;
  std::size_t end;  // of its CRLF
};

/// Nothing: it is another, or may be, and is to be read with care.
[[gnu::always_inline]] inline std::optional<ShortHeader> short_header(std::string_view buffer,
                                                                      std::size_t at, char marker) {
  constexpr std::size_t kDigits = 4;
  constexpr std::size_t kLongest = 1 + kDigits + 2;
  if (buffer.size() - at < kLongest || buffer[at] != marker) return std::nullopt;
  const auto digit_at = [&](std::size_t i) { return static_cast<unsigned>(buffer[i]) - '0'; };
  std::size_t number = digit_at(at + 1);
  if (number == 0 || number > 9) return std::nullopt;
  std::size_t end = at + 2;
  for (; end < at + 1 + kDigits && digit_at(end) <= 9; ++end) number = number * 10 + digit_at(end);
  if (buffer[end] != '\r') return std::nullopt;
  return ShortHeader{number, end + 2};
}

/// Splits an inline command into words, as sdssplitargs does.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  /// False: there is no further word.
  bool skip_to_word() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
    return !rest_.empty();
  }

  /// Appends the word to `out`. False: its quotes do not balance.
  bool append_word(std::string& out) {
    while (!rest_.empty() && !ends_word(rest_.front())) {
      const char c = take();
      if (c == '"') return append_double_quoted(out);
      if (c == '\'') return append_single_quoted(out);
      out.push_back(c);
    }
    return true;
  }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  /// A closing quote ends the word, and nothing but a space may follow it.
  [[nodiscard]] bool closes_word() const { return rest_.empty() || is_space(rest_.front()); }

  bool append_double_quoted(std::string& out) {
    while (!rest_.empty()) {
      const char c = take();
      if (c == '"') return closes_word();
      if (c != '\\' || rest_.empty()) {
        out.push_back(c);
      } else if (rest_.size() >= 3 && rest_[0] == 'x' && hex_digit(rest_[1]) >= 0 &&
                 hex_digit(rest_[2]) >= 0) {
        out.push_back(static_cast<char>(hex_digit(rest_[1]) * 16 + hex_digit(rest_[2])));
        rest_.remove_prefix(3);
      } else {
        out.push_back(unescape(take()));
      }
    }
    return false;
  }

  bool append_single_quoted(std::string& out) {
    while (!rest_.empty()) {
      const char c = take();
      if (c == '\'') return closes_word();
      if (c == '\\' && rest_.starts_with('\'')) {
        out.push_back(take());
      } else {
        out.push_back(c);
      }
    }
    return false;
  }

  std::string_view rest_;
};

}  // namespace

Result<CommandParser::Status> CommandParser::parse(std::string_view buffer) {
  args_.clear();
  if (buffer.empty()) return need(1);
  const bool begins = !in_array_ && scanned_ == 0;
  if (begins && limits_.authenticated && parse_plain(buffer)) return Status::complete;
  return buffer.front() == '*' ? parse_array(buffer) : parse_inline(buffer);
}

Result<CommandParser::Status> CommandParser::parse_inline(std::string_view buffer) {
  const auto found = find_line(buffer, '\n', "Protocol error: too big inline request");
  if (!found) return found.error();
  if (!*found) return need(1);
  std::string_view line = buffer.substr(0, line_end_);
  if (line.ends_with('\r')) line.remove_suffix(1);

  // Resolving quotes never lengthens a line, so the words that args_ views do not move.
  unquoted_.clear();
  unquoted_.reserve(line.size());
  for (Words words(line); words.skip_to_word();) {
    const std::size_t start = unquoted_.size();
    if (!words.append_word(unquoted_)) {
      args_.clear();
      return broken("Protocol error: unbalanced quotes in request");
    }
    args_.emplace_back(unquoted_.data() + start, unquoted_.size() - start);
  }
  finish(line_end_ + 1);
  return Status::complete;
}

/// Reads an array that is here as a whole, within all limits and of short headers (shorter than any max_inline_bytes
/// that makes sense). False: nothing has happened.
bool CommandParser::parse_plain(std::string_view buffer) {
  const auto array = short_header(buffer, 0, '*');
  if (!array || array->number > limits_.max_arguments) return false;
  std::size_t at = array->end;
  for (std::size_t i = 0; i < array->number; ++i) {
    const auto bulk = at < buffer.size() ? short_header(buffer, at, '$') : std::nullopt;
    if (!bulk || bulk->number > limits_.max_bulk_bytes) break;
    if (buffer.size() - bulk->end < bulk->number + 2) break;
    args_.push_back(buffer.substr(bulk->end, bulk->number));
    at = bulk->end + bulk->number + 2;
  }
  if (args_.size() < array->number || at > limits_.max_command_bytes) {
    args_.clear();
    return false;
  }
  finish(at);
  return true;
}

Result<CommandParser::Status> CommandParser::parse_array(std::string_view buffer) {
  if (!in_array_) {
    const auto read = array_header(buffer);
    if (!read) return read.error();
    if (!*read) return need(1);
  }
  while (slices_.size() < declared_) {
    if (!in_bulk_) {
      const auto read = bulk_header(buffer);
      if (!read) return read.error();
      if (!*read) return need(1);
    }
    // Redis does not look at the two bytes behind a bulk, and neither do we.
    const std::size_t end = position_ + bulk_ + 2;
    if (buffer.size() < end) return need(end - buffer.size());
    slices_.push_back({position_, bulk_});
    position_ = scanned_ = end;
    in_bulk_ = false;
  }
  for (const Slice& slice : slices_) args_.push_back(buffer.substr(slice.offset, slice.size));
  finish(position_);
  return Status::complete;
}

/// Looks for the byte that ends the line at position_, going on where it stopped last time.
Result<bool> CommandParser::find_line(std::string_view buffer, char end, const char* too_long) {
  const std::size_t found = buffer.find(end, scanned_);
  line_end_ = scanned_ = std::min(found, buffer.size());
  if (line_end_ - position_ > limits_.max_inline_bytes) return too_large(too_long);
  return found != std::string_view::npos;
}

Result<bool> CommandParser::array_header(std::string_view buffer) {
  const auto found = find_line(buffer, '\r', "Protocol error: too big mbulk count string");
  if (!found) return found.error();
  if (!*found || buffer.size() < line_end_ + 2) return false;
  const auto count = read_integer(buffer.substr(1, line_end_ - 1));
  if (!count) return broken("Protocol error: invalid multibulk length");
  if (*count > 0 && std::cmp_greater(*count, limits_.max_arguments)) {
    return too_large("Protocol error: invalid multibulk length");
  }
  if (!limits_.authenticated && *count > kUnauthenticatedArguments) {
    return too_large("Protocol error: unauthenticated multibulk length");
  }
  declared_ = *count > 0 ? static_cast<std::size_t>(*count) : 0;
  position_ = scanned_ = line_end_ + 2;
  in_array_ = true;
  return true;
}

Result<bool> CommandParser::bulk_header(std::string_view buffer) {
  const auto found = find_line(buffer, '\r', "Protocol error: too big bulk count string");
  if (!found) return found.error();
  if (!*found || buffer.size() < line_end_ + 2) return false;
  if (buffer[position_] != '$') {
    return broken(std::string("Protocol error: expected '$', got '") + buffer[position_] + "'");
  }
  const auto size = read_integer(buffer.substr(position_ + 1, line_end_ - position_ - 1));
  if (!size || *size < 0) return broken("Protocol error: invalid bulk length");
  if (std::cmp_greater(*size, limits_.max_bulk_bytes)) {
    return too_large("Protocol error: invalid bulk length");
  }
  if (!limits_.authenticated && *size > kUnauthenticatedBulkBytes) {
    return too_large("Protocol error: unauthenticated bulk length");
  }
  bulk_ = static_cast<std::size_t>(*size);
  total_bulk_ += bulk_;
  if (total_bulk_ > limits_.max_command_bytes) {
    return too_large("Protocol error: too big command");
  }
  position_ = scanned_ = line_end_ + 2;
  in_bulk_ = true;
  return true;
}

CommandParser::Status CommandParser::need(std::size_t bytes) {
  missing_ = bytes;
  return Status::need_more;
}

void CommandParser::finish(std::size_t consumed) {
  consumed_ = consumed;
  slices_.clear();
  position_ = scanned_ = total_bulk_ = 0;
  in_array_ = in_bulk_ = false;
}

}  // namespace nearlane::protocol
