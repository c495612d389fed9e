// Request targets, lists of entity tags and Accept-Encoding are read from whatever a client sends.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/key.h"
#include "servers/http/conditions.h"
#include "servers/http/encoding.h"
#include "servers/http/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
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
  if (choose_coding(text, false) == Coding::br) std::abort();
  static_cast<void>(choose_coding(text, true));
  return 0;
}
