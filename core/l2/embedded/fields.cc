#include "core/l2/embedded/fields.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace nearlane::l2::embedded {

namespace {

using Length = std::uint32_t;

std::string_view take(std::string_view& bytes) {
  Length length = 0;
  if (bytes.size() < sizeof length) return bytes = {};
  std::memcpy(&length, bytes.data(), sizeof length);
  bytes.remove_prefix(sizeof length);
  const std::string_view taken = bytes.substr(0, length);
  bytes.remove_prefix(taken.size());
  return taken;
}

void append(std::string& bytes, std::string_view text) {
  const auto length = static_cast<Length>(text.size());
  std::array<char, sizeof length> raw{};
  std::memcpy(raw.data(), &length, sizeof length);
  bytes.append(raw.data(), raw.size());
  bytes.append(text);
}

}  // namespace

Fields::Fields(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view name = take(bytes);
    fields_.push_back({name, take(bytes)});
  }
}

const Fields::Field* Fields::find(std::string_view name) const noexcept {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& field) { return field.name == name; });
  return found == fields_.end() ? nullptr : &*found;
}

bool Fields::set(std::string_view name, std::string_view value) {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& field) { return field.name == name; });
  if (found != fields_.end()) {
    found->value = value;
    return false;
  }
  fields_.push_back({name, value});
  return true;
}

bool Fields::erase(std::string_view name) {
  return std::erase_if(fields_, [&](const Field& field) { return field.name == name; }) != 0;
}

std::string Fields::bytes() const {
  std::size_t size = 0;
  for (const auto& [name, value] : fields_) size += 2 * sizeof(Length) + name.size() + value.size();
  std::string bytes;
  bytes.reserve(size);
  for (const auto& [name, value] : fields_) {
    append(bytes, name);
    append(bytes, value);
  }
  return bytes;
}

}  // namespace nearlane::l2::embedded
