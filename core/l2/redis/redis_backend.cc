#include "core/l2/redis/redis_backend.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core/cohere/channel.h"
#include "core/cohere/hint.h"
#include "core/l2/redis/connection.h"
#include "core/l2/redis/loop_share.h"
#include "core/l2/redis/sentinel_watch.h"
#include "core/l2/redis/sentinels.h"
#include "core/l2/redis/settings.h"

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;

/// Untracked connections a loop. They carry commands with several keys, one client waiting for
/// each.
constexpr unsigned kWidePerLoop = 2;

/// And connections a loop that compare before they write: each for one caller at a time, while it waits for two
/// replies.
constexpr unsigned kComparingPerLoop = 2;

/// Beside those, where some keys have lanes of their own, for comparisons of these keys. A large value is read and written
/// in one comparison, and whatever else the connection is asked for waits.
constexpr unsigned kComparingBulkPerLoop = 2;

/// For the connection to be made, and two commands.
constexpr Duration kSettingsTimeout = std::chrono::seconds(5);

/// A hint that comes later than this is of no use: the session was asked for by then, or will not be.
constexpr Duration kHintTimeout = std::chrono::milliseconds(500);

class RedisBackend final : public L2Backend {
 public:
  RedisBackend(std::shared_ptr<Route> route, const L2Config& config,
               std::span<asio::io_context* const> loops)
      : route_(std::move(route)),
        config_(config),
        loops_(loops.begin(), loops.end()),
        views_(std::max(config.pool, 1U)),
        bulk_{.lanes = config.bulk_lanes, .has = config.is_bulk},
        comparing_bulk_{.lanes = kComparingBulkPerLoop * loops_.size(), .has = config.is_bulk},
        lane_map_(views_.size(), nullptr, has_bulk() ? &bulk_ : nullptr),
        comparing_map_(kComparingPerLoop * loops_.size() + (has_bulk() ? comparing_bulk_.lanes : 0),
                       nullptr, has_bulk() ? &comparing_bulk_ : nullptr) {
    // No key changes its lane, so epochs may meet. That they do not makes it a miss if one ever should.
    for (std::size_t i = 0; i < views_.size(); ++i)
      views_[i].begin_at(static_cast<Epoch>(1 + UINT32_MAX / views_.size() * i));
    std::random_device random;
    announcements_.origin = std::uint64_t{random()} << 32U | random();
    announcements_.l1_ttl = config.unannounced_ttl;
    announcements_.incarnations = std::vector<std::atomic<std::uint64_t>>(views_.size());
  }

  ~RedisBackend() override { stop(); }

