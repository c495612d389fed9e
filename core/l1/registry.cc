// The maps that exist, by name. Adding one: its folder, and its row here (docs/l1.md).
#include <algorithm>
#include <array>
#include <string>

#include "core/l1/l1_map.h"
#include "core/l1/rows.h"

namespace nearlane::l1 {
namespace {

const auto& rows() {
  static const std::array all{none_row(),   mutex_row(), sharded_row(),
                              native_row(), tbb_row(),   cuckoo_row()};
  return all;
}

Error unknown(std::string_view what, std::string_view name,
              const std::vector<std::string_view>& known) {
  std::string text = "unknown L1 ";
  text.append(what).append(" '").append(name).append("'; there are");
  for (const auto& each : known) text.append(&each == known.data() ? " " : ", ").append(each);
  return {Errc::invalid_argument, std::move(text)};
}

}  // namespace

Result<std::unique_ptr<L1Map>> make_l1(const L1Config& config) {
  const auto map = std::ranges::find(rows(), config.map, &MapRow::name);
  if (map == rows().end()) return unknown("map", config.map, map_names());
  const auto policies = policy_names();
  const auto policy = std::ranges::find(policies, config.policy);
  if (policy == policies.end()) return unknown("policy", config.policy, policies);
  return map->make[static_cast<std::size_t>(policy - policies.begin())](config);
}

std::vector<std::string_view> map_names() {
  std::vector<std::string_view> names;
  names.reserve(rows().size());
  for (const auto& row : rows()) names.push_back(row.name);
  return names;
}

std::vector<std::string_view> policy_names() {
  std::vector<std::string_view> names;
  AllPolicies::each([&]<class P>() { names.push_back(P::kName); });
  return names;
}

}  // namespace nearlane::l1
