#include "core/tier/prefix_table.h"

#include <algorithm>
#include <utility>

namespace nearlane::tier {

PrefixTable::PrefixTable(const KeyRules& otherwise, std::vector<Prefix> prefixes)
    : otherwise_(otherwise), prefixes_(std::move(prefixes)), around_(prefixes_.size(), kNone) {
  std::sort(prefixes_.begin(), prefixes_.end(),
            [](const Prefix& a, const Prefix& b) { return a.match < b.match; });
  has_content_types_ = std::any_of(prefixes_.begin(), prefixes_.end(), [&](const Prefix& prefix) {
    return prefix.rules.content_type != otherwise_.content_type;
  });
  for (std::size_t i = 1; i < prefixes_.size(); ++i) {
    std::size_t at = i - 1;
    while (at != kNone && !prefixes_[i].match.starts_with(prefixes_[at].match)) at = around_[at];
    around_[i] = at;
  }
}

std::size_t PrefixTable::find(std::string_view name) const noexcept {
  const auto behind = std::upper_bound(
      prefixes_.begin(), prefixes_.end(), name,
      [](std::string_view key, const Prefix& prefix) { return key < prefix.match; });
  if (behind == prefixes_.begin()) return kNone;
  auto at = static_cast<std::size_t>(behind - prefixes_.begin()) - 1;
  while (at != kNone && !name.starts_with(prefixes_[at].match)) at = around_[at];
  return at;
}

const KeyRules& PrefixTable::longest_match(std::string_view name) const noexcept {
  const std::size_t at = find(name);
  return at == kNone ? otherwise_ : prefixes_[at].rules;
}

std::optional<std::string_view> PrefixTable::match(std::string_view name) const noexcept {
  const std::size_t at = find(name);
  if (at == kNone) return std::nullopt;
  return prefixes_[at].match;
}

}  // namespace nearlane::tier
