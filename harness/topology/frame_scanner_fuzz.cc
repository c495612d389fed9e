#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "harness/topology/frame_scanner.h"

using nearlane::harness::FrameScanner;
using nearlane::harness::Way;

namespace {

/// Where frames start; each byte must be told of once.
std::vector<std::size_t> starts(Way way, std::string_view bytes, std::size_t piece) {
  FrameScanner scanner(way);
  std::vector<std::size_t> found;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto rest = bytes.substr(at, piece - at % piece);
    const auto step = scanner.next(rest);
    if (step.size == 0 || step.size > rest.size()) std::abort();
    if (step.starts) found.push_back(at);
    at += step.size;
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const Way way : {Way::to_server, Way::to_client}) {
    const auto whole = starts(way, bytes, size + 1);
    const auto single = starts(way, bytes, 1);
    // A frame that turns out to be none may be told of in its first byte already.
    if (single.size() < whole.size() || single.size() > whole.size() + 1) std::abort();
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if (whole[i] != single[i]) std::abort();
    }
  }
  return 0;
}
