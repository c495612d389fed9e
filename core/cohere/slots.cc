#include "core/cohere/slots.h"

namespace nearlane::cohere {
namespace {

constexpr std::uint16_t kPolynomial = 0x1021;

constexpr std::array<std::uint16_t, 256> make_table() {
  std::array<std::uint16_t, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    auto crc = static_cast<std::uint16_t>(byte << 8U);
    for (int bit = 0; bit < 8; ++bit) {
      const bool high = (crc & 0x8000U) != 0;
      crc = static_cast<std::uint16_t>(crc << 1U);
      if (high) crc ^= kPolynomial;
    }
    table[byte] = crc;
  }
  return table;
}
constexpr auto kTable = make_table();

std::string_view hashed_part(std::string_view name) noexcept {
  const std::size_t open = name.find('{');
  if (open == std::string_view::npos) return name;
  const std::size_t close = name.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return name;
  return name.substr(open + 1, close - open - 1);
}

}  // namespace

Slot slot_of(std::string_view name) noexcept {
  std::uint16_t crc = 0;
  for (const char c : hashed_part(name)) {
    const auto byte = static_cast<std::uint8_t>(c);
    crc = static_cast<std::uint16_t>((crc << 8U) ^ kTable[((crc >> 8U) ^ byte) & 0xFFU]);
  }
  return crc % kSlots;
}

}  // namespace nearlane::cohere
