#include "harness/workload/document.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <xxhash.h>

#include "harness/workload/random.h"

namespace nearlane::harness {
namespace {

constexpr std::string_view kKey = R"({"key":")";
constexpr std::string_view kVersion = R"(","version":")";
constexpr std::string_view kCheck = R"(","check":")";
constexpr std::string_view kState = R"(","state":")";
constexpr std::string_view kEnd = R"("})";
constexpr std::size_t kHex = 16;
constexpr std::size_t kVersionAt = kKey.size() + kHex + kVersion.size();
constexpr std::size_t kCheckAt = kVersionAt + kHex + kCheck.size();
constexpr std::size_t kStateAt = kCheckAt + kHex + kState.size();
static_assert(kStateAt + kEnd.size() <= kMinDocumentBytes);

// Session state is names, numbers and tokens: words that repeat with hexadecimal that does not.
const std::string& corpus() {
  static const std::string text = [] {
    constexpr std::array<std::string_view, 24> kWords = {
        "user",  "cart",    "item",  "price", "currency", "locale", "theme",    "token",
        "roles", "created", "seen",  "agent", "country",  "csrf",   "checkout", "address",
        "email", "visits",  "query", "page",  "referrer", "flags",  "basket",   "consent"};
    constexpr std::size_t kBytes = std::size_t{64} * 1024;
    Random random(20200301);
    std::string made;
    while (made.size() < kBytes) {
      made += kWords[random.below(kWords.size())];
      made += ':';
      made += random.below(3) == 0 ? fmt::format("{:016x}", random.next())
                                   : fmt::format("{}", random.below(5000));
      made += ';';
    }
    made.resize(kBytes);
    return made;
  }();
  return text;
}

std::uint64_t check_of(std::string_view document) {
  const auto head = XXH3_64bits(document.data(), kCheckAt);
  const auto state = document.substr(kCheckAt + kHex);
  return XXH3_64bits_withSeed(state.data(), state.size(), head);
}

void put_hex(char* at, std::uint64_t value) { fmt::format_to(at, "{:016x}", value); }

bool read_hex(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + kHex, value, 16);
  return error == std::errc{} && end == text.data() + kHex;
}

std::uint64_t name_hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

void write_document(std::string_view key, std::uint64_t version, std::size_t bytes,
                    std::string& out) {
  out.resize(std::max(bytes, kMinDocumentBytes));
  char* at = out.data();
  const auto put = [&at](std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  put(kKey);
  put_hex(at, name_hash(key));
  at += kHex;
  put(kVersion);
  put_hex(at, version);
  at += kHex;
  put(kCheck);
  char* check = at;
  at += kHex;
  put(kState);
  const std::string& words = corpus();
  std::size_t from = mix64(name_hash(key) + version) % words.size();
  for (std::size_t left = out.size() - kStateAt - kEnd.size(); left != 0;) {
    const std::size_t step = std::min(left, words.size() - from);
    put(std::string_view(words).substr(from, step));
    left -= step;
    from = 0;
  }
  put(kEnd);
  put_hex(check, check_of(out));
}

Result<std::uint64_t> verify_document(std::string_view key, std::string_view value) {
  std::uint64_t name = 0;
  std::uint64_t version = 0;
  std::uint64_t check = 0;
  if (value.size() < kMinDocumentBytes || !value.starts_with(kKey) ||
      !read_hex(value.substr(kKey.size()), name) || !read_hex(value.substr(kVersionAt), version) ||
      !read_hex(value.substr(kCheckAt), check)) {
    return Error{Errc::protocol, fmt::format("{} bytes that are no document", value.size())};
  }
  if (check != check_of(value)) {
    return Error{Errc::protocol, "a document that is not as it was written"};
  }
  if (name != name_hash(key)) return Error{Errc::protocol, "the document of another key"};
  return version;
}

}  // namespace nearlane::harness
