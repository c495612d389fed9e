#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "harness/peers/canned_resp.h"

namespace {

constexpr std::string_view kValue = "$1\r\nx\r\n";

/// The answers to bytes that come in two parts; nothing where they are refused.
std::optional<std::string> answers(std::string_view bytes, std::size_t cut) {
  std::string in(bytes.substr(0, cut));
  std::string out;
  for (const auto more : {std::string_view(), bytes.substr(cut)}) {
    in.append(more);
    const auto taken = nearlane::harness::answer_canned(in, kValue, out);
    if (!taken) return std::nullopt;
    if (*taken > in.size()) std::abort();
    in.erase(0, *taken);
  }
  return out;
}

}  // namespace

// What is answered must not depend on where the bytes were cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (answers(bytes, bytes.size() * data[0] / 255) != answers(bytes, bytes.size())) std::abort();
  return 0;
}