  [[nodiscard]] std::string_view name() const noexcept override { return "redis"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    const Form mode = mode_.load(std::memory_order_relaxed);
    const bool may_be_silent = mode == Form::unknown || mode == Form::unvouched;
    // The mode's name would not do: it says "none" as soon as one lane is not to be trusted, while the others announce.
    const bool announces =
        !alone() && announcements_.need.load(std::memory_order_relaxed) != Need::no;
    return {.coherence = name_of(mode),
            .lease = alone() ? Duration::zero() : config_.lease,
            .untold = may_be_silent && !alone() ? config_.unannounced_ttl : Duration::zero(),
            .every_command = true,
            .evicts = true,
            .default_db = route_->url().db,
            .announces = announces,
            .outlives = true,
            .in_line = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }
  [[nodiscard]] const cohere::BulkLanes* bulk() const noexcept override {
    return has_bulk() ? &bulk_ : nullptr;
  }

  [[nodiscard]] Health health() const override {
    Health health{.lanes = static_cast<unsigned>(views_.size())};
    for (const auto& lane : lanes_) {
      if (lane->up()) {
        ++health.lanes_up;
      } else if (health.detail.empty()) {
        health.detail = lane->trouble();
      }
    }
    health.distrust = distrust();
    if (health.distrust.empty() && mode_ == Form::announced && !channel_->up())
      health.distrust = "nobody hears what other instances announce: " + channel_->trouble();
    health.gaps = heard_ == nullptr ? 0 : heard_->gaps();
    // A lane that is just reconnecting must not take the whole instance out of its balancer.
    health.ready = health.lanes_up * 2 > health.lanes;
    if (health.lanes_up == health.lanes) health.detail = route_->where();
    if (health.detail.empty()) health.detail = "connecting to " + route_->where();
    return health;
  }

  void start(Listener& listener) override {
    for (auto* loop : loops_)
      shares_.push_back(std::make_shared<LoopShare>(*loop, cohere::tick_period(config_.lease)));
    cohere::LaneConfig lane{.lease = config_.lease,
                            .lane_dead = config_.lane_dead,
                            .max_calls = config_.lane_queue,
                            .coherence = config_.coherence,
                            .announcements = alone() ? nullptr : &announcements_,
                            .user = route_->url().user,
                            .password = route_->url().password};
    for (std::size_t i = 0; i < views_.size(); ++i) {
      if (lane_map_.is_bulk(i)) lane.client_name = "nearlane-bulk";
      // A key that no other process picks, and no other lane.
      lane.probe_key = fmt::format("nearlane:probe:{:016x}:{}", announcements_.origin, i);
      lanes_.push_back(connect(i, lane, views_[i], listener, [this, i] { judge(i); }));
    }
    lane.probe_key.clear();
    lane.tracked = false;
    lane.client_name = "nearlane-wide";
    for (std::size_t i = 0; i < kWidePerLoop * loops_.size(); ++i)
      wide_.push_back(connect_outside(i, lane, listener));
    lane.client_name = "nearlane-comparing";
    for (std::size_t i = 0; i < comparing_map_.lanes(); ++i)
      comparing_.push_back(connect_outside(i, lane, listener));
    start_aside(lane, listener);
    if (route_->may_move()) watch_sentinels();
    for (const auto& share : shares_) share->start();
    const std::string bulk = has_bulk() ? fmt::format(" ({} of them bulk)", bulk_.lanes) : "";
    spdlog::info("l2: {} lanes{} to redis at {}, lease {} ms", views_.size(), bulk, where(),
                 config_.lease / std::chrono::milliseconds(1));
  }

  [[nodiscard]] std::shared_ptr<Route> route() const noexcept override { return route_; }

  void submit(std::unique_ptr<Call> call) noexcept override {
    if (stopped_.load(std::memory_order_relaxed)) {
      const Answer answer = Answer::failed(Errc::shutting_down, "the server is stopping");
      call->settle(answer);
      return call->complete(answer);
    }
    const Command& command = call->command;
    if (command.op == Op::announce) {
      aside_->submit(std::move(call));
    } else if (command.op == Op::compare) {
      // Those of one key by one connection, so that they do not overtake each other in vain.
      comparing_[comparing_map_.of(command.key.ref())]->submit(std::move(call));
    } else if (command.wide) {
      wide_[next_wide_.fetch_add(1, std::memory_order_relaxed) % wide_.size()]->submit(
          std::move(call));
    } else {
      const std::size_t lane = command.lane ? *command.lane : lane_map_.of(command.key.ref());
      lanes_[lane]->submit(std::move(call));
    }
  }

  void hint(std::string_view what) noexcept override {
    if (!config_.hints || stopped_.load(std::memory_order_relaxed)) return;
    aside_->submit(
        std::make_unique<cohere::Publish>(std::string(what), Clock::now() + kHintTimeout));
  }

  void stop() noexcept override {
    if (stopped_.exchange(true)) return;
    for (const auto& share : shares_) share->stop();
  }

 private:
  using Form = cohere::Lane::Form;
  using Need = cohere::Announcements::Need;

  [[nodiscard]] std::string where() const { return route_->where(); }
  [[nodiscard]] bool has_bulk() const noexcept { return bulk_.lanes != 0; }
  [[nodiscard]] bool alone() const noexcept { return config_.coherence == cohere::Coherence::none; }
  static std::string_view name_of(Form mode) noexcept {
    switch (mode) {
      case Form::tracked:
        return "lanes";
      case Form::announced:
        return "pubsub";
      case Form::alone:
        return "local";
      default:
        return "none";
    }
  }

  std::shared_ptr<LaneConnection> connect(std::size_t i, cohere::LaneConfig lane,
                                          cohere::LaneView& view, Listener& listener,
                                          std::function<void()> on_form) {
    const std::size_t loop = i % loops_.size();
    lane.announcer = next_announcer_++;
    auto connection = std::make_shared<LaneConnection>(
        *loops_[loop], route_, config_.connect_timeout, lane, view, listener, std::move(on_form));
    shares_[loop]->add(connection);
    return connection;
  }

  /// One whose view nobody looks at.
  std::shared_ptr<LaneConnection> connect_outside(std::size_t i, const cohere::LaneConfig& lane,
                                                  Listener& listener) {
    return connect(i, lane, outside_views_.emplace_back(), listener, [] {});
  }

  /// Alone on its connection: hints, heartbeats and announcements are small, and must not stand behind commands
  /// of many keys. And the channel, which connects only where writers announce.
  void start_aside(cohere::LaneConfig lane, Listener& listener) {
    if (alone() && !config_.hints) return;
    lane.client_name = "nearlane-aside";
    if (config_.hints) lane.subscribe = cohere::kHintChannel;
    aside_ = connect_outside(0, lane, listener);
    if (alone()) return;
    auto channel =
        std::make_unique<cohere::Channel>(cohere::ChannelConfig{.lease = config_.lease,
                                                                .dead = config_.lane_dead,
                                                                .user = route_->url().user,
                                                                .password = route_->url().password},
                                          announcements_, listener);
    heard_ = channel.get();
    channel_ = std::make_shared<Connection>(*loops_[0], route_, config_.connect_timeout,
                                            std::move(channel), [this](TimePoint now) {
                                              if (auto beat = heard_->heartbeat(now))
                                                aside_->submit(std::move(beat));
                                            });
    shares_[0]->add(channel_);
  }

  /// Each sentinel is asked over one connection, whatever is asked of Redis.
  void watch_sentinels() {
    sentinels_.emplace(*route_);
    const auto& servers = route_->url().sentinels;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      shares_[0]->add(std::make_shared<Connection>(
          *loops_[0], std::make_shared<Route>(RedisUrl{.server = servers[i]}, nullptr),
          config_.connect_timeout, std::make_unique<SentinelWatch>(*sentinels_, i)));
    }
  }

