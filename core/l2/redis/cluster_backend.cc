#include "core/l2/redis/cluster_backend.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core/cohere/hint.h"
#include "core/l2/redis/cluster_layout.h"
#include "core/l2/redis/cluster_routes.h"
#include "core/l2/redis/cluster_watch.h"
#include "core/l2/redis/connection.h"
#include "core/l2/redis/fan_out.h"
#include "core/l2/redis/loop_share.h"
#include "core/l2/redis/settings.h"

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;

/// Untracked connections to a primary: for commands of several keys or none, and for those that compare first.
constexpr std::size_t kWidePerNode = 2;
constexpr std::size_t kComparingPerNode = 2;

/// What a slot's node did not execute is sent again after so long: by then it is known where the slot is, or a key more
/// has arrived there.
constexpr Duration kSendAgain = std::chrono::milliseconds(5);

/// As in RedisBackend.
constexpr Duration kSettingsTimeout = std::chrono::seconds(5);
constexpr Duration kHintTimeout = std::chrono::milliseconds(500);

using Lanes = std::vector<std::shared_ptr<LaneConnection>>;

void answer_with(Call& call, Answer answer) {
  call.settle(answer);
  call.complete(std::move(answer));
}

/// The untracked connections to the server of a place.
struct Node {
  std::shared_ptr<Route> route;
  Lanes wide = {};
  Lanes comparing = {};
  std::shared_ptr<LaneConnection> asking = {};  // one, so that those of a key keep their order
  std::atomic<std::size_t> next_wide{0};
};

class ClusterBackend final : public L2Backend, public ClusterRoutes {
 public:
  ClusterBackend(std::shared_ptr<Route> route, const L2Config& config,
                 std::span<asio::io_context* const> loops)
      : route_(std::move(route)),
        config_(config),
        loops_(loops.begin(), loops.end()),
        views_(std::max(config.pool, 1U)),
        lane_map_(views_.size(), &slot_lanes_),
        probe_keys_(views_.size()),
        former_(views_.size()),
        layout_(views_.size()) {
    std::random_device random;
    origin_ = std::uint64_t{random()} << 32U | random();
    for (std::size_t i = 0; i < views_.size(); ++i) {
      // As far apart as can be: they must never meet.
      views_[i].begin_at(static_cast<Epoch>(1 + UINT32_MAX / views_.size() * i));
      lane_routes_.push_back(std::make_shared<Route>(route_->url(), route_->tls(), route_->rate()));
    }
    for (std::size_t slot = 0; slot < cohere::kSlots; ++slot)
      slot_lanes_.move(static_cast<cohere::Slot>(slot), layout_.lanes_of_slots[slot]);
  }

  ~ClusterBackend() override { stop(); }

  [[nodiscard]] std::string_view name() const noexcept override { return "redis"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    const Form mode = mode_.load(std::memory_order_relaxed);
    const bool alone = config_.coherence == cohere::Coherence::none;
    std::string_view coherence = "none";
    if (mode == Form::tracked) coherence = "lanes";
    if (mode == Form::alone) coherence = "local";
    return {.coherence = coherence,
            .lease = alone ? Duration::zero() : config_.lease,
            .every_command = true,
            .evicts = false,  // TOUCH of many keys would have to be asked of each slot by itself
            .default_db = 0,
            .outlives = true,
            .in_line = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return views_; }
  [[nodiscard]] const cohere::SlotLanes* slots() const noexcept override { return &slot_lanes_; }

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
    health.ready = health.lanes_up * 2 > health.lanes;
    if (health.lanes_up == health.lanes) health.detail = where();
    if (health.detail.empty()) health.detail = "connecting to " + where();
    return health;
  }

  void start(Listener& listener) override {
    listener_ = &listener;
    for (auto* loop : loops_)
      shares_.push_back(std::make_shared<LoopShare>(*loop, cohere::tick_period(config_.lease)));
    for (std::size_t i = 0; i < views_.size(); ++i) {
      cohere::LaneConfig lane = lane_config(lane_routes_[i]);
      lane.find_probe_key = [this, i] {
        const std::lock_guard lock(mutex_);
        return probe_keys_[i];
      };
      lanes_.push_back(connect(i, lane_routes_[i], lane, views_[i], [this, i] { judge(i); }));
    }
    if (config_.hints) {
      // Any node will do: they tell each other what is published.
      aside_route_ = std::make_shared<Route>(route_->url(), route_->tls(), route_->rate());
      cohere::LaneConfig lane = outside_config(aside_route_, "nearlane-aside");
      lane.subscribe = cohere::kHintChannel;
      aside_ = connect_outside(0, aside_route_, lane);
    }
    start_watch();
    for (const auto& share : shares_) share->start();
    spdlog::info("l2: {} lanes to {}, lease {} ms", views_.size(), where(),
                 config_.lease / std::chrono::milliseconds(1));
  }

