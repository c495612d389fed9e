#include "core/l2/redis/redis_backend.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core/cohere/hint.h"
#include "core/l2/redis/connection.h"
#include "core/l2/redis/tracking_table.h"

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;

/// Untracked connections a loop. They carry commands with several keys, one client waiting for
/// each.
constexpr unsigned kWidePerLoop = 2;

/// For the connection to be made, and two commands.
constexpr Duration kTableTimeout = std::chrono::seconds(5);

/// A hint that comes later than this is of no use: the session was asked for by then, or will not be.
constexpr Duration kHintTimeout = std::chrono::milliseconds(500);

/// The connections of one loop and the timer that drives them all.
class LoopShare : public std::enable_shared_from_this<LoopShare> {
 public:
  explicit LoopShare(asio::io_context& loop) : loop_(loop), timer_(loop) {}

  void add(std::shared_ptr<Connection> connection) {
    connections_.push_back(std::move(connection));
  }

  void start() {
    asio::post(loop_, [self = shared_from_this()] { self->run(); });
  }

  void stop() {
    asio::post(loop_, [self = shared_from_this()] {
      self->stopped_ = true;
      self->timer_.cancel();
    });
    for (const auto& connection : connections_) connection->stop();
  }

 private:
  void run() {
    if (stopped_ || connections_.empty()) return;
    const TimePoint now = Clock::now();
    for (const auto& connection : connections_) connection->tick(now);
    timer_.expires_after(connections_.front()->tick_period());
    timer_.async_wait([self = shared_from_this()](boost::system::error_code) { self->run(); });
  }

  asio::io_context& loop_;
  asio::steady_timer timer_;
  std::vector<std::shared_ptr<Connection>> connections_;
  bool stopped_ = false;
};

class RedisBackend final : public L2Backend {
 public:
  RedisBackend(const RedisUrl& url, const L2Config& config,
               std::span<asio::io_context* const> loops)
      : url_(url),
        config_(config),
        loops_(loops.begin(), loops.end()),
        views_(std::max(config.pool, 1U)),
        wide_views_(kWidePerLoop * loops.size()) {}

  ~RedisBackend() override { stop(); }

