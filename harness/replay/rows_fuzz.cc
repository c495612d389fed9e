#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "harness/replay/rows.h"

namespace nearlane::harness {
namespace {

std::string good_row() {
  const Comparison reference{.best = 0.5,
                             .best_policy = "LIRS",
                             .excess_percent = 1.5,
                             .same = {{"LRU", 0.625}, {"LRU(own)", 0.5}}};
  return to_json({{.trace = "t",
                   .policy = "lru",
                   .capacity = 5,
                   .unit = Unit::bytes,
                   .requests = 8,
                   .misses = 5,
                   .map = "native",
                   .offline = false,
                   .rejections = 1,
                   .keys = 4,
                   .file = "t.oracleGeneral.zst",
                   .file_hash = "0123456789abcdef",
                   .revision = "0123456+",
                   .seconds = 0.125,
                   .reference = reference}});
}

/// What was read once is written so that it is read again, and then says the same.
void read_twice(const std::string& text) {
  const auto rows = rows_from_json(text);
  if (!rows) return;
  const std::string once = to_json(*rows);
  const auto again = rows_from_json(once);
  if (!again || to_json(*again) != once) std::abort();
}

}  // namespace
}  // namespace nearlane::harness

// The input as it is, and over a part of a good row: no mutation hits upon the fourteen names that a row has. Its last
// two bytes say where, so that inputs that begin alike go to different places.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read_twice(bytes);
  static const std::string good = good_row();
  std::string row = good;
  if (size > 2) {
    const std::size_t at = (data[size - 2] * 256U + data[size - 1]) % row.size();
    row.replace(at, size - 2, bytes, 0, size - 2);
  }
  read_twice(row);
  return 0;
}
