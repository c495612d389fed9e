#include <algorithm>

#include "core/l1/l1_map.h"
#include "harness/micro/parts.h"
#include "harness/micro/target.h"

namespace nearlane::micro {

std::vector<std::string_view> target_names() {
  auto names = l1::map_names();
  for (const auto peer : peer_names()) names.push_back(peer);
  return names;
}

std::vector<std::string_view> peer_names() { return dashmap_names(); }
std::string_view peer_build() { return dashmap_build(); }

std::unique_ptr<Target> make_target(std::string_view name, std::string_view policy,
                                    const Fill& fill) {
  const auto peers = peer_names();
  if (std::ranges::find(peers, name) != peers.end()) return make_dashmap_target(name, fill);
  return make_l1_target(name, policy, fill);
}

std::uint64_t target_bytes(const Fill& fill) {
  // Beside the value: the name twice, headers of entry and allocator, a table less than half full.
  return fill.keys * (fill.value_bytes + 300) + (std::uint64_t{16} << 20U);
}

}  // namespace nearlane::micro
