#include "core/l2/redis/sentinels.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace nearlane::l2 {

Sentinels::Sentinels(Route& route) : route_(route), said_(route.url().sentinels.size()) {}

void Sentinels::tell(std::size_t which, std::uint64_t epoch, Endpoint master, TimePoint now) {
  Said& said = said_[which];
  if (said.last == TimePoint::min() || said.epoch != epoch || said.master != master)
    said = {.master = std::move(master), .epoch = epoch, .first = now};
  said.last = now;
  said.useless = false;
  const auto credit = [now](const Said& each) {
    const bool counts = each.last != TimePoint::min() && now - each.last <= kCounts;
    return std::tuple(counts, each.epoch, each.first);
  };
  route_.move_to(std::ranges::max(said_, {}, credit).master);
}

void Sentinels::give_up(std::size_t which, const std::string& why) {
  said_[which].useless = true;
  if (!std::ranges::all_of(said_, &Said::useless)) return;
  route_.lose("no sentinel says where the master '" + url().master +
              "' is; the last one asked was " + url().sentinels[which].to_string() + ": " + why);
}

std::uint64_t Sentinels::doubts() noexcept {
  if (route_.take_doubt()) ++doubts_;
  return doubts_;
}

}  // namespace nearlane::l2