  void submit(std::unique_ptr<Call> call) noexcept override {
    if (stopped_.load(std::memory_order_relaxed)) return refuse(*call);
    const Command& command = call->command;
    if (command.op != Op::compare && !command.wide) {
      const std::size_t lane = command.lane ? *command.lane : lane_map_.of(command.key.ref());
      return lanes_[lane]->submit(std::move(call));
    }
    if (command.wide && command.key.name.empty()) return ask_everybody(std::move(call));
    Node* node = nullptr;
    {
      const std::lock_guard lock(mutex_);
      const std::uint16_t at = layout_.place_of(cohere::slot_of(command.key.name));
      if (at != ClusterLayout::kNowhere) node = nodes_[at].get();
    }
    if (node == nullptr) return send_again(std::move(call), trouble());
    if (command.wide) return submit_wide(*node, std::move(call));
    node->comparing[cohere::lane_of(command.key.hash, node->comparing.size())]->submit(
        std::move(call));
  }

  void hint(std::string_view what) noexcept override {
    if (!config_.hints || stopped_.load(std::memory_order_relaxed)) return;
    aside_->submit(
        std::make_unique<cohere::Publish>(std::string(what), Clock::now() + kHintTimeout));
  }

  [[nodiscard]] std::shared_ptr<Route> route() const noexcept override { return route_; }
  [[nodiscard]] ClusterRoutes* cluster() noexcept override { return this; }