  /// Why a lane vouches for nothing; empty: none is known to be unreliable.
  [[nodiscard]] std::string distrust() const {
    for (const auto& lane : lanes_) {
      if (lane->form() == Form::unvouched) return lane->distrust();
    }
    return {};
  }

  /// It was found out what vouches for a lane's new connection: says so, if that changes the mode in force.
  void judge(std::size_t lane) {
    const Form form = lanes_[lane]->form();
    // One asks for all; asked again after each reconnect, since it may be another Redis.
    if (lane == 0 && form == Form::tracked) check_settings(*this, Clock::now() + kSettingsTimeout);
    const std::lock_guard lock(judging_);
    const std::string reason = distrust();
    const Form mode = reason.empty() ? form : Form::unvouched;
    if (mode_.exchange(mode, std::memory_order_relaxed) == mode) return;
    const auto lease = config_.lease / std::chrono::milliseconds(1);
    switch (mode) {
      case Form::tracked:
        return spdlog::info(
            "l2: redis at {} announces changes: L1 serves, nothing older than {} ms", where(),
            lease);
      case Form::announced:
        return spdlog::warn(
            "l2: redis at {} does not announce changes, so instances tell each other (pubsub): "
            "L1 serves "
            "nothing older than {} ms of what an instance wrote, and than {} ms (pubsub_ttl) of "
            "what anybody else "
            "wrote. All instances of this store have to reach it in the same way",
            where(), lease, config_.unannounced_ttl / std::chrono::milliseconds(1));
      case Form::alone:
        return spdlog::warn(
            "l2: nobody is listened to (coherence = none): L1 is right only while this instance "
            "alone writes to "
            "redis at {}",
            where());
      default:
        return spdlog::warn(
            "l2: redis at {} does not prove that it announces changes: {}. Where it does not, "
            "L1 "
            "serves nothing and every read goes to L2; it is tried again every few seconds",
            where(), reason);
    }
  }

  const std::shared_ptr<Route> route_;
  const L2Config config_;
  const std::vector<asio::io_context*> loops_;
  std::vector<cohere::LaneView> views_;
  const cohere::BulkLanes bulk_;
  const cohere::BulkLanes comparing_bulk_;
  const cohere::LaneMap lane_map_;
  const cohere::LaneMap comparing_map_;
  std::deque<cohere::LaneView> outside_views_;
  cohere::Announcements announcements_;
  std::vector<std::shared_ptr<LoopShare>> shares_;
  std::vector<std::shared_ptr<LaneConnection>> lanes_;
  std::vector<std::shared_ptr<LaneConnection>> wide_;
  std::vector<std::shared_ptr<LaneConnection>> comparing_;
  std::shared_ptr<LaneConnection> aside_;  // null: nobody needs it
  std::shared_ptr<Connection> channel_;    // null: nobody announces anything
  cohere::Channel* heard_ = nullptr;       // the channel's own
  std::optional<Sentinels> sentinels_;     // where they say where the master is
  std::uint32_t next_announcer_ = 0;
  std::atomic<std::size_t> next_wide_{0};
  std::atomic<bool> stopped_{false};
  std::mutex judging_;
  std::atomic<Form> mode_{
      Form::unknown};  // unvouched where one lane is, else as the last lane found
};

}  // namespace

std::unique_ptr<L2Backend> make_redis_backend(std::shared_ptr<Route> route, const L2Config& config,
                                              std::span<asio::io_context* const> loops) {
  return std::make_unique<RedisBackend>(std::move(route), config, loops);
}

}  // namespace nearlane::l2