  [[nodiscard]] std::string_view name() const noexcept override { return "redis"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return {.coherence = coherent_.load(std::memory_order_relaxed) ? "lanes" : "none",
            .lease = config_.lease,
            .every_command = true,
            .default_db = url_.db};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }

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
    // A lane that is just reconnecting must not take the whole instance out of its balancer.
    health.ready = health.lanes_up * 2 > health.lanes;
    if (health.lanes_up == health.lanes) health.detail = url_.host + ":" + url_.port;
    if (health.detail.empty()) health.detail = "connecting to " + url_.host + ":" + url_.port;
    return health;
  }

  void start(Listener& listener) override {
    cohere::LaneConfig lane{.lease = config_.lease,
                            .lane_dead = config_.lane_dead,
                            .max_calls = config_.lane_queue,
                            .user = url_.user,
                            .password = url_.password};
    for (auto* loop : loops_) shares_.push_back(std::make_shared<LoopShare>(*loop));
    // A key that no other process picks, and no other lane.
    std::random_device random;
    const std::string probe = fmt::format("nearlane:probe:{:08x}{:08x}:", std::uint32_t{random()},
                                          std::uint32_t{random()});
    for (std::size_t i = 0; i < views_.size(); ++i) {
      lane.probe_key = probe + std::to_string(i);
      lanes_.push_back(connect(i, lane, views_[i], listener));
    }
    lane.probe_key.clear();
    lane.tracked = false;
    lane.client_name = "nearlane-wide";
    for (std::size_t i = 0; i < wide_views_.size(); ++i) {
      wide_.push_back(connect(i, lane, wide_views_[i], listener));
    }
    if (config_.hints) {
      // Alone on its connection: a hint is small, and must not stand behind commands of many keys.
      lane.client_name = "nearlane-hints";
      lane.subscribe = cohere::kHintChannel;
      hints_ = connect(0, lane, hint_view_, listener);
    }
    for (const auto& share : shares_) share->start();
    spdlog::info("l2: {} lanes to redis at {}:{}, lease {} ms", views_.size(), url_.host, url_.port,
                 config_.lease / std::chrono::milliseconds(1));
  }

  void submit(std::unique_ptr<Call> call) noexcept override {
    if (stopped_.load(std::memory_order_relaxed)) {
      const Answer answer = Answer::failed(Errc::shutting_down, "the server is stopping");
      call->settle(answer);
      return call->complete(answer);
    }
    const Command& command = call->command;
    if (command.wide) {
      wide_[next_wide_.fetch_add(1, std::memory_order_relaxed) % wide_.size()]->submit(
          std::move(call));
    } else {
      const std::size_t lane =
          command.lane.value_or(cohere::lane_of(command.key.hash, lanes_.size()));
      lanes_[lane]->submit(std::move(call));
    }
  }

  void hint(std::string_view what) noexcept override {
    if (!hints_ || stopped_.load(std::memory_order_relaxed)) return;
    hints_->submit(
        std::make_unique<cohere::Publish>(std::string(what), Clock::now() + kHintTimeout));
  }

  void stop() noexcept override {
    if (stopped_.exchange(true)) return;
    for (const auto& share : shares_) share->stop();
  }

 private:
  std::shared_ptr<Connection> connect(std::size_t i, const cohere::LaneConfig& lane,
                                      cohere::LaneView& view, Listener& listener) {
    const std::size_t loop = i % loops_.size();
    auto connection = std::make_shared<Connection>(*loops_[loop], url_, config_.connect_timeout,
                                                   lane, view, listener, [this, i] { judge(i); });
    shares_[loop]->add(connection);
    return connection;
  }

  /// Why a lane is not believed in; empty: none is known to be unreliable.
  [[nodiscard]] std::string distrust() const {
    for (const auto& lane : lanes_) {
      if (lane->verdict() == Connection::Verdict::refuted) return lane->distrust();
    }
    return {};
  }

  /// A lane was probed on its new connection: says so, if that changes the mode in force.
  void judge(std::size_t lane) {
    // One asks for all; asked again after each reconnect, since it may be another Redis.
    if (lane == 0 && lanes_[0]->verdict() == Connection::Verdict::proven) {
      check_tracking_table(*this, Clock::now() + kTableTimeout);
    }
    const std::lock_guard lock(judging_);
    const std::string reason = distrust();
    const bool was = coherent_.exchange(reason.empty(), std::memory_order_relaxed);
    const bool first = !std::exchange(judged_, true);
    if (reason.empty() && (first || !was)) {
      spdlog::info("l2: redis at {}:{} announces changes: L1 serves, nothing older than {} ms",
                   url_.host, url_.port, config_.lease / std::chrono::milliseconds(1));
    } else if (!reason.empty() && (first || was)) {
      spdlog::warn(
          "l2: redis at {}:{} does not prove that it announces changes: {}. Where it does not, L1 "
          "serves "
          "nothing and every read goes to L2; it is tried again every few seconds",
          url_.host, url_.port, reason);
    }
  }

  const RedisUrl url_;
  const L2Config config_;
  const std::vector<asio::io_context*> loops_;
  std::vector<cohere::LaneView> views_;
  std::vector<cohere::LaneView> wide_views_;
  cohere::LaneView hint_view_;
  std::vector<std::shared_ptr<LoopShare>> shares_;
  std::vector<std::shared_ptr<Connection>> lanes_;
  std::vector<std::shared_ptr<Connection>> wide_;
  std::shared_ptr<Connection> hints_;  // null: nobody asked for them
  std::atomic<std::size_t> next_wide_{0};
  std::atomic<bool> stopped_{false};
  std::mutex judging_;
  bool judged_ = false;                // under judging_
  std::atomic<bool> coherent_{false};  // some lane is proven, and none refuted
};

}  // namespace

std::unique_ptr<L2Backend> make_redis_backend(const RedisUrl& url, const L2Config& config,
                                              std::span<asio::io_context* const> loops) {
  return std::make_unique<RedisBackend>(url, config, loops);
}

}  // namespace nearlane::l2
