#include "core/tier/sim/simulated_backend.h"

#include <algorithm>

#include "core/base/epoch.h"
#include "core/cohere/hint.h"
#include "core/tier/sim/mutant_call.h"

namespace nearlane::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kConnectTimeout = kLease * 2;

}  // namespace

SimulatedBackend::SimulatedBackend(World& world, l1::L1Map& map, const Config& config)
    : world_(world), map_(map), config_(config) {}
SimulatedBackend::~SimulatedBackend() = default;

std::unique_ptr<cohere::Lane> SimulatedBackend::make_lane(Role role, cohere::LaneView& view) {
  cohere::LaneConfig config{.lease = kLease,
                            .lane_dead = kLease * 4,
                            .stay_warm = config_.stay_warm,
                            .tracked = role == Role::lane,
                            .announcer = static_cast<std::uint32_t>(role)};
  if (config_.announced) config.announcements = &announcements_;
  if (role == Role::aside && config_.hints) config.subscribe = cohere::kHintChannel;
  return std::make_unique<cohere::Lane>(config, view, static_cast<l2::Listener&>(*this));
}

void SimulatedBackend::start(l2::Listener& listener) {
  listener_ = &listener;
  announcements_.origin = heard_.origin = ++world_.instances;
  announcements_.l1_ttl = kLease * 20;
  announcements_.incarnations = std::vector<std::atomic<std::uint64_t>>(1);
  heard_.incarnations = std::vector<std::atomic<std::uint64_t>>(1);
  const bool apart = world_.mutant == Mutant::late_bump;
  const bool deceived = world_.mutant == Mutant::silent_resubscription;
  auto channel = std::make_unique<cohere::Channel>(
      cohere::ChannelConfig{.lease = kLease, .dead = kLease * 4, .stay_warm = config_.stay_warm},
      deceived ? heard_ : announcements_, static_cast<l2::Listener&>(*this));
  channel_ = channel.get();
  const auto add = [&](Role role, std::unique_ptr<cohere::Conversation> what, bool used) {
    links_[static_cast<std::size_t>(role)].emplace(*this, std::move(what), used);
  };
  add(Role::lane, make_lane(Role::lane, apart ? kept_ : seen_[0]), true);
  add(Role::wide, make_lane(Role::wide, outside_), config_.outside);
  add(Role::aside, make_lane(Role::aside, aside_), config_.hints || config_.announced);
  add(Role::channel, std::move(channel), config_.announced);
}

void SimulatedBackend::submit(std::unique_ptr<l2::Call> call) noexcept {
  if (call->command.op == l2::Op::fetch) ++fetches_;
  if (world_.mutant != Mutant::none) call = std::make_unique<MutantCall>(*this, std::move(call));
  if (loop == 0) return hand_over(std::move(call));
  TimePoint at = world_.now + world_.delay() / 2;
  if (!posted_.empty()) at = std::max(at, posted_.back().first);
  posted_.emplace_back(at, std::move(call));
}

void SimulatedBackend::hint(std::string_view what) noexcept {
  if (!config_.hints) return;
  lane(Role::aside)
      .submit(std::make_unique<cohere::Publish>(std::string(what), world_.now + kLease * 2),
              world_.now);
}

void SimulatedBackend::hinted(std::string_view hint) noexcept {
  if (world_.mutant == Mutant::hint_installs) {
    const std::string_view name = hint.substr(hint.find(' ') + 1);
    const auto& names = world_.redis.names();
    for (std::size_t key = 0; key < names.size(); ++key) {
      const Version version = world_.redis.value_of(key, world_.now);
      if (names[key].name != name || version == kNone) continue;
      map_.put(Entry::build(KeyRef(names[key].db, name), std::to_string(version), kForever,
                            seen_[0].epoch()));
    }
  }
  listener_->hinted(hint);
}

void SimulatedBackend::hand_over(std::unique_ptr<l2::Call> call) {
  const Role role = call->command.wide ? Role::wide : Role::lane;
  lane(role).submit(std::move(call), world_.now);
}

void SimulatedBackend::stop() noexcept {
  for (auto& [at, call] : std::exchange(posted_, {})) hand_over(std::move(call));
  const Error why{Errc::shutting_down, "the schedule has ended"};
  for (auto& link : links_) {
    if (link) link->close(why);
  }
}

TimePoint SimulatedBackend::next() const noexcept {
  TimePoint first = kForever;
  for (const auto& link : links_) first = std::min(first, link->next());
  if (!posted_.empty()) first = std::min(first, posted_.front().first);
  return first;
}

void SimulatedBackend::advance() {
  const TimePoint now = world_.now;
  loop = 0;
  while (!posted_.empty() && posted_.front().first <= now) {
    auto call = std::move(posted_.front().second);
    posted_.pop_front();
    hand_over(std::move(call));
  }
  for (auto& link : links_) link->advance(now);
}

void SimulatedBackend::tick() {
  for (auto& link : links_) {
    if (link->used) link->tick(world_.now);
  }
  looked_at_ = announcements_.view.epoch();
  if (auto beat = channel_->heartbeat(world_.now))
    lane(Role::aside).submit(std::move(beat), world_.now);
}

