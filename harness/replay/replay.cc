#include "harness/replay/replay.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"

namespace nearlane::harness {
namespace {

/// The null twin: a bound from below, and no policy that anyone compares.
constexpr std::string_view kNoPolicy = "none";
/// In objects a budget of this much an entry, beside its name, is never the limit. Unit: bytes.
constexpr std::uint64_t kAmplePerEntry = 4096;
constexpr std::uint64_t kMostObjects = LogLimits{}.requests;  // more cannot come
constexpr std::uint64_t kAmple = std::uint64_t{64} << 20U;
/// As many as a server looks at in a second: 2000 ten times.
constexpr std::size_t kSweepPerSecond = 20'000;

TimePoint at(std::uint32_t second) {
  return second == kNoDeadline ? kForever : TimePoint(std::chrono::seconds(second));
}

l1::L1Config config_of(const ReplayCase& wanted, const RequestLog& log) {
  l1::L1Config config{.map = wanted.map, .policy = wanted.policy, .bytes = wanted.capacity};
  if (wanted.unit == Unit::objects) {
    // Twice the name, as an allocator may round it.
    const std::uint64_t entry = kAmplePerEntry + 2 * log.longest_name;
    config.bytes = std::max(kAmple, std::min(wanted.capacity, kMostObjects) * entry);
    config.entries = wanted.capacity;
  }
  return config;
}

/// One cache and the trace's clock.
class Run {
 public:
  Run(const RequestLog& log, l1::L1Map& map, bool whole_values)
      : log_(log), map_(map), values_(whole_values ? log.largest_value : 1, 'v') {}

  std::uint64_t misses() {
    for (const auto& request : log_.requests) {
      if (log_.expires && request.second > second_) {
        // A sweep ends where nothing that has expired is left, however long the gap was.
        const std::size_t passed = request.second - second_;
        second_ = request.second;
        map_.sweep(at(second_), passed * kSweepPerSecond);
      }
      apply(request);
    }
    return misses_;
  }

 private:
  void apply(const Request& request) {
    switch (request.kind) {
      case Request::Kind::read:
      case Request::Kind::cold_read:
      case Request::Kind::dead_read:
        read(request);
        break;
      case Request::Kind::write:
        put(request);
        break;
      case Request::Kind::touch: {
        const epoch::Guard guard;
        const Entry* entry = map_.find(log_.keys[request.key]);
        if (!fresh(entry)) break;
        const bool earlier = at(request.deadline) < entry->deadline();
        entry->set_deadline(at(request.deadline));
        if (earlier) map_.reschedule(*entry);
        break;
      }
      case Request::Kind::erase:
        map_.erase(log_.keys[request.key]);
        break;
    }
  }

  void read(const Request& request) {
    bool stale = false;
    {
      const epoch::Guard guard;
      const Entry* entry = map_.find(log_.keys[request.key]);
      if (fresh(entry)) return;
      stale = entry != nullptr;
    }
    ++misses_;
    if (request.kind != Request::Kind::dead_read) {
      put(request);
    } else if (stale) {
      map_.erase(log_.keys[request.key]);
    }
  }

  void put(const Request& request) {
    const std::string_view value(values_.data(),
                                 std::min<std::size_t>(request.bytes, values_.size()));
    map_.put(Entry::build(log_.keys[request.key], value, at(request.deadline), 0));
  }

  [[nodiscard]] bool fresh(const Entry* entry) const noexcept {
    return entry != nullptr && at(second_) < entry->deadline();
  }

  const RequestLog& log_;
  l1::L1Map& map_;
  std::string values_;
  std::uint32_t second_ = 0;
  std::uint64_t misses_ = 0;
};

/// What the map charges for an entry, as it says itself, with the registry's first policy, the null
/// twin, which keeps no table.
class CostProbe {
 public:
  CostProbe(const RequestLog& log, std::unique_ptr<l1::L1Map> map)
      : log_(log), map_(std::move(map)), values_(log.largest_value, 'v') {}

