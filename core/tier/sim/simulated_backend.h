// SimulatedBackend: the L2 of one instance: real lanes over a simulated network.
//
// One lane, and, where the configuration says so, one connection outside the lanes for commands with several
// keys or none, one aside for what is small (hints, heartbeats), and a channel. It does with them what l2/redis does with a socket: connects, hands bytes over, closes what is broken,
// comes back after a while. Its loop is the instance's first; what other loops submit is posted, so
// that it arrives later, behind what was submitted meanwhile.
//
// Threads:   one owner; `loop` says on which loop the simulation is just now.
// Lifetime:  the world outlives it, and so does the map, which only mutants use.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/cohere/channel.h"
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
    bool announced =
        false;  // the store tells nothing: a channel, and one connection for its heartbeats
    Duration stay_warm = kLease * 2;
  };
  enum class Role : std::uint8_t { lane, wide, aside, channel };
  SimulatedBackend(World& world, l1::L1Map& map, const Config& config);
  ~SimulatedBackend() override;

  [[nodiscard]] std::string_view name() const noexcept override { return "simulated"; }
  [[nodiscard]] l2::Capabilities capabilities() const noexcept override {
    return {.coherence = config_.announced ? "pubsub" : "lanes",
            .lease = kLease,
            .every_command = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return seen_; }
  [[nodiscard]] l2::Health health() const override {
    return {.lanes = 1, .lanes_up = link(Role::lane).up ? 1U : 0U};
  }
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
  /// Null while there is none.
  [[nodiscard]] Connection* connection(Role role) const noexcept;

  [[nodiscard]] std::uint64_t fetches() const noexcept { return fetches_; }
  [[nodiscard]] std::uint64_t losses() const noexcept { return losses_; }

  /// Mutant::join_cancelled: joins a young fetch of the key, cancelled or not.
  bool join(const KeyRef& key, tier::TieredCache::GetHandler& done);

  unsigned loop = 0;

 private:
  friend class MutantCall;
  /// Carries a conversation, as l2::Connection does.
  struct Link final : Reader {
    Link(SimulatedBackend& owner, std::unique_ptr<cohere::Conversation> what, bool used);
    void received(std::string_view bytes) override;
    void ended() override;
    void advance(TimePoint now);
    void tick(TimePoint now);
    void close(const Error& why);
    void flush();
    [[nodiscard]] TimePoint next() const noexcept { return std::min(connect_at, connected_at); }

    SimulatedBackend& backend;
    const std::unique_ptr<cohere::Conversation> conversation;
    const bool used;  // in this schedule
    Connection* connection = nullptr;
    TimePoint connect_at = kForever;
    TimePoint connected_at = kForever;
    TimePoint ready_by = kForever;
    bool up = false;
  };

  [[nodiscard]] Link& link(Role role) noexcept { return *links_[static_cast<std::size_t>(role)]; }
  [[nodiscard]] const Link& link(Role role) const noexcept {
    return *links_[static_cast<std::size_t>(role)];
  }
  cohere::Lane& lane(Role role) noexcept {
    return static_cast<cohere::Lane&>(*link(role).conversation);
  }
  std::unique_ptr<cohere::Lane> make_lane(Role role, cohere::LaneView& view);
  void invalidate(std::string_view name) noexcept override;
  void hinted(std::string_view hint) noexcept override;
  void hand_over(std::unique_ptr<l2::Call> call);
  void show_view();
  void show_channel();

  World& world_;
  l1::L1Map& map_;
  const Config config_;
  l2::Listener* listener_ = nullptr;
  std::array<cohere::LaneView, 1> seen_;  // by readers
  cohere::LaneView kept_;                 // Mutant::late_bump: by the lane alone
  cohere::LaneView outside_;
  cohere::LaneView aside_;
  cohere::Announcements announcements_;  // as the lanes see them
  cohere::Announcements heard_;          // Mutant::silent_resubscription: as the channel does
  cohere::Channel* channel_ = nullptr;
  Epoch looked_at_ = cohere::kNoEpoch;        // of the channel, by the lane
  std::array<std::optional<Link>, 4> links_;  // by Role
  std::deque<std::pair<TimePoint, std::unique_ptr<l2::Call>>> posted_;
  std::vector<MutantCall*> fetching_;  // Mutant::join_cancelled
  bool unread_ = false;  // Mutant::late_bump: the new connection has answered no read yet
  std::uint64_t fetches_ = 0;
  std::uint64_t losses_ = 0;
};

}  // namespace nearlane::sim
