#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "harness/driver/http_codec.h"

namespace {

using namespace nearlane::harness;

std::vector<std::pair<int, std::string>> replies(std::string_view bytes, std::size_t cut,
                                                 HttpReads reads) {
  HttpCodec codec({.host = "h", .port = 1}, {}, reads);
  std::vector<std::pair<int, std::string>> seen;
  for (const auto part : {bytes.substr(0, cut), bytes.substr(cut)}) {
    if (!codec.feed(part)) return seen;
    for (Reply reply;;) {
      auto whole = codec.next(Op::get, reply);
      if (!whole) return seen;
      if (!*whole) break;
      seen.emplace_back(static_cast<int>(reply.outcome), std::string(reply.text));
    }
  }
  return seen;
}

}  // namespace

// What is found must not depend on where the bytes were cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const auto reads : {HttpReads::get, HttpReads::head}) {
    const auto cut = replies(bytes, bytes.size() * data[0] / 255, reads);
    if (cut != replies(bytes, bytes.size(), reads)) std::abort();
  }
  return 0;
}
