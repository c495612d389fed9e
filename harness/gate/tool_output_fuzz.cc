// The outputs of tools are text of other people's: whatever it is, the parsers answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/gate/tool_output.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::gate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)callgrind_total(text);
  (void)dhat_total(text);
  (void)strace_total(text);
  (void)redis_commands(text);
  const auto times = benchmark_ns(text);
  if (times && times->empty()) std::abort();  // a document without rows is an error
  return 0;
}
