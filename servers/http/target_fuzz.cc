// Request targets, lists of entity tags, Accept-Encoding and Range are read from whatever a client sends.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/key.h"
#include "servers/http/conditions.h"
#include "servers/http/encoding.h"
#include "servers/http/range.h"
#include "servers/http/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nearlane::Coding;
  using namespace nearlane::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string& target : {std::string(text), "/cache/" + std::string(text)}) {
    const auto parsed = parse_target(target);
    if (parsed.has_error()) continue;
    const bool keyed = parsed->route == Route::entry || parsed->route == Route::touch ||
                       parsed->route == Route::why;
    if (keyed && (parsed->key.empty() || parsed->key.size() > nearlane::kMaxKeyBytes)) std::abort();
    if (parsed->ttl && parsed->ttl->count() <= 0) std::abort();
  }
  const auto decoded = percent_decode(text);
  if (decoded.has_value() && decoded->size() > text.size()) std::abort();
  // A tag that is listed must stand in the list.
  static constexpr std::string_view kTag = "\"0\"";
  if (lists_tag(text, kTag) && !is_star(text) && text.find(kTag) == std::string_view::npos)
    std::abort();
  // What is chosen is on offer, and the client accepts it.
  const Weights weights = parse_accept_encoding(text);
  for (const Offer offer : {Offer{}, Offer{.gzip = true}, Offer{.gzip = true, .br = true}}) {
    const auto chosen = choose_coding(weights, offer);
    if (chosen && weights.of(*chosen) == 0) std::abort();
    if (chosen == Coding::br && !offer.br) std::abort();
    if (chosen == Coding::gzip && !offer.gzip) std::abort();
    if (!chosen && weights.identity != 0) std::abort();
  }
  // What is sent of a body lies within it.
  if (const auto spec = parse_range(text)) {
    for (const std::uint64_t body : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{size}}) {
      const auto range = resolve(*spec, body);
      if (range && (range->size == 0 || range->first >= body || range->size > body - range->first))
        std::abort();
    }
  }
  return 0;
}
