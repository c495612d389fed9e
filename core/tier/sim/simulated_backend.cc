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

cohere::LaneConfig config(bool tracked, Duration stay_warm) {
  return {.lease = kLease, .lane_dead = kLease * 4, .stay_warm = stay_warm, .tracked = tracked};
}

}  // namespace

SimulatedBackend::SimulatedBackend(World& world, l1::L1Map& map, const Config& config)
    : world_(world), map_(map), config_(config) {}
SimulatedBackend::~SimulatedBackend() = default;

void SimulatedBackend::start(l2::Listener& listener) {
  listener_ = &listener;
  const bool apart = world_.mutant == Mutant::late_bump;
  lane_.emplace(*this, config(true, config_.stay_warm), apart ? kept_ : seen_[0]);
  wide_.emplace(*this, config(false, config_.stay_warm), outside_);
  cohere::LaneConfig hints = config(false, config_.stay_warm);
  hints.subscribe = cohere::kHintChannel;
  hints_.emplace(*this, hints, hinting_);
  lane_->connect_at = world_.now;
  if (config_.outside) wide_->connect_at = world_.now;
  if (config_.hints) hints_->connect_at = world_.now;
}

template <class Do>
void SimulatedBackend::each_link(Do&& act) {
  act(*lane_);
  act(*wide_);
  act(*hints_);
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
  hints_->lane.submit(std::make_unique<cohere::Publish>(std::string(what), world_.now + kLease * 2),
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
  Link& link = call->command.wide ? *wide_ : *lane_;
  link.lane.submit(std::move(call), world_.now);
}

void SimulatedBackend::stop() noexcept {
  for (auto& [at, call] : std::exchange(posted_, {})) hand_over(std::move(call));
  const Error why{Errc::shutting_down, "the schedule has ended"};
  if (lane_) each_link([&](Link& link) { link.close(why); });
}

TimePoint SimulatedBackend::next() const noexcept {
  TimePoint first = std::min({lane_->connect_at, lane_->connected_at, wide_->connect_at,
                              wide_->connected_at, hints_->connect_at, hints_->connected_at});
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
  each_link([&](Link& link) { link.advance(now); });
}

void SimulatedBackend::tick() {
  lane_->tick(world_.now);
  if (config_.outside) wide_->tick(world_.now);
  if (config_.hints) hints_->tick(world_.now);
}

void SimulatedBackend::flush() {
  each_link([](Link& link) { link.flush(); });
  if (world_.mutant == Mutant::late_bump) show_view();
}

bool SimulatedBackend::quiet() const noexcept {
  return posted_.empty() && lane_->up && wide_->up == config_.outside &&
         hints_->up == config_.hints;
}

Connection* SimulatedBackend::connection(bool of_lane) const noexcept {
  return of_lane ? lane_->connection : wide_->connection;
}

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

void SimulatedBackend::Link::received(std::string_view bytes) {
  World& world = backend.world_;
  lane.received(bytes, world.now);
  const bool has_reply = bytes.front() != '>';  // not a push alone
  if (world.mutant == Mutant::lease_from_receipt && has_reply &&
      lane.state() == cohere::Lane::State::ready && this == &*backend.lane_)
    backend.seen_[0].set_lease(world.now + kLease);
}

void SimulatedBackend::Link::ended() { close({Errc::connection_lost, "the connection ended"}); }

void SimulatedBackend::Link::advance(TimePoint now) {
  if (connect_at <= now) {
    connect_at = kForever;
    connected_at = now + backend.world_.delay();
    ready_by = now + kConnectTimeout;
    lane.connect();
  }
  if (connected_at <= now) {
    connected_at = kForever;
    if (now < backend.world_.down_until) return close({Errc::unavailable, "nobody listens"});
    connection = &backend.world_.connect(*this);
    lane.connected(now);
  }
}

void SimulatedBackend::Link::tick(TimePoint now) {
  const bool open = connect_at == kForever;
  if (open && lane.state() != cohere::Lane::State::ready && ready_by <= now)
    return close({Errc::unavailable, "no connection in time"});
  lane.tick(now);
}

void SimulatedBackend::Link::close(const Error& why) {
  World& world = backend.world_;
  if (connection != nullptr) world.give_up(*std::exchange(connection, nullptr));
  connected_at = kForever;
  connect_at = world.now + (up ? world.random.between(microseconds(1), milliseconds(10))
                               : world.random.between(milliseconds(10), milliseconds(30)));
  up = false;
  ++backend.losses_;
  backend.unread_ = this == &*backend.lane_ || backend.unread_;
  lane.closed(why, world.now);
}

void SimulatedBackend::Link::flush() {
  if (lane.broken()) {
    const Error why = *lane.broken();
    return close(why);
  }
  up = up || lane.state() == cohere::Lane::State::ready;
  if (connection == nullptr || lane.output().empty()) return;
  backend.world_.send(*connection, lane.output());
  lane.output().clear();
}

}  // namespace nearlane::sim
