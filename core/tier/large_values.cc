#include "core/tier/large_values.h"

#include <algorithm>

namespace nearlane::tier {

std::string_view name_space(std::string_view name) noexcept {
  constexpr std::size_t kMost = 16;
  const std::size_t colon = name.substr(0, kMost + 1).find(':');
  if (colon == 0 || colon == std::string_view::npos) return {};
  const auto may_be_shown = [](char c) { return (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  return std::ranges::all_of(name.substr(0, colon), may_be_shown) ? name.substr(0, colon + 1)
                                                                  : std::string_view();
}

std::optional<LargeValue> LargeValues::note(const PrefixTable& prefixes, const KeyRef& key,
                                            std::size_t bytes, TimePoint now) {
  const auto match = prefixes.match(key.name);
  const std::string_view prefix = match.value_or(name_space(key.name));
  {
    const std::lock_guard lock(mutex_);
    const auto said = said_.find(prefix);
    if (said != said_.end() && now < said->second + kEvery) return std::nullopt;
    if (said == said_.end() && said_.size() >= kMostPrefixes)
      std::erase_if(said_, [&](const auto& each) { return now >= each.second + kEvery; });
    if (said == said_.end() && said_.size() >= kMostPrefixes) return std::nullopt;
    said_.insert_or_assign(std::string(prefix), now);
  }
  return LargeValue{.prefix = std::string(prefix),
                    .has_table = match.has_value(),
                    .bytes = bytes,
                    .hash = key.hash,
                    .db = key.db};
}

}  // namespace nearlane::tier
