#include "servers/http/target.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "core/base/key.h"

namespace nearlane::http {

namespace {

constexpr std::string_view kEntryPrefix = "/cache/";
constexpr std::string_view kTouchSuffix = "/touch";
constexpr std::string_view kWhyPrefix = "/why/";

/// The longest TTL taken: still a number in nanoseconds.
constexpr std::int64_t kLongestMs = std::int64_t{100} * 365 * 24 * 60 * 60 * 1000;

Error bad(std::string detail) { return {Errc::invalid_argument, std::move(detail)}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// pchar of RFC 3986 without the percent sign; anything else must come encoded.
bool may_stand_bare(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("-._~!$&'()*+,;=:@").find(c) != std::string_view::npos;
}

Result<std::chrono::milliseconds> parse_ttl(std::string_view text, std::int64_t unit_ms,
                                            std::string_view name) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || value <= 0 ||
      value > kLongestMs / unit_ms) {
    return bad(std::string(name) + " must be a positive whole number of " +
               (unit_ms == 1 ? "milliseconds" : "seconds") + ", and at most 100 years");
  }
  return std::chrono::milliseconds(value * unit_ms);
}

Result<void> parse_query(std::string_view query, Target& target) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    if (pair == "strict") {
      target.strict = true;
      continue;
    }
    if (name != "ttl" && name != "px") {
      return bad("the only parameters are ttl, px, and strict, which has no value");
    }
    if (target.ttl) return bad("ttl or px may be given once, and not both");
    const auto ttl = parse_ttl(value, name == "px" ? 1 : 1000, name);
    if (ttl.has_error()) return ttl.error();
    target.ttl = *ttl;
  }
  return {};
}

Result<void> parse_why_query(std::string_view query, Target& target) {
  if (query.empty()) return {};
  static constexpr std::string_view kDb = "db=";
  const std::string_view text = query.substr(std::min(kDb.size(), query.size()));
  std::uint32_t db = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), db);
  if (!query.starts_with(kDb) || failed != std::errc() || end != text.data() + text.size() ||
      db >= kDatabases) {
    return bad("the only parameter is db, the number of a database");
  }
  target.db = db;
  return {};
}

/// One path segment.
Result<void> parse_key(std::string_view segment, Target& target) {
  auto key = percent_decode(segment);
  if (key.has_error()) return key.error();
  if (key->empty()) return bad("the key is empty");
  if (key->size() > kMaxKeyBytes) return Error{Errc::too_large, "the key is longer than 64 KiB"};
  target.key = std::move(*key);
  return {};
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!may_stand_bare(text[i]))
        return bad("the key holds a character that must be percent-encoded");
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return bad("a percent sign must be followed by two hex digits");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

Result<Target> parse_target(std::string_view text) {
  // The absolute form, which a server must accept: only its path and query say anything to us.
  if (text.starts_with("http://")) {
    const std::size_t path = text.find('/', 7);
    text = path == std::string_view::npos ? std::string_view("/") : text.substr(path);
  }
  Target target;
  const std::size_t question = std::min(text.find('?'), text.size());
  std::string_view path = text.substr(0, question);
  const std::string_view query = text.substr(std::min(question + 1, text.size()));

  static constexpr std::pair<std::string_view, Route> kFixed[] = {{"/cache:batch", Route::batch},
                                                                  {"/healthz", Route::healthz},
                                                                  {"/readyz", Route::readyz},
                                                                  {"/metrics", Route::metrics},
                                                                  {"/stats", Route::stats}};
  for (const auto& [name, route] : kFixed) {
    if (path == name) {
      target.route = route;
      return target;
    }
  }
  const bool why = path.starts_with(kWhyPrefix);
  if (!why && !path.starts_with(kEntryPrefix)) return target;
  path.remove_prefix(why ? kWhyPrefix.size() : kEntryPrefix.size());
  target.route = why ? Route::why : Route::entry;
  if (!why && path.ends_with(kTouchSuffix)) {
    target.route = Route::touch;
    path.remove_suffix(kTouchSuffix.size());
  }
  if (path.find('/') != std::string_view::npos) return Target{};  // a key is one segment
  if (const auto key = parse_key(path, target); key.has_error()) return key.error();
  const auto read = why ? parse_why_query(query, target) : parse_query(query, target);
  if (read.has_error()) return read.error();
  return target;
}

}  // namespace nearlane::http
