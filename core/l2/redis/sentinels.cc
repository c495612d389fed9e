#include "core/l2/redis/sentinels.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <spdlog/spdlog.h>

namespace nearlane::l2 {

Sentinels::Sentinels(Route& route) : route_(route), said_(route.url().sentinels.size()) {}

void Sentinels::tell(std::size_t which, std::uint64_t epoch, Endpoint master, TimePoint now) {
  Said& said = said_[which];
  if (said.epoch != epoch || said.master != master) {
    if (said.last != TimePoint::min()) said.changed = now;
    said.epoch = epoch;
    said.master = std::move(master);
  }
  said.last = now;
  said.useless = false;
  const std::uint64_t version = route_.version();
  route_.move_to(believed(now));
  if (route_.version() != version)
    spdlog::warn("l2: the master '{}' is at {}", url().master, route_.where());
}

const Endpoint& Sentinels::believed(TimePoint now) const {
  const auto counts = [now](const Said& each) {
    return each.last != TimePoint::min() && now - each.last <= kCounts;
  };
  const auto current = route_.server();
  const auto credit = [&](const Said& each) {
    const auto agree = std::ranges::count_if(said_, [&](const Said& other) {
      return counts(other) && other.epoch == each.epoch && other.master == each.master;
    });
    // Last, so that a server of two names is not left for its other one.
    const bool stays = current.has_value() && *current == each.master;
    return std::tuple(counts(each), each.epoch, agree, each.changed, stays);
  };
  return std::ranges::max_element(said_, {}, credit)->master;
}

void Sentinels::give_up(std::size_t which, const std::string& why) {
  const std::string name = url().sentinels[which].to_string();
  if (!std::exchange(said_[which].useless, true))
    spdlog::warn("l2: sentinel {} does not say where the master is: {}", name, why);
  if (!std::ranges::all_of(said_, &Said::useless)) return;
  const bool first = route_.version() == 0;
  route_.lose("no sentinel says where the master '" + url().master +
              "' is; the last one asked was " + name + ": " + why);
  if (first) spdlog::warn("l2: {}", route_.server().error().detail);
}

std::uint64_t Sentinels::doubts() noexcept {
  if (route_.take_doubt()) ++doubts_;
  return doubts_;
}

}  // namespace nearlane::l2
