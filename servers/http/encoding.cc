#include "servers/http/encoding.h"

#include <algorithm>

#include "servers/http/text.h"

namespace nearlane::http {

namespace {

constexpr int kUnsaid = -1;
constexpr int kLeastWeight = 1;  // q=0.001

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
      break;
  }
  return "";
}

Weights parse_accept_encoding(std::optional<std::string_view> accept) {
  // No header: anything may be sent, and identity surprises nobody.
  if (!accept) return {};
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
  // Identity is accepted unless it, or everything unsaid, is refused; but whoever named another coding and not this
  // one prefers that.
  if (identity == kUnsaid) identity = others == 0 ? 0 : kLeastWeight;
  return {.identity = identity, .gzip = std::max(gzip, 0), .br = std::max(br, 0)};
}

std::optional<Coding> choose_coding(const Weights& weights, const Offer& offer) {
  const int gzip = offer.gzip ? weights.gzip : 0;
  const int br = offer.br ? weights.br : 0;
  if (br > 0 && br >= gzip && br >= weights.identity) return Coding::br;
  if (gzip > 0 && gzip >= weights.identity) return Coding::gzip;
  if (weights.identity > 0) return Coding::identity;
  return std::nullopt;
}

}  // namespace nearlane::http
