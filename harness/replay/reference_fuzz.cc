#include <cstddef>
#include <cstdint>
#include <string_view>

#include "harness/replay/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const auto reference = Reference::parse({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
  if (!reference) return 0;
  for (const auto unit : {Unit::objects, Unit::bytes}) {
    for (const auto capacity : reference->capacities("t", unit)) {
      ReplayRow row{
          .trace = "t", .policy = "lru", .capacity = capacity, .unit = unit, .requests = 1};
      reference->compare(row);
    }
  }
  return 0;
}
