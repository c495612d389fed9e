#include "core/tier/hot_keys.h"

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>

#include "core/protocol/command_parser.h"
#include "core/protocol/integer.h"
#include "core/protocol/writer.h"
#include "core/tier/refresh_queue.h"

namespace nearlane::tier {
namespace {

constexpr std::string_view kMagic = "NLW1";
/// What stands before the first key, at most.
constexpr std::size_t kHeadBytes = 32;

constexpr protocol::CommandLimits kLimits{.max_arguments = 1 + 2 * kMostHotKeys,
                                          .max_bulk_bytes = kMostNameBytes,
                                          .max_command_bytes = kMostHotBytes};

Error not_a_list(std::string why) { return {Errc::protocol, "no hot-key list: " + std::move(why)}; }

}  // namespace

std::string format_hot_keys(std::span<const Key> keys) {
  std::string body;
  std::size_t fit = 0;
  for (const Key& key : keys.first(std::min(keys.size(), kMostHotKeys))) {
    const std::size_t before = body.size();
    protocol::append_bulk(body, std::to_string(key.db));
    protocol::append_bulk(body, key.name);
    if (body.size() + kHeadBytes > kMostHotBytes) {
      body.resize(before);
      break;
    }
    ++fit;
  }
  std::string list;
  protocol::append_array_header(list, 1 + 2 * fit);
  protocol::append_bulk(list, kMagic);
  return list + body;
}

Result<std::vector<Key>> parse_hot_keys(std::string_view list) {
  if (list.size() > kMostHotBytes) return Error{Errc::too_large, "a hot-key list over 1 MiB"};
  if (!list.starts_with('*')) return not_a_list("it is no array");
  protocol::CommandParser parser(kLimits);
  const auto read = parser.parse(list);
  if (!read) return not_a_list(read.error().detail);
  if (*read != protocol::CommandParser::Status::complete || parser.consumed() != list.size())
    return not_a_list("its end is not where it says");
  const auto args = parser.args();
  if (args.size() % 2 != 1 || args.front() != kMagic) return not_a_list("it is of another form");
  std::vector<Key> keys;
  keys.reserve(args.size() / 2);
  for (std::size_t i = 1; i < args.size(); i += 2) {
    const auto db = protocol::read_integer(args[i]);
    if (!db || *db < 0 || *db >= kDatabases) return not_a_list("a database that there is not");
    if (args[i + 1].empty()) return not_a_list("a key without a name");
    keys.emplace_back(static_cast<std::uint32_t>(*db), std::string(args[i + 1]));
  }
  return keys;
}

std::vector<Key> merge_hot_keys(std::span<const std::vector<Key>> lists, std::size_t most) {
  std::vector<Key> merged;
  std::unordered_set<KeyRef, KeyHash, std::equal_to<>> seen;
  std::size_t longest = 0;
  for (const auto& list : lists) longest = std::max(longest, list.size());
  for (std::size_t place = 0; place < longest; ++place) {
    for (const auto& list : lists) {
      if (place >= list.size() || !seen.insert(list[place].ref()).second) continue;
      if (merged.size() == most) return merged;
      merged.push_back(list[place]);
    }
  }
  return merged;
}

bool HottestKeys::is_hotter(const Place& a, const Place& b) noexcept {
  return std::pair(a.unused, -a.worth) < std::pair(b.unused, -b.worth);
}

void HottestKeys::offer(const Entry& entry, float worth) {
  if (most_ == 0) return;
  const KeyRef key = entry.key();
  if (key.name.size() > kMostNameBytes) return;
  const bool unused = entry.unused() != 0;
  if (places_.size() == most_) {
    const Place& coldest = places_.front();
    if (std::pair(unused, -worth) >= std::pair(coldest.unused, -coldest.worth)) return;
    std::ranges::pop_heap(places_, is_hotter);
    places_.pop_back();
  }
  places_.push_back({.unused = unused, .worth = worth, .key = Key(key)});
  std::ranges::push_heap(places_, is_hotter);
}

std::vector<Key> HottestKeys::take() {
  std::ranges::sort_heap(places_, is_hotter);
  std::vector<Key> keys;
  keys.reserve(places_.size());
  for (Place& place : std::exchange(places_, {})) keys.push_back(std::move(place.key));
  return keys;
}

}  // namespace nearlane::tier
