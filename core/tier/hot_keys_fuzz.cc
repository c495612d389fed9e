// Any bytes as a hot-key list, and behind the head of one: what can be read is within its limits, and is read again as
// the same from what is written of it.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/tier/hot_keys.h"
#include "core/tier/refresh_queue.h"

namespace {

void read(std::string_view list) {
  using namespace nearlane;
  const auto keys = tier::parse_hot_keys(list);
  if (!keys) {
    if (keys.error().detail.empty()) __builtin_trap();
    return;
  }
  if (keys->size() > tier::kMostHotKeys) __builtin_trap();
  for (const Key& key : *keys) {
    if (key.db >= kDatabases || key.name.empty() || key.name.size() > tier::kMostNameBytes)
      __builtin_trap();
  }
  const auto again = tier::parse_hot_keys(tier::format_hot_keys(*keys));
  if (!again || *again != *keys) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  read("*3\r\n$4\r\nNLW1\r\n" + std::string(bytes));
  read("*5\r\n$4\r\nNLW1\r\n$1\r\n0\r\n$1\r\nk\r\n" + std::string(bytes));
  return 0;
}
