// Whatever stands where CLUSTER SLOTS' answer or a redirection is expected: a map has an owner that is one of its
// nodes for every slot that has any, and a redirection leads to a slot and a port that there are.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/l2/redis/cluster_map.h"
#include "core/protocol/reply_parser.h"

namespace {

using namespace nearlane;

void check_map(std::string_view bytes) {
  protocol::ReplyParser parser;
  const auto reply = parser.next(bytes);
  if (!reply || !*reply) return;
  const auto map = l2::read_slot_map(**reply, {"asked", "1"});
  if (!map) return;
  if (map->primaries.empty() || map->owners.size() != cohere::kSlots) std::abort();
  for (const std::uint16_t owner : map->owners) {
    if (owner != l2::SlotMap::kNobody && owner >= map->primaries.size()) std::abort();
  }
  for (const l2::Endpoint& node : map->primaries) {
    if (node.host.empty() || node.port.empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_map(text);
  const auto redirection = l2::read_redirection(text);
  if (redirection && redirection->kind != l2::Redirection::Kind::try_again &&
      (redirection->slot >= cohere::kSlots || redirection->to.port.empty()))
    std::abort();
  return 0;
}
