#include "servers/http/conditions.h"

#include <algorithm>
#include <array>

#include "core/entry/entry.h"
#include "servers/http/encoding.h"
#include "servers/http/text.h"

namespace nearlane::http {

namespace {

/// A byte's two digits.
constexpr auto kHexPairs = [] {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {kHex[byte >> 4U], kHex[byte & 15U]};
  }
  return pairs;
}();

/// Whether the list holds a tag of the value with this digest, in whichever form.
bool lists_form(std::string_view list, std::uint64_t digest, Comparison comparison) {
  constexpr std::array kForms = {Coding::identity, Coding::gzip, Coding::br};
  return std::ranges::any_of(kForms, [&](Coding form) {
    return lists_tag(list, EntityTag(digest, name_of(form)).text(), comparison);
  });
}

}  // namespace

bool Preconditions::hold(std::optional<std::string_view> value) const {
  if (!value) return !if_match;
  const std::uint64_t digest = Entry::digest_of(*value);
  if (if_match && !lists_form(*if_match, digest, Comparison::strong)) return false;
  return !if_none_match || !lists_form(*if_none_match, digest, Comparison::weak);
}

EntityTag::EntityTag(std::uint64_t digest, std::string_view encoding) noexcept {
  char* end = text_.data();
  *end++ = '"';
  for (std::size_t i = kDigits; i > 0; digest >>= 8U) {
    i -= 2;
    std::copy_n(kHexPairs[digest & 0xFFU].begin(), 2, end + i);
  }
  end += kDigits;
  if (!encoding.empty()) {
    *end++ = '-';
    end = std::copy(encoding.begin(), encoding.end(), end);
  }
  *end++ = '"';
  size_ = static_cast<std::size_t>(end - text_.data());
}

bool is_star(std::string_view list) { return trim(list) == "*"; }

bool lists_tag(std::string_view list, std::string_view tag, Comparison comparison) {
  if (is_star(list)) return true;
  while (true) {
    list = trim(list);
    if (list.starts_with(',')) {
      list.remove_prefix(1);
      continue;
    }
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    // A tag may hold commas, so the list is read tag by tag.
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    const bool counts = !weak || comparison == Comparison::weak;
    if (counts && list.substr(0, end + 1) == tag) return true;
    list.remove_prefix(end + 1);
    list = trim(list);
    if (list.empty()) return false;
    if (!list.starts_with(',')) return false;
  }
}

}  // namespace nearlane::http
