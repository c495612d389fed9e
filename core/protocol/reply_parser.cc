#include "core/protocol/reply_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/protocol/integer.h"

namespace nearlane::protocol {

namespace {

/// What a header alone may make us allocate. Up to this a bulk is not copied to grow, beyond it memory grows with the bytes
/// that really come. The system gives pages as they are touched.
constexpr std::size_t kReserveBytes = std::size_t{4} * 1024 * 1024;
/// The same for an aggregate.
constexpr std::size_t kReserveElements = 256;

/// More than any store holds; beyond it the header is nonsense.
constexpr std::int64_t kMostDropped = std::int64_t{1} << 40U;

constexpr std::string_view kTypes = "+-:$*_#,(!=%~>|";

bool is_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  return !text.empty() && stopped == end && error != std::errc::invalid_argument;
}

bool is_big_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

class ReplyParser::State {
 public:
  explicit State(ReplyLimits limits) : limits_(limits) {}

  Result<std::optional<Reply>> next(std::string_view& input) {
    if (error_) return *error_;
    while (!input.empty()) {
      const bool progressed = in_blob_ ? take_blob(input) : take_line(input);
      if (error_) return *error_;
      if (progressed && deliver()) return std::exchange(value_, std::nullopt);
    }
    return std::nullopt;
  }

  void reset() { *this = State(limits_); }

 private:
  // An aggregate that still waits for elements.
  struct Frame {
    Reply reply;
    std::size_t missing;
    bool attribute;
    bool dropped;  // over the limit: its elements are read and forgotten
  };

  bool fail(Errc code, std::string_view what, std::size_t at) {
    error_ = Error{code, std::string(what) + " at byte " + std::to_string(at)};
    return false;
  }

  /// Takes bytes up to the end of the line, and reads the line when it is whole.
  bool take_line(std::string_view& input) {
    if (line_.empty() && kTypes.find(input.front()) == std::string_view::npos) {
      return fail(Errc::protocol, "unknown reply type", taken_);
    }
    const std::size_t found = input.find('\n');
    const std::size_t size = std::min(found, input.size());
    if (line_.size() + size > limits_.max_line_bytes) {
      return fail(Errc::too_large, "line too long", taken_);
    }
    if (found == std::string_view::npos) {
      line_.append(input);
      input = {};
      return false;
    }
    std::string_view line = input.substr(0, found);
    if (!line_.empty()) {
      line_.append(line);
      line = line_;
    }
    if (line.find('\r') != line.size() - 1) {
      return fail(Errc::protocol, "line without CR LF", taken_);
    }
    const bool progressed = read_line(line.front(), line.substr(1, line.size() - 2));
    taken_ += line.size() + 1;
    line_.clear();
    input.remove_prefix(found + 1);
    return progressed;
  }

  /// True: `value_` is set, or an aggregate was opened.
  bool read_line(char type, std::string_view text) {
    switch (type) {
      case '+':
        return put({.type = Type::simple_string, .text = std::string(text)});
      case '-':
        return put({.type = Type::error, .text = std::string(text)});
      case ':':
        return read_int(text);
      case '_':
        return text.empty() ? put({}) : fail(Errc::protocol, "bad null", taken_);
      case '#':
        if (text != "t" && text != "f") return fail(Errc::protocol, "bad boolean", taken_);
        return put({.type = Type::boolean, .integer = text == "t" ? 1 : 0});
      case ',':
        if (!is_number(text)) return fail(Errc::protocol, "bad number", taken_);
        return put({.type = Type::number, .text = std::string(text)});
      case '(':
        if (!is_big_number(text)) return fail(Errc::protocol, "bad big number", taken_);
        return put({.type = Type::big_number, .text = std::string(text)});
      case '$':
        return read_blob_header(Type::bulk_string, text);
      case '!':
        return read_blob_header(Type::error, text);
      case '=':
        return read_blob_header(Type::verbatim, text);
      case '*':
        return read_aggregate_header(Type::array, 1, text);
      case '~':
        return read_aggregate_header(Type::set, 1, text);
      case '>':
        return read_aggregate_header(Type::push, 1, text);
      default:  // '%' and '|', since take_line let nothing else pass
        return read_aggregate_header(Type::map, 2, text, type == '|');
    }
  }

  bool put(Reply reply) {
    value_ = std::move(reply);
    return true;
  }

  bool read_int(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto value = read_integer(text);
    if (!value) return fail(Errc::protocol, "bad integer", taken_);
    return put({.type = Type::integer, .integer = *value});
  }

