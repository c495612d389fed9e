#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/workload/trace.h"

namespace {

void read_all(nearlane::harness::TraceReader& reader) {
  nearlane::harness::TraceRecord record;
  for (int i = 0; i < 100'000; ++i) {
    const auto more = reader.next(record);
    if (!more || !*more) return;
  }
}

}  // namespace

// Twice: as it is, and through the decompressor.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read_all(*read_oracle_general(from_memory(bytes), "fuzz"));
  read_all(*read_oracle_general(unzstd(from_memory(bytes)), "fuzz"));
  return 0;
}
