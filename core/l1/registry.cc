// The maps and policies that exist. Adding one: its folder, its include, its name in kMaps, or in kPolicies and row().
#include <algorithm>
#include <array>
#include <string>

#include "core/l1/l1_map.h"
#include "core/l1/mutex/map.h"
#include "core/l1/none/map.h"
#include "core/l1/policy/lru.h"
#include "core/l1/policy/none.h"
#include "core/l1/sharded/map.h"

namespace nearlane::l1 {
namespace {

using Make = std::unique_ptr<L1Map> (*)(const L1Config&);

template <class Map>
std::unique_ptr<L1Map> make(const L1Config& config) {
  return std::make_unique<Map>(config);
}

constexpr std::array kPolicies{NoPolicy::kName, Lru::kName};

struct MapRow {
  std::string_view name;
  std::array<Make, kPolicies.size()> make;  // in the order of kPolicies
};

template <template <class> class Map>
constexpr MapRow row() {
  return {Map<NoPolicy>::kName, {&make<Map<NoPolicy>>, &make<Map<Lru>>}};
}

constexpr std::array kMaps{row<NoneMap>(), row<MutexMap>(), row<ShardedMap>()};

Error unknown(std::string_view what, std::string_view name,
              const std::vector<std::string_view>& known) {
  std::string text = "unknown L1 ";
  text.append(what).append(" '").append(name).append("'; there are");
  for (const auto& each : known) text.append(&each == known.data() ? " " : ", ").append(each);
  return {Errc::invalid_argument, std::move(text)};
}

}  // namespace

Result<std::unique_ptr<L1Map>> make_l1(const L1Config& config) {
  const auto* map =
      std::find_if(kMaps.begin(), kMaps.end(), [&](auto& row) { return row.name == config.map; });
  if (map == kMaps.end()) return unknown("map", config.map, map_names());
  const auto* policy = std::find(kPolicies.begin(), kPolicies.end(), config.policy);
  if (policy == kPolicies.end()) return unknown("policy", config.policy, policy_names());
  return map->make[static_cast<std::size_t>(policy - kPolicies.begin())](config);
}

std::vector<std::string_view> map_names() {
  std::vector<std::string_view> names;
  names.reserve(kMaps.size());
  for (const auto& row : kMaps) names.push_back(row.name);
  return names;
}

std::vector<std::string_view> policy_names() { return {kPolicies.begin(), kPolicies.end()}; }

}  // namespace nearlane::l1
