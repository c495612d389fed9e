#include "core/tier/type_sidecar.h"

#include <array>
#include <cstddef>
#include <memory>

#include "core/cohere/slots.h"
#include "core/entry/entry.h"

namespace nearlane::tier {
namespace {

constexpr std::size_t kDigits = 16;

std::array<char, kDigits> digits_of(std::uint64_t digest) noexcept {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::array<char, kDigits> digits{};
  for (std::size_t i = kDigits; i-- > 0; digest >>= 4U) digits[i] = kHex[digest & 0xFU];
  return digits;
}

/// Whether Redis takes a part of the name for the whole when it looks for its slot.
bool has_tag(std::string_view name) noexcept {
  const std::size_t open = name.find('{');
  if (open == std::string_view::npos) return false;
  const std::size_t close = name.find('}', open + 1);
  return close != std::string_view::npos && close != open + 1;
}

using Numbers = std::array<std::uint32_t, cohere::kSlots>;

/// Of each slot the least number that is in it.
std::unique_ptr<const Numbers> make_numbers() {
  auto numbers = std::make_unique<Numbers>();
  std::size_t found = 0;
  for (std::uint32_t number = 1; found < numbers->size(); ++number) {
    std::uint32_t& of_slot = (*numbers)[cohere::slot_of(std::to_string(number))];
    if (of_slot != 0) continue;
    of_slot = number;
    ++found;
  }
  return numbers;
}

std::uint32_t number_in(cohere::Slot slot) {
  static const std::unique_ptr<const Numbers> numbers = make_numbers();
  return (*numbers)[slot];
}

}  // namespace

std::string type_sidecar(std::string_view key) {
  std::string name(kTypePrefix);
  if (has_tag(key)) return name.append("of:").append(key);
  // What stands between the first '{' and the first '}' behind it is what counts.
  if (key.find('}') == std::string_view::npos) return name.append("{").append(key).append("}");
  const std::string number = std::to_string(number_in(cohere::slot_of(key)));
  return name.append("{").append(number).append("}:").append(key);
}

std::string sidecar_text(std::string_view type, std::uint64_t digest) {
  const auto digits = digits_of(digest);
  std::string text(digits.data(), digits.size());
  return text.append(" ").append(type);
}

std::optional<std::string_view> own_type_in(std::string_view text, std::string_view value) {
  if (text.size() <= kDigits || text[kDigits] != ' ') return std::nullopt;
  // Anybody may have written it, and it goes into a header.
  const std::string_view type = text.substr(kDigits + 1);
  if (!is_media_type(type)) return std::nullopt;
  const auto digits = digits_of(Entry::digest_of(value));
  if (text.substr(0, kDigits) != std::string_view(digits.data(), digits.size()))
    return std::nullopt;
  return type;
}

}  // namespace nearlane::tier
