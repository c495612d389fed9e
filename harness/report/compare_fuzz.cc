// Documents come from wherever somebody keeps them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/report/compare.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)nearlane::harness::compare_results(text, "a", text, "b");
  // The same behind a head that is taken, so that what follows is looked at.
  const std::string headed = "{\"schema\":\"nearlane-result/1\"," + text;
  (void)nearlane::harness::compare_results(headed, "a", headed, "b");
  return 0;
}
