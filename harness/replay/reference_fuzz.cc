#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/replay/reference.h"

namespace nearlane::harness {
namespace {

void read_and_compare(std::string_view text) {
  const auto reference = Reference::parse(text, "fuzz.csv");
  if (!reference) return;
  for (const auto unit : {Unit::objects, Unit::bytes}) {
    for (const auto capacity : reference->capacities("t", unit)) {
      ReplayRow row{
          .trace = "t", .policy = "lru", .capacity = capacity, .unit = unit, .requests = 1};
      reference->compare(row);
    }
  }
}

}  // namespace
}  // namespace nearlane::harness

// The input as it is, and behind a header and good lines: no mutation hits upon five names of columns. It is the note
// of the last one, which may be anything, or goes on with its cache size.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string good =
      "policy,miss_ratio,trace,mode,cache_size,note\nLRU,0.5,t,objects,5\nLRU,0.25,t,bytes,7";
  for (const auto& before : {std::string(), good + ',', good}) {
    nearlane::harness::read_and_compare(before + bytes);
  }
  return 0;
}
