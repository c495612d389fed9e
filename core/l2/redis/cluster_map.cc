#include "core/l2/redis/cluster_map.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace nearlane::l2 {
namespace {

using protocol::Reply;
using protocol::Type;

template <class Number>
std::optional<Number> read_number(std::string_view text) {
  Number number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Error no_map(std::string what) {
  return {Errc::protocol, "CLUSTER SLOTS was answered by what is no map: " + std::move(what)};
}

/// Null: not known.
Result<std::optional<Endpoint>> read_node(const Reply& node, const Endpoint& asked) {
  const auto& parts = node.elements;
  if (node.type != Type::array || parts.size() < 2) return no_map("a node is no list");
  const bool text = parts[0].type == Type::bulk_string || parts[0].type == Type::simple_string;
  if (!text && !parts[0].is_null()) return no_map("a host is no text");
  if (parts[1].type != Type::integer || parts[1].integer < 0 || parts[1].integer > UINT16_MAX)
    return no_map("a port is none");
  if (parts[0].text == "?" || parts[1].integer == 0) return std::optional<Endpoint>();
  return std::optional<Endpoint>(
      {parts[0].text.empty() ? asked.host : parts[0].text, std::to_string(parts[1].integer)});
}

std::optional<cohere::Slot> read_slot(const Reply& slot) {
  const bool is_one = slot.type == Type::integer && slot.integer >= 0 &&
                      std::cmp_less(slot.integer, cohere::kSlots);
  return is_one ? std::optional(static_cast<cohere::Slot>(slot.integer)) : std::nullopt;
}

std::uint16_t index_of(std::vector<Endpoint>& nodes, const Endpoint& node) {
  const auto found = std::ranges::find(nodes, node);
  const auto index = static_cast<std::uint16_t>(found - nodes.begin());
  if (found == nodes.end()) nodes.push_back(node);
  return index;
}

}  // namespace

void SlotMap::move(cohere::Slot slot, const Endpoint& to) {
  owners[slot] = index_of(primaries, to);
}

Result<SlotMap> read_slot_map(const Reply& reply, const Endpoint& asked) {
  if (reply.type != Type::array) return no_map("it is no list");
  SlotMap map;
  for (const Reply& range : reply.elements) {
    const auto& parts = range.elements;
    if (range.type != Type::array || parts.size() < 3) return no_map("a range is no list");
    const auto first = read_slot(parts[0]);
    const auto last = read_slot(parts[1]);
    if (!first || !last || *first > *last) return no_map("a range has no slots");
    for (std::size_t i = 2; i < parts.size(); ++i) {
      auto node = read_node(parts[i], asked);
      if (!node) return node.error();
      if (!*node) continue;
      const bool primary = i == 2;
      const std::uint16_t index = index_of(primary ? map.primaries : map.replicas, **node);
      if (map.primaries.size() + map.replicas.size() > kMostNodes)
        return no_map("it has more than 1,024 nodes");
      if (primary) std::fill_n(map.owners.begin() + *first, *last - *first + 1, index);
    }
  }
  if (map.primaries.empty()) return Error{Errc::unavailable, "no slot of the cluster has an owner"};
  return map;
}

std::optional<Redirection> read_redirection(std::string_view error) {
  const auto next_word = [&error] {
    const std::string_view word = error.substr(0, error.find(' '));
    error.remove_prefix(std::min(error.size(), word.size() + 1));
    return word;
  };
  const std::string_view code = next_word();
  if (code == "TRYAGAIN") return Redirection{.kind = Redirection::Kind::try_again};
  if (code != "MOVED" && code != "ASK") return std::nullopt;
  const auto slot = read_number<cohere::Slot>(next_word());
  const std::string_view to = next_word();
  const std::size_t colon = to.rfind(':');
  if (!slot || *slot >= cohere::kSlots || colon == std::string_view::npos || !error.empty())
    return std::nullopt;
  const auto port = read_number<std::uint16_t>(to.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  return Redirection{.kind = code == "ASK" ? Redirection::Kind::ask : Redirection::Kind::moved,
                     .slot = *slot,
                     .to = {std::string(to.substr(0, colon)), std::to_string(*port)}};
}

}  // namespace nearlane::l2
