#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "harness/replay/rows.h"

/// What was read once is written so that it is read again, and then says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nearlane::harness;
  const auto rows = rows_from_json({reinterpret_cast<const char*>(data), size});
  if (!rows) return 0;
  const std::string once = to_json(*rows);
  const auto again = rows_from_json(once);
  if (!again || to_json(*again) != once) std::abort();
  return 0;
}
