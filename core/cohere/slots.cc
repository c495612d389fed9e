// CRC16, eight bytes at once: their parts of the sum do not depend on each other ("slicing by eight", Kounavis and Berry,
// "A Systematic Approach to Building High Performance, Software-based, CRC Generators", ISCC 2005).
#include "core/cohere/slots.h"

namespace nearlane::cohere {
namespace {

constexpr std::uint16_t kPolynomial = 0x1021;

constexpr std::size_t kAtOnce = 8;  // bytes
using Table = std::array<std::uint16_t, 256>;

/// By how many zero bytes follow it, what a byte becomes.
constexpr std::array<Table, kAtOnce> make_tables() {
  std::array<Table, kAtOnce> tables{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    auto crc = static_cast<std::uint16_t>(byte << 8U);
    for (int bit = 0; bit < 8; ++bit) {
      const bool high = (crc & 0x8000U) != 0;
      crc = static_cast<std::uint16_t>(crc << 1U);
      if (high) crc ^= kPolynomial;
    }
    tables[0][byte] = crc;
  }
  for (std::size_t zeros = 1; zeros < kAtOnce; ++zeros) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint16_t before = tables[zeros - 1][byte];
      tables[zeros][byte] = static_cast<std::uint16_t>((before << 8U) ^ tables[0][before >> 8U]);
    }
  }
  return tables;
}
constexpr auto kTables = make_tables();

std::string_view hashed_part(std::string_view name) noexcept {
  const std::size_t open = name.find('{');
  if (open == std::string_view::npos) return name;
  const std::size_t close = name.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return name;
  return name.substr(open + 1, close - open - 1);
}

}  // namespace

Slot slot_of(std::string_view name) noexcept {
  std::string_view left = hashed_part(name);
  const auto byte_at = [&left](std::size_t at) { return static_cast<std::uint8_t>(left[at]); };
  std::uint16_t crc = 0;
  for (; left.size() >= kAtOnce; left.remove_prefix(kAtOnce)) {
    std::uint16_t next =
        kTables[7][byte_at(0) ^ (crc >> 8U)] ^ kTables[6][byte_at(1) ^ (crc & 0xFFU)];
    for (std::size_t at = 2; at < kAtOnce; ++at) next ^= kTables[kAtOnce - 1 - at][byte_at(at)];
    crc = next;
  }
  for (std::size_t at = 0; at < left.size(); ++at)
    crc = static_cast<std::uint16_t>((crc << 8U) ^ kTables[0][(crc >> 8U) ^ byte_at(at)]);
  return crc % kSlots;
}

}  // namespace nearlane::cohere
