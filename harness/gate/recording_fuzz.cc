// A recording is read from a file that anybody may have edited.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/gate/recording.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::gate;
  const auto recording = parse_recording({reinterpret_cast<const char*>(data), size});
  if (recording && !parse_recording(to_json(*recording))) std::abort();
  return 0;
}
