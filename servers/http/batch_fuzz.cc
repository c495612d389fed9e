// A batch is read from whatever a client sends.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/key.h"
#include "servers/http/batch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr BatchLimits kLimits{.operations = 4, .bytes = 4096};
  if (const auto read = parse_batch(text, kLimits)) {
    if (text.size() > kLimits.bytes || read->size() > kLimits.operations) std::abort();
    for (const BatchOperation& operation : *read) {
      if (operation.key.empty() || operation.key.size() > nearlane::kMaxKeyBytes) std::abort();
      if (operation.kind != BatchOperation::Kind::set && !operation.value.empty()) std::abort();
      if (operation.ttl && operation.ttl->count() <= 0) std::abort();
    }
  }
  if (const auto bytes = from_base64(text); bytes && to_base64(*bytes) != text) std::abort();
  static_cast<void>(is_utf8(text));
  return 0;
}