  bool read_blob_header(Type type, std::string_view text) {
    if (type == Type::bulk_string && text == "-1") return put({});
    const auto size = read_integer(text);
    if (!size || *size < 0) return fail(Errc::protocol, "bad length", taken_);
    if (std::cmp_greater(*size, limits_.max_bulk_bytes)) {
      return fail(Errc::too_large, "bulk too long", taken_);
    }
    if (type == Type::verbatim && *size < 4) return fail(Errc::protocol, "bad length", taken_);
    blob_ = {.type = type};
    blob_missing_ = static_cast<std::size_t>(*size);
    blob_.text.reserve(std::min(blob_missing_, kReserveBytes));
    blob_end_ = "\r\n";
    in_blob_ = true;
    return false;
  }

  bool read_aggregate_header(Type type, std::size_t step, std::string_view text,
                             bool attribute = false) {
    if (type == Type::array && text == "-1") return put({});
    const auto count = read_integer(text);
    if (!count || *count < 0) return fail(Errc::protocol, "bad length", taken_);
    const bool too_many = std::cmp_greater(*count, limits_.max_elements / step);
    // Whoever misses a push no longer knows what has changed, so there the connection must end.
    const bool in_push =
        type == Type::push || (!stack_.empty() && stack_.front().reply.type == Type::push);
    if (too_many && (in_push || std::cmp_greater(*count, kMostDropped))) {
      return fail(Errc::too_large, "too many elements", taken_);
    }
    const std::size_t elements = static_cast<std::size_t>(*count) * step;
    if (elements == 0 && attribute) return false;
    if (elements == 0) return put({.type = type});
    if (stack_.size() >= limits_.max_depth) return fail(Errc::too_large, "too deep", taken_);
    if (too_many) {
      stack_.push_back(Frame{Reply::error("ERR nearlane: L2's reply has " + std::string(text) +
                                          " elements, more than nearlane reads"),
                             elements, attribute, true});
      return false;
    }
    Frame& frame = stack_.emplace_back(Frame{{.type = type}, elements, attribute, false});
    frame.reply.elements.reserve(std::min(elements, kReserveElements));
    return false;
  }

  /// Takes bytes of a bulk and of the CR LF behind it. True: `value_` is set.
  bool take_blob(std::string_view& input) {
    const std::size_t size = std::min(blob_missing_, input.size());
    blob_.text.append(input, 0, size);
    blob_missing_ -= size;
    skip(input, size);
    while (blob_missing_ == 0 && !blob_end_.empty() && !input.empty()) {
      if (input.front() != blob_end_.front()) {
        return fail(Errc::protocol, "bulk without CR LF", taken_);
      }
      blob_end_.remove_prefix(1);
      skip(input, 1);
    }
    if (!blob_end_.empty()) return false;
    if (blob_.type == Type::verbatim && blob_.text[3] != ':') {
      return fail(Errc::protocol, "verbatim text without its format", taken_);
    }
    in_blob_ = false;
    return put(std::exchange(blob_, {}));
  }

  void skip(std::string_view& input, std::size_t size) {
    input.remove_prefix(size);
    taken_ += size;
  }

  /// Hands value_ to the innermost open aggregate, closing those that are full. True: value_ is a
  /// whole reply.
  bool deliver() {
    while (!stack_.empty()) {
      Frame& top = stack_.back();
      if (!top.dropped) top.reply.elements.push_back(std::move(*value_));
      value_.reset();
      if (--top.missing > 0) return false;
      const bool attribute = top.attribute;
      if (!attribute) value_ = std::move(top.reply);
      stack_.pop_back();
      if (attribute) return false;
    }
    return true;
  }

  ReplyLimits limits_;
  std::vector<Frame> stack_;
  std::optional<Reply> value_;  // read, but not delivered yet
  std::string line_;            // what has come of a line that is not whole
  Reply blob_;                  // the bulk that is being read
  std::size_t blob_missing_ = 0;
  std::string_view blob_end_;
  bool in_blob_ = false;
  std::size_t taken_ = 0;  // bytes of whole lines and of bulks so far, for error texts
  std::optional<Error> error_;
};

ReplyParser::ReplyParser(ReplyLimits limits) : state_(std::make_unique<State>(limits)) {}
ReplyParser::~ReplyParser() = default;
ReplyParser::ReplyParser(ReplyParser&&) noexcept = default;
ReplyParser& ReplyParser::operator=(ReplyParser&&) noexcept = default;

Result<std::optional<Reply>> ReplyParser::next(std::string_view& input) {
  return state_->next(input);
}

void ReplyParser::reset() { state_->reset(); }

}  // namespace nearlane::protocol
