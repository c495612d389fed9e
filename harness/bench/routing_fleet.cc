#include "harness/bench/routing_fleet.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <memory>
#include <utility>

#include "core/base/epoch.h"
#include "core/l1/l1_map.h"
#include "core/tier/sim/simulated_backend.h"
#include "core/tier/sim/world.h"

namespace nearlane::harness {
namespace {

using sim::SimulatedBackend;
using sim::Version;
using tier::Count;

constexpr std::uint64_t kRoomBytes = std::uint64_t{1} << 30U;  // for every session of the log
constexpr Duration kPatience = std::chrono::seconds(1);        // of a request

Version version_of(const Entry* entry) noexcept {
  Version version = sim::kNone;
  if (entry == nullptr) return version;
  const std::string_view text = entry->value();
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

std::uint64_t sum(Count id) { return tier::Counts::sum(id); }

class Fleet {
 public:
  Fleet(const SessionLog& log, const RoutingPlan& plan)
      : log_(log),
        plan_(plan),
        world_(plan.seed, names(log), plan.mutant, plan.store),
        route_(plan.seed) {
    world_.heal();
    for (std::size_t i = 0; i < plan.instances; ++i) add_node();
    settle_until(world_.now + std::chrono::milliseconds(100));
  }

  RoutingCounts run() {
    const TimePoint start = world_.now;
    const std::uint64_t refreshes = sum(Count::refreshes);
    const std::uint64_t prefetches = sum(Count::prefetches);
    const std::uint64_t uses = sum(Count::background_uses);
    const std::uint64_t hints = sum(Count::hints_sent);
    const std::uint64_t confirmations = sum(Count::confirmations);
    const auto& requests = log_.requests;
    for (std::size_t i = 0; i < requests.size();) {
      const std::size_t first = i;
      while (i < requests.size() && requests[i].second == requests[first].second) ++i;
      const TimePoint second = start + std::chrono::seconds(requests[first].second);
      for (std::size_t k = first; k < i; ++k) {
        settle_until(second + Duration(std::chrono::seconds(1)) * (k - first) / (i - first));
        begin(requests[k]);
      }
    }
    settle_until(world_.now + std::chrono::seconds(2));
    counts_.l2_reads = world_.redis.reads();
    counts_.l2_bytes = world_.redis.bytes_read();
    counts_.l2_touches = world_.redis.touches();
    counts_.pushes = world_.redis.pushes();
    counts_.refreshes = sum(Count::refreshes) - refreshes;
    counts_.prefetches = sum(Count::prefetches) - prefetches;
    counts_.background_uses = sum(Count::background_uses) - uses;
    counts_.hints = sum(Count::hints_sent) - hints;
    counts_.confirmations = sum(Count::confirmations) - confirmations;
    counts_.failed = counts_.requests - answered_;
    for (auto& node : nodes_) node.tier->stop();
    return counts_;
  }

 private:
  struct Node {
    SimulatedBackend* backend = nullptr;
    std::unique_ptr<tier::TieredCache> tier = {};
  };
  struct Asked {
    const SessionRequest* request;
    Node* node;
    TimePoint at;
  };

  static std::vector<sim::ModelRedis::Name> names(const SessionLog& log) {
    std::vector<sim::ModelRedis::Name> all;
    for (const auto& name : log.names) all.push_back({.db = 0, .name = name});
    return all;
  }

  void add_node() {
    auto l1 = l1::make_l1({.map = "native", .policy = "adaptive", .bytes = kRoomBytes}).value();
    auto l2 = std::make_unique<SimulatedBackend>(
        world_, *l1,
        SimulatedBackend::Config{.hints = plan_.rules.prefetch, .stay_warm = Duration::zero()});
    Node& node = nodes_.emplace_back();
    node.backend = l2.get();
    node.tier = std::make_unique<tier::TieredCache>(
        tier::TierConfig{
            // Every name begins with nothing: the rules hold for all.
            .prefixes = {{.match = "", .rules = plan_.rules}},
            .lease = sim::kLease,
            .now = [this] { return world_.now; },
            .after = [this](Duration delay,
                            std::function<void()> task) { world_.after(delay, std::move(task)); },
            .refresh = plan_.refresh},
        std::move(l1), std::move(l2));
    node.tier->start();
  }

  /// Lets happen what happens before `end`. No ticks: on a calm network nothing is overdue, and a lane whose lease
  /// has run out is confirmed when it is asked.
  void settle_until(TimePoint end) {
    while (true) {
      flush();
      TimePoint next = world_.next();
      for (const Node& node : nodes_) next = std::min(next, node.backend->next());
      if (next > end) break;
      world_.now = std::max(world_.now, next);
      world_.advance();
      for (const Node& node : nodes_) node.backend->advance();
    }
    world_.now = std::max(world_.now, end);
    epoch::collect();
  }
  void flush() {
    for (const Node& node : nodes_) node.backend->flush();
  }

  [[nodiscard]] KeyRef key_of(const SessionRequest& request) const {
    return {0, log_.names[request.session]};
  }

  void begin(const SessionRequest& request) {
    ++counts_.requests;
    Node& node = nodes_[route_.below(static_cast<std::uint32_t>(nodes_.size()))];
    const Asked asked{&request, &node, world_.now};
    {
      const epoch::Guard guard;
      if (const Entry* entry = node.tier->find(key_of(request), world_.now)) {
        return found(asked, version_of(entry), tier::Source::l1);
      }
    }
    node.tier->get(Key(key_of(request)), tier::ReadFrom::l1_first, world_.now + kPatience,
                   [this, asked](const Result<tier::Lookup>& looked) {
                     if (!looked) return;
                     found(asked, version_of(looked->entry.get()), looked->source);
                   });
  }

  void found(const Asked& asked, Version version, tier::Source source) {
    ++answered_;
    const SessionRequest& request = *asked.request;
    if (!world_.history.may_answer(request.session, version, asked.at, world_.now, sim::kLease,
                                   sim::kStartPlace))
      ++counts_.not_allowed;
    if (version == sim::kNone) {
      ++counts_.began;
      if (seen(request)) ++counts_.ended_early;
    } else if (source == tier::Source::l1) {
      ++counts_.l1_hits;
    }
    if (version == sim::kNone || request.writes) return store(asked);
    touch(asked);
  }

  /// Whether the log asked for the session before, less than its TTL ago.
  [[nodiscard]] bool seen(const SessionRequest& request) {
    last_.resize(log_.names.size(), -1);
    const auto second = static_cast<std::int64_t>(request.second);
    const std::int64_t before = last_[request.session];
    return before >= 0 && std::chrono::seconds(second - before) < plan_.ttl;
  }

  void touch(const Asked& asked) {
    const KeyRef key = key_of(*asked.request);
    note(*asked.request);
    {
      const epoch::Guard guard;
      if (asked.node->tier->slide(key, plan_.ttl, world_.now)) return;
    }
    // As a session store says it over RESP.
    asked.node->tier->touch(
        key, {"PEXPIRE", std::string(key.name), std::to_string(plan_.ttl.count())},
        world_.now + kPatience, [](const Result<protocol::Reply>&) {}, plan_.ttl);
  }

  void store(const Asked& asked) {
    note(*asked.request);
    std::string value = std::to_string(++versions_);
    value.resize(std::max<std::size_t>(value.size(), asked.request->bytes), '.');
    asked.node->tier->set(key_of(*asked.request), value, {.expiry = tier::Expiry::in(plan_.ttl)},
                          world_.now + kPatience, [](const Result<tier::StoreOutcome>&) {});
  }

  void note(const SessionRequest& request) {
    last_.resize(log_.names.size(), -1);
    last_[request.session] = static_cast<std::int64_t>(request.second);
  }

  const SessionLog& log_;
  const RoutingPlan plan_;
  sim::World world_;
  sim::Random route_;
  std::deque<Node> nodes_;  // that stay where they are
  std::vector<std::int64_t> last_;
  Version versions_ = sim::kNone;
  std::uint64_t answered_ = 0;
  RoutingCounts counts_;
};

}  // namespace

RoutingCounts run_routing(const SessionLog& log, const RoutingPlan& plan) {
  return Fleet(log, plan).run();
}

}  // namespace nearlane::harness
