// SimulatedBackend: the L2 of one instance: real lanes over a simulated network.
//
// One lane, and, where the configuration says so, one connection outside the lanes for commands with several
// keys or none, and one for hints. It does with them what l2/redis does with a socket: connects, hands bytes over, closes what is broken,
// comes back after a while. Its loop is the instance's first; what other loops submit is posted, so
// that it arrives later, behind what was submitted meanwhile.
//
// Threads:   one owner; `loop` says on which loop the simulation is just now.
// Lifetime:  the world outlives it, and so does the map, which only mutants use.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/cohere/lane.h"
#include "core/l1/l1_map.h"
#include "core/l2/l2_backend.h"
#include "core/tier/sim/world.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::sim {

class MutantCall;

class SimulatedBackend final : public l2::L2Backend, private l2::Listener {
 public:
  struct Config {
    bool outside = false;  // a connection for commands with several keys or none
    bool hints = false;    // one for hints between instances
    Duration stay_warm = kLease * 2;
  };
  SimulatedBackend(World& world, l1::L1Map& map, const Config& config);
  ~SimulatedBackend() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "simulated"; }
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = "lanes", .lease = kLease, .every_command = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return seen_; }
  [[nodiscard]] l2::Health health() const override { return {}; }
  void start(l2::Listener& listener) override;
  void submit(std::unique_ptr<l2::Call> call) noexcept override;
  void hint(std::string_view what) noexcept override;
  void stop() noexcept override;

  /// When the next thing happens by itself, ticks left out.
  [[nodiscard]] TimePoint next() const noexcept;
  void advance();
  /// To be called every tick_period().
  void tick();
  [[nodiscard]] static Duration tick_period() noexcept { return cohere::tick_period(kLease); }
  /// Sends what the lanes have written, closes what is broken.
  void flush();
  /// All connections are up and nothing waits to be handed to them.
  [[nodiscard]] bool quiet() const noexcept;
  /// The connection of the lane, or the one outside of it; null while there is none.
  [[nodiscard]] Connection* connection(bool of_lane) const noexcept;

  [[nodiscard]] std::uint64_t fetches() const noexcept { return fetches_; }
  [[nodiscard]] std::uint64_t losses() const noexcept { return losses_; }

  /// Mutant::join_cancelled: joins a young fetch of the key, cancelled or not.
  bool join(const KeyRef& key, tier::TieredCache::GetHandler& done);

  unsigned loop = 0;

 private:
  friend class MutantCall;
  struct Link final : Reader {
    Link(SimulatedBackend& owner, const cohere::LaneConfig& config, cohere::LaneView& view)
        : backend(owner), lane(config, view, owner) {}
    void received(std::string_view bytes) override;
    void ended() override;
    void advance(TimePoint now);
    void tick(TimePoint now);
    void close(const Error& why);
    void flush();

    SimulatedBackend& backend;
    cohere::Lane lane;
    Connection* connection = nullptr;
    TimePoint connect_at = kForever;
    TimePoint connected_at = kForever;
    TimePoint ready_by = kForever;
    bool up = false;
  };

  void invalidate(std::string_view name) noexcept override;
  void hinted(std::string_view hint) noexcept override;
  template <class Do>
  void each_link(Do&& act);
  void hand_over(std::unique_ptr<l2::Call> call);
  void show_view();

  World& world_;
  l1::L1Map& map_;
  const Config config_;
  l2::Listener* listener_ = nullptr;
  std::array<cohere::LaneView, 1> seen_;  // by readers
  cohere::LaneView kept_;                 // Mutant::late_bump: by the lane alone
  cohere::LaneView outside_;
  cohere::LaneView hinting_;
  std::optional<Link> lane_;
  std::optional<Link> wide_;
  std::optional<Link> hints_;
  std::deque<std::pair<TimePoint, std::unique_ptr<l2::Call>>> posted_;
  std::vector<MutantCall*> fetching_;  // Mutant::join_cancelled
  bool unread_ = false;  // Mutant::late_bump: the new connection has answered no read yet
  std::uint64_t fetches_ = 0;
  std::uint64_t losses_ = 0;
};

}  // namespace nearlane::sim
