#include "core/l2/embedded/fields.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <unordered_set>

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

void Fields::expect(std::size_t calls) {
  if (calls <= kFewNames) return;
  places_.reserve(fields_.size() + calls);
  for (std::size_t i = 0; i < fields_.size(); ++i) places_.emplace(fields_[i].name, i);
  indexed_ = true;
}

std::size_t Fields::place_of(std::string_view name) const noexcept {
  if (!indexed_) {
    const auto found = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const Field& field) { return field.name == name; });
    return static_cast<std::size_t>(found - fields_.begin());
  }
  const auto found = places_.find(name);
  return found == places_.end() ? fields_.size() : found->second;
}

const Fields::Field* Fields::find(std::string_view name) const noexcept {
  const std::size_t place = place_of(name);
  return place == fields_.size() ? nullptr : &fields_[place];
}

bool Fields::set(std::string_view name, std::string_view value) {
  const std::size_t place = place_of(name);
  if (place < fields_.size()) {
    fields_[place].value = value;
    return false;
  }
  if (indexed_) places_.emplace(name, place);
  fields_.push_back({name, value});
  return true;
}

std::size_t Fields::erase(std::span<const std::string_view> names) {
  indexed_ = false;
  places_.clear();
  if (names.size() <= kFewNames) {
    return std::erase_if(fields_, [&](const Field& field) {
      return std::find(names.begin(), names.end(), field.name) != names.end();
    });
  }
  const std::unordered_set<std::string_view, Hash> named(names.begin(), names.end());
  return std::erase_if(fields_, [&](const Field& field) { return named.contains(field.name); });
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
