// A planted bug, deep enough that chance alone does not find it: ci/fuzz.sh fails unless this target
// crashes, since fuzzers that cannot find it find nothing else either.
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 4 && data[0] == 'L' && data[1] == 'A' && data[2] == 'N' && data[3] == 'E') {
    __builtin_trap();
  }
  return 0;
}
