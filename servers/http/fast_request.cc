#include "servers/http/fast_request.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace nearlane::http {

namespace {

enum CharClass : std::uint8_t {
  kToken = 1,  // of a field's name
  kBare =
      2,  // of a key, as it is (target.cc decides; the differential tests hold the two together)
  kText = 4,  // of a field's value
};

constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  const auto mark = [&classes](std::string_view chars, CharClass what) {
    for (const char c : chars) classes[static_cast<unsigned char>(c)] |= what;
  };
  constexpr std::string_view kAlphanumeric =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  mark(kAlphanumeric, kToken);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark(kAlphanumeric, kBare);
  mark("-._~!$&'()*+,;=:@", kBare);
  for (unsigned c = 0; c < classes.size(); ++c) {
    if ((c >= ' ' && c != 0x7F) || c == '\t') classes[c] |= kText;
  }
  return classes;
}();

bool is(char c, CharClass what) { return (kClasses[static_cast<unsigned char>(c)] & what) != 0; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// `lower` is lower case; `text` holds no control character, which this bit would make a letter or a hyphen of.
bool is_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) | 0x20U) != static_cast<unsigned char>(lower[i])) {
      return false;
    }
  }
  return true;
}

FastField field_of(std::string_view name) {
  switch (name.size()) {
    case 2:
      return is_word(name, "te") ? FastField::foreign : FastField::other;
    case 4:
      return is_word(name, "host") ? FastField::host : FastField::other;
    case 5:
      return is_word(name, "range") ? FastField::foreign : FastField::other;
    case 6:
      return is_word(name, "expect") ? FastField::foreign : FastField::other;
    case 7:
      return is_word(name, "upgrade") || is_word(name, "trailer") ? FastField::foreign
                                                                  : FastField::other;
    case 8:
      return is_word(name, "if-match") || is_word(name, "if-range") ? FastField::foreign
                                                                    : FastField::other;
    case 9:
      return is_word(name, "x-api-key") ? FastField::api_key : FastField::other;
    case 10:
      return is_word(name, "connection") ? FastField::connection : FastField::other;
    case 13:
      if (is_word(name, "if-none-match")) return FastField::if_none_match;
      return is_word(name, "authorization") ? FastField::authorization : FastField::other;
    case 14:
      return is_word(name, "content-length") ? FastField::foreign : FastField::other;
    case 15:
      return is_word(name, "accept-encoding") ? FastField::accept_encoding : FastField::other;
    case 16:  // Beast obeys it as it does Connection
      return is_word(name, "proxy-connection") ? FastField::foreign : FastField::other;
    case 17:
      return is_word(name, "transfer-encoding") || is_word(name, "if-modified-since")
                 ? FastField::foreign
                 : FastField::other;
    case 19:
      return is_word(name, "if-unmodified-since") ? FastField::foreign : FastField::other;
    default:
      return FastField::other;
  }
}

