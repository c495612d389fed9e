#include <algorithm>
#include <fstream>
#include <string>

#include <malloc.h>

#include "core/l1/l1_map.h"
#include "harness/micro/parts.h"
#include "harness/micro/target.h"

namespace nearlane::micro {
namespace {

/// Filled maps may take this share of the memory that is available at the start.
constexpr double kMemoryShare = 0.6;

double available_bytes() {
  std::ifstream in("/proc/meminfo");
  std::string field;
  double kilobytes = 0;
  while (in >> field >> kilobytes) {
    if (field == "MemAvailable:") return kilobytes * 1024;
    in.ignore(64, '\n');
  }
  return 0;
}

}  // namespace

std::vector<std::string_view> target_names() {
  auto names = l1::map_names();
  for (const auto peer : peer_names()) names.push_back(peer);
  return names;
}

std::vector<std::string_view> peer_names() { return dashmap_names(); }
std::string_view peer_build() { return dashmap_build(); }

std::unique_ptr<Target> make_target(std::string_view name, std::string_view policy,
                                    const Fill& fill) {
  // What an earlier map has left free goes back to the kernel: the pages of this one are of its own kind.
  malloc_trim(0);
  const auto peers = peer_names();
  if (std::ranges::find(peers, name) != peers.end()) return make_dashmap_target(name, fill);
  return make_l1_target(name, policy, fill);
}

std::size_t places_for(const Fill& fill) {
  static const auto room = static_cast<std::uint64_t>(kMemoryShare * available_bytes());
  return std::max<std::uint64_t>(1, room / target_bytes(fill));
}

}  // namespace nearlane::micro
