#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/workload/trace.h"

// The input as it is, and behind a good line, so that every mutation also reaches the second one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const auto* before : {"", "0,k,1,10,0,set,30\n1,k,1,0,0,get,"}) {
    auto reader = read_twitter_csv(from_memory(before + bytes), "fuzz");
    TraceRecord record;
    for (int i = 0; i < 100'000; ++i) {
      const auto more = reader->next(record);
      if (!more || !*more) break;
    }
  }
  return 0;
}
