#include "servers/http/fast_request.h"

#include <algorithm>
#include <cstdint>

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

enum class Name : std::uint8_t {
  other,  // says nothing to the routes
  host,
  connection,
  accept_encoding,
  if_none_match,
  authorization,
  api_key,
  foreign  // may change the framing, the connection or the answer in a way that is Beast's to know
};

Name name_of_field(std::string_view name) {
  switch (name.size()) {
    case 2:
      return is_word(name, "te") ? Name::foreign : Name::other;
    case 4:
      return is_word(name, "host") ? Name::host : Name::other;
    case 5:
      return is_word(name, "range") ? Name::foreign : Name::other;
    case 6:
      return is_word(name, "expect") ? Name::foreign : Name::other;
    case 7:
      return is_word(name, "upgrade") || is_word(name, "trailer") ? Name::foreign : Name::other;
    case 8:
      return is_word(name, "if-match") || is_word(name, "if-range") ? Name::foreign : Name::other;
    case 9:
      return is_word(name, "x-api-key") ? Name::api_key : Name::other;
    case 10:
      return is_word(name, "connection") ? Name::connection : Name::other;
    case 13:
      if (is_word(name, "if-none-match")) return Name::if_none_match;
      return is_word(name, "authorization") ? Name::authorization : Name::other;
    case 14:
      return is_word(name, "content-length") ? Name::foreign : Name::other;
    case 15:
      return is_word(name, "accept-encoding") ? Name::accept_encoding : Name::other;
    case 16:  // Beast obeys it as it does Connection
      return is_word(name, "proxy-connection") ? Name::foreign : Name::other;
    case 17:
      return is_word(name, "transfer-encoding") || is_word(name, "if-modified-since")
                 ? Name::foreign
                 : Name::other;
    case 19:
      return is_word(name, "if-unmodified-since") ? Name::foreign : Name::other;
    default:
      return Name::other;
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

/// False: this field makes the request Beast's.
bool note(FastRequest& request, unsigned& seen, Name name, std::string_view value) {
  if (name == Name::other) return true;
  if (name == Name::foreign) return false;
  const unsigned bit = 1U << static_cast<unsigned>(name);
  if ((seen & bit) != 0) return false;
  seen |= bit;
  switch (name) {
    case Name::connection:
      return is_word(value, "keep-alive");
    case Name::accept_encoding:
      request.accept_encoding = value;
      return true;
    case Name::if_none_match:
      request.if_none_match = value;
      return true;
    case Name::authorization:
      request.authorization = value;
      return true;
    case Name::api_key:
      request.api_key = value;
      return true;
    default:
      return true;  // whom Host names makes no difference
  }
}

}  // namespace

std::optional<FastRequest> scan_fast(std::string_view bytes, DecodedKey& decoded) {
  Scanner scanner(bytes.substr(0, kFastRequestBytes));
  FastRequest request;
  if (!scanner.take("GET /cache/")) {
    if (!scanner.take("HEAD /cache/")) return std::nullopt;
    request.head = true;
  }
  request.key = scanner.key(decoded);
  if (request.key.empty() || !scanner.take(" HTTP/1.1\r\n")) return std::nullopt;
  unsigned seen = 0;
  while (!scanner.take("\r\n")) {
    const std::string_view name = scanner.run_of(kToken);
    if (name.empty() || !scanner.take(":")) return std::nullopt;
    const auto value = scanner.field_value();
    if (!value || !note(request, seen, name_of_field(name), *value)) return std::nullopt;
  }
  if ((seen & (1U << static_cast<unsigned>(Name::host))) == 0) return std::nullopt;
  request.size = scanner.taken();
  return request;
}

}  // namespace nearlane::http