  [[nodiscard]] std::shared_ptr<Route> of(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const std::uint16_t at = layout_.place_of(cohere::slot_of(key));
    return at == ClusterLayout::kNowhere ? nullptr : nodes_[at]->route;
  }
  [[nodiscard]] std::shared_ptr<Route> any() override {
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at < layout_.places.size(); ++at) {
      if (layout_.places[at].primary && lane_up(at)) return nodes_[at]->route;
    }
    return nodes_.empty() ? nullptr : nodes_[0]->route;
  }
  [[nodiscard]] std::shared_ptr<Route> follow(Redirection redirection, const Route& from) override {
    complete_host(redirection.to, from);
    if (redirection.kind == Redirection::Kind::moved) note_moved(redirection);
    const std::lock_guard lock(mutex_);
    const std::uint16_t at = layout_.find_or_add(redirection.to);
    settle_nodes();
    return nodes_[at]->route;
  }

  void stop() noexcept override {
    if (stopped_.exchange(true)) return;
    for (const auto& share : shares_) share->stop();
    std::deque<Waiting> waiting;
    {
      const std::lock_guard lock(waiting_mutex_);
      waiting.swap(waiting_);
    }
    for (const Waiting& each : waiting) refuse(*each.call);
  }

 private:
  using Form = cohere::Lane::Form;

  struct Waiting {
    std::unique_ptr<Call> call;
    std::string why;  // it was not executed
    TimePoint until;
  };

  static void refuse(Call& call) {
    answer_with(call, Answer::failed(Errc::shutting_down, "the server is stopping"));
  }

  [[nodiscard]] std::string where() const {
    return "the cluster of " + route_->url().nodes.front().to_string();
  }
  [[nodiscard]] std::string trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_.empty() ? "not connected to " + where() : trouble_;
  }

  // Connections.

  cohere::LaneConfig lane_config(const std::shared_ptr<Route>& to) {
    return {.lease = config_.lease,
            .lane_dead = config_.lane_dead,
            .max_calls = config_.lane_queue,
            .coherence = config_.coherence,
            .user = route_->url().user,
            .password = route_->url().password,
            .redirect = [this, to](std::unique_ptr<Call> call, std::string_view reply) {
              redirect(std::move(call), reply, *to);
            }};
  }
  cohere::LaneConfig outside_config(const std::shared_ptr<Route>& to, const char* client_name) {
    cohere::LaneConfig lane = lane_config(to);
    lane.tracked = false;
    lane.client_name = client_name;
    return lane;
  }

  std::shared_ptr<LaneConnection> connect(std::size_t i, const std::shared_ptr<Route>& to,
                                          const cohere::LaneConfig& lane, cohere::LaneView& view,
                                          std::function<void()> on_form) {
    LoopShare& share = *shares_[i % shares_.size()];
    auto connection = std::make_shared<LaneConnection>(share.loop(), to, config_.connect_timeout,
                                                       lane, view, *listener_, std::move(on_form));
    share.add(connection);
    return connection;
  }
  std::shared_ptr<LaneConnection> connect_outside(std::size_t i, const std::shared_ptr<Route>& to,
                                                  const cohere::LaneConfig& lane) {
    return connect(i, to, lane, outside_views_.emplace_back(), [] {});
  }

  /// Under mutex_.
  std::unique_ptr<Node> make_node() {
    auto node = std::make_unique<Node>();
    node->route = std::make_shared<Route>(route_->url(), route_->tls(), route_->rate());
    const auto wide = outside_config(node->route, "nearlane-wide");
    const auto comparing = outside_config(node->route, "nearlane-comparing");
    auto asking = outside_config(node->route, "nearlane-asking");
    asking.asking = true;
    const std::size_t first = nodes_.size();  // so that nodes begin on different loops
    for (std::size_t i = 0; i < kWidePerNode; ++i)
      node->wide.push_back(connect_outside(first + i, node->route, wide));
    for (std::size_t i = 0; i < kComparingPerNode; ++i)
      node->comparing.push_back(connect_outside(first + i, node->route, comparing));
    node->asking = connect_outside(first, node->route, asking);
    return node;
  }

  // Where calls go.

  static void submit_wide(Node& node, std::unique_ptr<Call> call) {
    const std::size_t next = node.next_wide.fetch_add(1, std::memory_order_relaxed);
    node.wide[next % node.wide.size()]->submit(std::move(call));
  }

  void ask_everybody(std::unique_ptr<Call> call) {
    const Command& command = call->command;
    const std::string_view name = command.args.empty() ? std::string_view() : command.args[0];
    const auto kind = fan_kind(name);
    if (!kind) {
      Answer answer;
      answer.reply = protocol::Reply::error(fmt::format(
          "ERR nearlane: '{}' is not served over a Redis Cluster", name.substr(0, 128)));
      return answer_with(*call, std::move(answer));
    }
    std::vector<std::uint16_t> primaries;
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t at = 0; at < layout_.places.size(); ++at) {
        if (layout_.places[at].primary) primaries.push_back(static_cast<std::uint16_t>(at));
      }
    }
    if (primaries.empty()) return send_again(std::move(call), trouble());
    fan_out(std::move(call), *kind, primaries,
            [this](std::uint16_t at, std::unique_ptr<Call> part) {
              submit_wide(node_at(at), std::move(part));
            });
  }
  Node& node_at(std::uint16_t at) {
    const std::lock_guard lock(mutex_);
    return *nodes_[at];
  }

  /// One that is not said is that of whoever answered.
  static void complete_host(Endpoint& to, const Route& from) {
    if (!to.host.empty()) return;
    if (const auto server = from.server()) to.host = server->host;
  }
  void note_moved(const Redirection& moved) {
    asio::post(*loops_[0], [this, slot = moved.slot, to = moved.to] { take_moved(slot, to); });
  }

  /// A call comes back: `from` has not executed it.
  void redirect(std::unique_ptr<Call> call, std::string_view reply, const Route& from) {
    auto redirection = read_redirection(reply);
    if (!redirection) {
      Answer answer;
      answer.reply = protocol::Reply::error(std::string(reply));
      return answer_with(*call, std::move(answer));
    }
    complete_host(redirection->to, from);
    if (redirection->kind == Redirection::Kind::ask) {
      if (stopped_.load(std::memory_order_relaxed)) return refuse(*call);
      std::shared_ptr<LaneConnection> asking;
      {
        const std::lock_guard lock(mutex_);
        const std::uint16_t at = layout_.find_or_add(redirection->to);
        settle_nodes();
        asking = nodes_[at]->asking;
      }
      return asking->submit(std::move(call));
    }
    if (redirection->kind == Redirection::Kind::moved) note_moved(*redirection);
    send_again(std::move(call), std::string(reply));
  }

  /// In a moment, in the order in which they came.
  void send_again(std::unique_ptr<Call> call, std::string why) {
    const TimePoint until = Clock::now() + kSendAgain;
    if (until >= call->command.deadline) return give_up(*call, std::move(why));
    {
      const std::lock_guard lock(waiting_mutex_);
      if (!stopped_.load(std::memory_order_relaxed)) {
        waiting_.push_back({std::move(call), std::move(why), until});
        return;
      }
    }
    refuse(*call);
  }
  static void give_up(Call& call, std::string why) {
    if (!why.starts_with("TRYAGAIN"))
      return answer_with(call, Answer::failed(Errc::unavailable, "not executed: " + why));
    Answer answer;
    answer.reply = protocol::Reply::error(std::move(why));
    answer_with(call, std::move(answer));
  }
  void send_waiting(TimePoint now) {
    std::deque<Waiting> due;
    {
      const std::lock_guard lock(waiting_mutex_);
      while (!waiting_.empty() && waiting_.front().until <= now) {
        due.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    for (Waiting& each : due) {
      if (each.call->command.deadline <= now) {
        give_up(*each.call, std::move(each.why));
      } else {
        submit(std::move(each.call));
      }
    }
  }

  // Following the map; on the first loop.

  void start_watch() {
    watch_route_ = std::make_shared<Route>(route_->url(), route_->tls());
    auto watch = std::make_unique<ClusterWatch>(
        *watch_route_,
        ClusterWatch::Told{.map = [this](SlotMap map) { take_map(std::move(map)); },
                           .nobody_answers = [this](std::string why) { lose(std::move(why)); }});
    watch_ = watch.get();
    shares_[0]->add(std::make_shared<Connection>(*loops_[0], watch_route_, config_.connect_timeout,
                                                 std::move(watch), [this](TimePoint now) {
                                                   if (somebody_doubts()) watch_->doubt();
                                                   send_waiting(now);
                                                 }));
  }
  /// Some connection has ended since this was last asked, or is not there.
  bool somebody_doubts() {
    bool doubt = false;
    for (std::size_t i = 0; i < lanes_.size(); ++i)
      doubt = lane_routes_[i]->take_doubt() || !lanes_[i]->up() || doubt;
    return doubt;
  }

  void lose(std::string why) {
    for (const auto& each : lane_routes_) each->lose(why);
    if (aside_route_) aside_route_->lose(why);
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(why);
  }

  void take_moved(cohere::Slot slot, const Endpoint& to) {
    watch_->doubt();
    const Endpoint* known = map_.owner(slot);
    if (known != nullptr && *known == to) return;
    // Not for who is no primary yet as far as we know: the next map will say.
    if (std::ranges::find(map_.primaries, to) == map_.primaries.end()) return;
    SlotMap map = map_;
    map.move(slot, to);
    take_map(std::move(map));
  }

  void take_map(SlotMap map) {
    if (map == map_) return;
    map_ = std::move(map);
    if (!moving_) follow_map();
  }

  [[nodiscard]] ClusterLayout layout() const {
    const std::lock_guard lock(mutex_);
    return layout_;
  }

  /// A slot that returns to a lane finds nothing there of what was read before it had left: others may have changed it
  /// meanwhile, and the lane was not told.
  void follow_map() {
    auto followed = l2::follow(layout(), map_);
    if (!followed) return lose(followed.error().detail);
    auto next = std::make_shared<const ClusterLayout>(std::move(*followed));
    const auto returned_to = former_.returned_to(*next);
    if (returned_to.empty()) return move_to(*next);
    moving_ = true;
    auto left = std::make_shared<std::size_t>(returned_to.size());
    for (const std::size_t lane : returned_to) {
      lanes_[lane]->disown([this, lane, left, next] {
        asio::post(*loops_[0], [this, lane, left, next] {
          former_.disowned(lane);
          if (--*left != 0) return;
          moving_ = false;
          move_to(*next);
          follow_map();  // what came meanwhile
        });
      });
    }
  }

  void move_to(const ClusterLayout& next) {
    std::size_t moved = 0;
    bool replaced = false;
    {
      const std::lock_guard lock(mutex_);
      // Who was asked once meanwhile keeps its place.
      const auto before = std::exchange(layout_, next);
      replaced = before.places != next.places;
      for (std::size_t at = layout_.places.size(); at < before.places.size(); ++at)
        layout_.places.push_back(before.places[at]);
      trouble_.clear();
      former_.note(before, layout_);
      settle_nodes();
      settle_probe_keys();
      for (std::size_t slot = 0; slot < cohere::kSlots; ++slot) {
        const std::uint16_t old = before.lanes_of_slots[slot];
        const std::uint16_t lane = layout_.lanes_of_slots[slot];
        if (old == lane) continue;
        slot_lanes_.move(static_cast<cohere::Slot>(slot), lane);
        ++moved;
      }
    }
    for (std::size_t lane = 0; lane < lane_routes_.size(); ++lane)
      lane_routes_[lane]->move_to(next.places[next.places_of_lanes[lane]].server);
    if (aside_route_) aside_route_->move_to(next.places[next.places_of_lanes[0]].server);
    spdlog::log(replaced || moved != 0 ? spdlog::level::info : spdlog::level::debug,
                "l2: {} has {} primaries; {} slots went to other lanes", where(),
                std::ranges::count(next.places, true, &ClusterLayout::Place::primary), moved);
  }

  /// Under mutex_.
  void settle_nodes() {
    while (nodes_.size() < layout_.places.size()) nodes_.push_back(make_node());
    for (std::size_t at = 0; at < nodes_.size(); ++at)
      nodes_[at]->route->move_to(layout_.places[at].server);
  }
  /// Under mutex_. A key that no other process picks, and no other lane, in a slot of the lane's primary.
  void settle_probe_keys() {
    for (std::size_t lane = 0; lane < probe_keys_.size(); ++lane) {
      const std::uint16_t at = layout_.places_of_lanes[lane];
      std::string& key = probe_keys_[lane];
      for (unsigned tag = 0; key.empty() || layout_.place_of(cohere::slot_of(key)) != at; ++tag)
        key = fmt::format("nearlane:probe:{:016x}:{}:{{{}}}", origin_, lane, tag);
    }
  }

  /// Under mutex_. Some lane to that place.
  [[nodiscard]] bool lane_up(std::size_t place) const {
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (layout_.places_of_lanes[lane] == place && lanes_[lane]->up()) return true;
    }
    return false;
  }

  // What vouches for lanes.

  [[nodiscard]] std::string distrust() const {
    for (const auto& lane : lanes_) {
      if (lane->form() == Form::unvouched) return lane->distrust();
    }
    return {};
  }

  void judge(std::size_t lane) {
    const Form form = lanes_[lane]->form();
    if (lane == 0 && form == Form::tracked) check_settings(*this, Clock::now() + kSettingsTimeout);
    const std::lock_guard lock(judging_);
    const std::string reason = distrust();
    const Form mode = reason.empty() ? form : Form::unvouched;
    if (mode_.exchange(mode, std::memory_order_relaxed) == mode) return;
    if (mode == Form::tracked) {
      spdlog::info("l2: {} announces changes: L1 serves, nothing older than {} ms", where(),
                   config_.lease / std::chrono::milliseconds(1));
    } else if (mode == Form::alone) {
      spdlog::warn(
          "l2: nobody is listened to (coherence = none): L1 is right only while this instance "
          "alone "
          "writes to {}",
          where());
    } else {
      spdlog::warn(
          "l2: {} does not prove that it announces changes: {}. Where it does not, L1 serves "
          "nothing and every read goes to L2; it is tried again every few seconds",
          where(), reason);
    }
  }

  const std::shared_ptr<Route> route_;
  const L2Config config_;
  const std::vector<asio::io_context*> loops_;
  Listener* listener_ = nullptr;
  std::uint64_t origin_ = 0;
  std::vector<cohere::LaneView> views_;
  cohere::SlotLanes slot_lanes_;
  const cohere::LaneMap lane_map_;
  std::vector<std::shared_ptr<LoopShare>> shares_;
  std::vector<std::shared_ptr<Route>> lane_routes_;
  Lanes lanes_;
  std::shared_ptr<Route> aside_route_;  // null: nobody needs it
  std::shared_ptr<LaneConnection> aside_;
  std::shared_ptr<Route> watch_route_;
  ClusterWatch* watch_ = nullptr;  // its connection's own

  mutable std::mutex
      mutex_;  // of what follows, which the first loop alone changes, but for places that ASK names
  std::deque<cohere::LaneView> outside_views_;
  std::vector<std::string> probe_keys_;
  std::string trouble_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by place; none goes before all do

  // The first loop's own.
  SlotMap map_;
  bool moving_ = false;
  FormerSlots former_;

  ClusterLayout layout_;  // under mutex_
  std::mutex waiting_mutex_;
  std::deque<Waiting> waiting_;  // calls that were not executed, and will be sent again
  std::atomic<bool> stopped_{false};
  std::mutex judging_;
  std::atomic<Form> mode_{Form::unknown};
};

}  // namespace

std::unique_ptr<L2Backend> make_cluster_backend(std::shared_ptr<Route> route,
                                                const L2Config& config,
                                                std::span<asio::io_context* const> loops) {
  return std::make_unique<ClusterBackend>(std::move(route), config, loops);
}

}  // namespace nearlane::l2
