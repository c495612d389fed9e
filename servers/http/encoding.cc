#include "servers/http/encoding.h"

#include <limits>

#include <brotli/encode.h>
#include <zlib.h>

namespace nearlane::http {

namespace {

/// What servers use for bodies made while a client waits.
constexpr int kBrotliQuality = 4;
constexpr int kGzipLevel = 6;
constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for a gzip header

constexpr int kUnsaid = -1;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

/// A qvalue in thousandths; what cannot be read counts as 0, so that nothing is sent that was not
/// asked for.
int parse_weight(std::string_view parameter) {
  parameter = trim(parameter);
  if (parameter.size() < 3 || (parameter[0] != 'q' && parameter[0] != 'Q') || parameter[1] != '=') {
    return 0;
  }
  const std::string_view digits = parameter.substr(2);
  if (digits.size() > 5 || (digits[0] != '0' && digits[0] != '1')) return 0;
  int weight = (digits[0] - '0') * 1000;
  if (digits.size() > 1 && digits[1] != '.') return 0;
  int scale = 100;
  for (std::size_t i = 2; i < digits.size(); ++i, scale /= 10) {
    if (digits[i] < '0' || digits[i] > '9') return 0;
    weight += (digits[i] - '0') * scale;
  }
  return weight <= 1000 ? weight : 0;
}

}  // namespace

std::string_view name_of(Coding coding) noexcept {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::br:
      return "br";
    case Coding::identity:
    case Coding::none:
      break;
  }
  return "";
}

Coding choose_coding(std::optional<std::string_view> accept, bool may_compress) {
  // No header: anything may be sent, and identity surprises nobody.
  if (!accept) return Coding::identity;
  int identity = kUnsaid;
  int gzip = kUnsaid;
  int br = kUnsaid;
  int others = kUnsaid;
  std::string_view rest = *accept;
  while (!rest.empty()) {
    const std::size_t end = rest.find(',');
    const std::string_view item = trim(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const std::size_t semicolon = item.find(';');
    const std::string_view name = trim(item.substr(0, semicolon));
    const int weight =
        semicolon == std::string_view::npos ? 1000 : parse_weight(item.substr(semicolon + 1));
    if (is_word(name, "identity")) identity = weight;
    if (is_word(name, "gzip") || is_word(name, "x-gzip")) gzip = weight;
    if (is_word(name, "br")) br = weight;
    if (name == "*") others = weight;
  }
  if (gzip == kUnsaid) gzip = others;
  if (br == kUnsaid) br = others;
  // Identity is accepted unless it, or everything unsaid, is refused.
  const bool plain = identity != 0 && (identity != kUnsaid || others != 0);
  if (may_compress) {
    if (br > 0 && br >= gzip && br >= identity) return Coding::br;
    if (gzip > 0 && gzip >= identity) return Coding::gzip;
  }
  return plain ? Coding::identity : Coding::none;
}

std::optional<std::string> compress(std::string_view value, Coding coding) {
  if (coding == Coding::br) {
    std::string out(BrotliEncoderMaxCompressedSize(value.size()), '\0');
    std::size_t size = out.size();
    if (size == 0 ||
        BrotliEncoderCompress(kBrotliQuality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC,
                              value.size(), reinterpret_cast<const uint8_t*>(value.data()), &size,
                              reinterpret_cast<uint8_t*>(out.data())) != BROTLI_TRUE) {
      return std::nullopt;
    }
    out.resize(size);
    return out;
  }
  if (coding != Coding::gzip || value.size() > std::numeric_limits<uInt>::max())
    return std::nullopt;
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string out(deflateBound(&stream, value.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(value.data()));
  stream.avail_in = static_cast<uInt>(value.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (!done) return std::nullopt;
  return out;
}

}  // namespace nearlane::http