  std::uint64_t operator()(const Request& request) {
    const auto& key = log_.keys[request.key];
    auto& cost = known_[std::pair(key.name.size(), request.bytes)];
    if (cost == 0) {
      const auto before = map_->stats().bytes;
      map_->put(Entry::build(key, std::string_view(values_.data(), request.bytes), kForever, 0));
      cost = std::max<std::uint64_t>(1, map_->stats().bytes - before);
      map_->erase(key);
    }
    return cost;
  }

 private:
  const RequestLog& log_;
  std::unique_ptr<l1::L1Map> map_;
  std::string values_;
  boost::unordered_flat_map<std::pair<std::size_t, std::uint32_t>, std::uint64_t> known_;
};

}  // namespace

std::string_view to_string(Unit unit) noexcept {
  return unit == Unit::objects ? "objects" : "bytes";
}

std::vector<std::string> default_policies() {
  std::vector<std::string> names;
  for (const auto name : l1::policy_names()) {
    if (name != kNoPolicy) names.emplace_back(name);
  }
  names.emplace_back(kBelady);
  return names;
}

Result<void> check_names(const ReplayCase& wanted) {
  const bool offline = wanted.policy == kBelady;
  const auto policies = l1::policy_names();
  if (!offline && std::ranges::find(policies, wanted.policy) == policies.end()) {
    return Error{Errc::invalid_argument,
                 fmt::format("unknown policy '{}'; there are {}, {}", wanted.policy,
                             fmt::join(policies, ", "), kBelady)};
  }
  const auto map = l1::make_l1({.map = wanted.map, .policy = policies.front(), .entries = 1});
  if (!map) return map.error();
  return {};
}

Result<ReplayCount> Replayer::run(const ReplayCase& wanted) {
  if (const auto known = check_names(wanted); !known) return known.error();
  if (wanted.capacity == 0) {
    return Error{Errc::invalid_argument, "a cache of no capacity; none below 1 can be replayed"};
  }
  if (wanted.unit == Unit::bytes && log_.largest_value > kMostValueBytes) {
    return Error{
        Errc::too_large,
        fmt::format("{}: record {}: a value of {} bytes is over the limit of {} for a replay "
                    "in bytes",
                    log_.trace, log_.largest_record, log_.largest_value, kMostValueBytes)};
  }
  return wanted.policy == kBelady ? run_belady(wanted) : run_online(wanted);
}

Result<ReplayCount> Replayer::run_online(const ReplayCase& wanted) const {
  epoch::drain();  // what an earlier run left behind would count against this one's bytes
  auto map = l1::make_l1(config_of(wanted, log_));
  if (!map) return map.error();
  ReplayCount count;
  count.misses = Run(log_, **map, wanted.unit == Unit::bytes).misses();
  count.rejections = (*map)->stats().rejections;
  return count;
}

Result<ReplayCount> Replayer::run_belady(const ReplayCase& wanted) {
  if (uses_.empty()) uses_ = next_uses(log_);
  if (wanted.unit == Unit::objects) {
    return ReplayCount{.misses = belady_misses(log_, uses_, wanted.capacity)};
  }
  constexpr std::uint64_t kRoom = std::uint64_t{1} << 40U;  // any shard takes any one value
  auto map = l1::make_l1({.map = wanted.map, .policy = l1::policy_names().front(), .bytes = kRoom});
  if (!map) return map.error();
  if ((*map)->put(Entry::build(KeyRef(0, "k"), "", kForever, 0)) == l1::PutOutcome::rejected) {
    return Error{Errc::invalid_argument,
                 fmt::format("map '{}' holds nothing, so what a value takes in it is not known",
                             wanted.map)};
  }
  CostProbe cost(log_, std::move(*map));
  return ReplayCount{.misses = belady_size_misses(log_, uses_, wanted.capacity, std::ref(cost))};
}

}  // namespace nearlane::harness