/// Reads `bytes` from front to end; every step says whether it found what it looked for.
class Scanner {
 public:
  explicit Scanner(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t taken() const { return at_; }

  [[nodiscard]] bool take(std::string_view text) {
    if (!bytes_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  [[nodiscard]] std::string_view run_of(CharClass what) {
    const std::size_t from = at_;
    while (at_ < bytes_.size() && is(bytes_[at_], what)) ++at_;
    return bytes_.substr(from, at_ - from);
  }

  /// What stands before CRLF, without the white space around it.
  [[nodiscard]] std::optional<std::string_view> field_value() {
    std::string_view value = run_of(kText);
    if (!take("\r\n")) return std::nullopt;
    while (!value.empty() && blank(value.front())) value.remove_prefix(1);
    while (!value.empty() && blank(value.back())) value.remove_suffix(1);
    return value;
  }

  /// Up to what cannot be of a key; empty where a percent sign is not followed as it should be, or where the key is
  /// too long for `decoded`.
  [[nodiscard]] std::string_view key(DecodedKey& decoded) {
    const std::string_view bare = run_of(kBare);
    if (at_ == bytes_.size() || bytes_[at_] != '%') return bare;
    if (bare.size() > decoded.size()) return {};
    auto* end = std::copy(bare.begin(), bare.end(), decoded.begin());
    while (at_ < bytes_.size()) {
      char c = bytes_[at_];
      if (c == '%') {
        if (at_ + 2 >= bytes_.size()) return {};
        const int high = hex_digit(bytes_[at_ + 1]);
        const int low = hex_digit(bytes_[at_ + 2]);
        if (high < 0 || low < 0) return {};
        c = static_cast<char>(high * 16 + low);
        at_ += 2;
      } else if (!is(c, kBare)) {
        break;
      }
      if (end == decoded.end()) return {};
      *end++ = c;
      ++at_;
    }
    return {decoded.data(), static_cast<std::size_t>(end - decoded.begin())};
  }

 private:
  static bool blank(char c) { return c == ' ' || c == '\t'; }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

/// False: this field makes the request Beast's. What Accept-Encoding says is the reader's to know.
bool note(FastFields& fields, unsigned& seen, FastField field, std::string_view value) {
  if (field == FastField::other) return true;
  if (field == FastField::foreign) return false;
  const unsigned bit = 1U << static_cast<unsigned>(field);
  if ((seen & bit) != 0) return false;
  seen |= bit;
  switch (field) {
    case FastField::connection:
      return is_word(value, "keep-alive");
    case FastField::if_none_match:
      fields.if_none_match = value;
      return true;
    case FastField::authorization:
      fields.authorization = value;
      return true;
    case FastField::api_key:
      fields.api_key = value;
      return true;
    default:
      return true;  // whom Host names makes no difference
  }
}

/// Whether `text` begins with `start`. Takes a time that depends on their sizes alone.
bool begins_with(std::string_view text, std::string_view start) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  if (text.size() < start.size()) return false;
  std::uint64_t differing = 0;
  const auto compare = [&](std::size_t at) {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, text.data() + at, kWord);
    std::memcpy(&b, start.data() + at, kWord);
    differing |= a ^ b;
  };
  std::size_t at = 0;
  for (; at + kWord <= start.size(); at += kWord) compare(at);
  if (at > 0 && at < start.size()) {
    compare(start.size() - kWord);
  } else {
    for (; at < start.size(); ++at) differing |= static_cast<std::uint64_t>(text[at] ^ start[at]);
  }
  return differing == 0;
}

}  // namespace

std::optional<FastReader::Line> FastReader::read_line(std::string_view bytes) {
  Scanner scanner(bytes);
  const std::string_view name = scanner.run_of(kToken);
  if (name.empty() || !scanner.take(":")) return std::nullopt;
  const auto value = scanner.field_value();
  if (!value) return std::nullopt;
  return Line{.size = static_cast<std::uint16_t>(scanner.taken()),
              .value_at = static_cast<std::uint16_t>(value->data() - bytes.data()),
              .value_size = static_cast<std::uint16_t>(value->size()),
              .field = field_of(name)};
}

bool FastReader::read_lines(std::string_view bytes, FastRequest& request) {
  std::array<Line, kKeptLines> lines;
  std::size_t count = 0;  // of lines, all of them
  std::size_t at = 0;
  std::size_t kept_at = 0;
  unsigned seen = 0;
  for (; !bytes.substr(at).starts_with("\r\n"); ++count) {
    const std::string_view rest = bytes.substr(at);
    std::optional<Line> line;
    bool known = false;
    if (count < lines_.size()) {
      line = lines_[count];
      known = begins_with(rest, std::string_view(kept_).substr(kept_at, line->size));
      kept_at += line->size;
    }
    if (!known) line = read_line(rest);
    if (!line) return false;
    const std::string_view value = rest.substr(line->value_at, line->value_size);
    if (!note(request.fields, seen, line->field, value)) return false;
    if (line->field == FastField::accept_encoding) {
      request.fields.accepted = known ? fields_.accepted : parse_accept_encoding(value);
    }
    if (count < lines.size()) lines[count] = *line;
    at += line->size;
  }
  if ((seen & (1U << static_cast<unsigned>(FastField::host))) == 0) return false;
  at += 2;
  request.size += at;
  if (at <= kKeptBytes && count <= lines.size()) {
    keep(bytes.substr(0, at), std::span(lines).first(count), request.fields);
  }
  return true;
}

void FastReader::keep(std::string_view bytes, std::span<const Line> lines,
                      const FastFields& fields) {
  kept_.reserve(kKeptBytes);
  kept_.assign(bytes);
  lines_.reserve(kKeptLines);
  lines_.assign(lines.begin(), lines.end());
  fields_ = fields;
  for (auto* view : {&fields_.if_none_match, &fields_.authorization, &fields_.api_key}) {
    if (!*view) continue;
    const auto at = static_cast<std::size_t>((*view)->data() - bytes.data());
    *view = std::string_view(kept_).substr(at, (*view)->size());
  }
}

std::optional<FastRequest> FastReader::read(std::string_view bytes, DecodedKey& decoded) {
  bytes = bytes.substr(0, kFastRequestBytes);
  Scanner scanner(bytes);
  FastRequest request;
  if (!scanner.take("GET /cache/")) {
    if (!scanner.take("HEAD /cache/")) return std::nullopt;
    request.head = true;
  }
  request.key = scanner.key(decoded);
  if (request.key.empty() || !scanner.take(" HTTP/1.1\r\n")) return std::nullopt;
  request.size = scanner.taken();
  const std::string_view rest = bytes.substr(request.size);
  if (!kept_.empty() && begins_with(rest, kept_)) {
    request.fields = fields_;
    request.size += kept_.size();
    return request;
  }
  if (!read_lines(rest, request)) return std::nullopt;
  return request;
}

}  // namespace nearlane::http