void SimulatedBackend::flush() {
  for (auto& link : links_) link->flush();
  if (world_.mutant == Mutant::late_bump) show_view();
  if (world_.mutant == Mutant::silent_resubscription) show_channel();
}

bool SimulatedBackend::quiet() const noexcept {
  return posted_.empty() && looked_at_ == announcements_.view.epoch() &&
         std::ranges::all_of(links_, [](const auto& link) { return link->up == link->used; });
}

Connection* SimulatedBackend::connection(Role role) const noexcept { return link(role).connection; }

bool SimulatedBackend::join(const KeyRef& key, tier::TieredCache::GetHandler& done) {
  for (MutantCall* call : fetching_) {
    if (call->command.key.ref() != key || world_.now - call->began >= kLease) continue;
    call->joined.push_back(std::move(done));
    return true;
  }
  return false;
}

void SimulatedBackend::invalidate(std::string_view name) noexcept {
  if (world_.mutant == Mutant::refresh_keeps_body) {
    std::vector<EntryPtr> kept;
    {
      const epoch::Guard guard;
      for (std::uint32_t db = 0; db < 2; ++db) {
        if (const Entry* entry = map_.find(KeyRef(db, name))) kept.push_back(EntryPtr::pin(entry));
      }
    }
    listener_->invalidate(name);
    for (const EntryPtr& entry : kept) {
      map_.put(Entry::build(entry->key(), entry->value(), entry->deadline(), entry->epoch()));
    }
    return;
  }
  if (world_.mutant != Mutant::evict_without_cancel) return listener_->invalidate(name);
  for (std::uint32_t db = 0; db < 2; ++db) map_.erase(KeyRef(db, name));
}

/// Mutant::late_bump: what readers see of the lane. The new epoch comes when the new connection has
/// answered its first read.
void SimulatedBackend::show_view() {
  cohere::LaneView& seen = seen_[0];
  while (!unread_ && seen.epoch() != kept_.epoch()) seen.bump();
  seen.set_lease(kept_.lease_until());
  if (seen.take_hit()) kept_.note_hit();
}

/// Mutant::silent_resubscription: the lanes are not told that what they read meanwhile was not watched.
void SimulatedBackend::show_channel() {
  heard_.need = announcements_.need.load();
  heard_.incarnations[0] = announcements_.incarnations[0].load();
  announcements_.view.set_lease(heard_.view.lease_until());
  if (announcements_.view.take_hit()) heard_.view.note_hit();
}

SimulatedBackend::Link::Link(SimulatedBackend& owner, std::unique_ptr<cohere::Conversation> what,
                             bool in_use)
    : backend(owner), conversation(std::move(what)), used(in_use) {
  if (used) connect_at = owner.world_.now;
}

void SimulatedBackend::Link::received(std::string_view bytes) {
  World& world = backend.world_;
  conversation->received(bytes, world.now);
  if (world.mutant != Mutant::lease_from_receipt || !conversation->ready()) return;
  const bool has_reply = bytes.front() != '>';  // not a push alone
  if (this == &backend.link(Role::lane) && has_reply && !backend.config_.announced)
    backend.seen_[0].set_lease(world.now + kLease);
  if (this == &backend.link(Role::channel))
    backend.announcements_.view.set_lease(world.now + kLease);
}

void SimulatedBackend::Link::ended() { close({Errc::connection_lost, "the connection ended"}); }

void SimulatedBackend::Link::advance(TimePoint now) {
  if (connect_at <= now) {
    if (!conversation->wanted()) {
      connect_at = now + milliseconds(1);  // asked again
      return;
    }
    connect_at = kForever;
    connected_at = now + backend.world_.delay();
    ready_by = now + kConnectTimeout;
    conversation->connect();
  }
  if (connected_at <= now) {
    connected_at = kForever;
    if (now < backend.world_.down_until) return close({Errc::unavailable, "nobody listens"});
    connection = &backend.world_.connect(*this);
    conversation->connected(now);
  }
}

void SimulatedBackend::Link::tick(TimePoint now) {
  const bool open = connect_at == kForever;
  if (open && !conversation->ready() && ready_by <= now)
    return close({Errc::unavailable, "no connection in time"});
  conversation->tick(now);
}

void SimulatedBackend::Link::close(const Error& why) {
  World& world = backend.world_;
  if (connection != nullptr) world.give_up(*std::exchange(connection, nullptr));
  connected_at = kForever;
  connect_at = world.now + (up ? world.random.between(microseconds(1), milliseconds(10))
                               : world.random.between(milliseconds(10), milliseconds(30)));
  up = false;
  ++backend.losses_;
  backend.unread_ = this == &backend.link(Role::lane) || backend.unread_;
  conversation->closed(why, world.now);
}

void SimulatedBackend::Link::flush() {
  if (conversation->broken()) {
    const Error why = *conversation->broken();
    return close(why);
  }
  up = up || conversation->ready();
  if (connection == nullptr || conversation->output().empty()) return;
  backend.world_.send(*connection, conversation->output());
  conversation->output().clear();
}

}  // namespace nearlane::sim
