// Any bytes as a message: what can be read is written again as the same bytes, and views them only.
#include <cstdint>
#include <string_view>

#include "core/cohere/announcement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const auto read = nearlane::cohere::parse_announcement(message);
  if (!read) return 0;
  if (nearlane::cohere::format_announcement(*read) != message) __builtin_trap();
  nearlane::cohere::AnnouncementOrder order;
  if (!order.follows(*read) || order.follows(*read)) __builtin_trap();
  return 0;
}
