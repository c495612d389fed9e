#include "core/tier/sim/world.h"

#include <algorithm>

namespace nearlane::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

ModelRedis::Form form_of(Mutant mutant, ModelRedis::Form otherwise) noexcept {
  switch (mutant) {
    case Mutant::no_multi:
      return ModelRedis::Form::no_multi;
    case Mutant::naive_install:
      return ModelRedis::Form::untracked;
    case Mutant::broadcast:
      return ModelRedis::Form::broadcast;
    case Mutant::early_news:
      return ModelRedis::Form::early_news;
    default:
      return otherwise;
  }
}

}  // namespace

World::World(std::uint64_t seed, const std::vector<ModelRedis::Name>& keys, Mutant planted,
             ModelRedis::Form form)
    : random(seed),
      mutant(planted),
      history(keys.size()),
      redis(history, keys, form_of(planted, form)),
      rough_(random.once_in(2) ? 8 : 32) {}

Duration World::delay() noexcept {
  if (rough_ != 0 && random.once_in(rough_)) {
    return random.once_in(4) ? random.between(kLease / 2, kLease * 2)
                             : random.between(milliseconds(1), kLease / 2);
  }
  return random.between(microseconds(20), microseconds(1000));
}

void World::record(std::uint64_t what) noexcept {
  digest = (digest ^ what ^ static_cast<std::uint64_t>(now.time_since_epoch().count())) *
           0x0000'0100'0000'01B3U;  // FNV-1a's prime
}

void World::after(Duration delay, std::function<void()> task) {
  tasks_.emplace(now + delay, std::move(task));
}

Connection& World::connect(Reader& owner) {
  return *connections.emplace_back(
      std::make_unique<Connection>(Connection{.client = redis.connect(), .owner = &owner}));
}

void World::send(Connection& connection, std::string_view bytes) {
  send_in_pieces(connection.to_server, bytes);
}

void World::send_in_pieces(Pipe& pipe, std::string_view bytes) {
  if (bytes.size() > 1 && random.once_in(3)) {
    const std::size_t cut = 1 + random.below(static_cast<std::uint32_t>(bytes.size() - 1));
    pipe.send(bytes.substr(0, cut), now + delay());
    bytes.remove_prefix(cut);
  }
  pipe.send(bytes, now + delay());
}

void World::give_up(Connection& connection) noexcept {
  connection.owner = nullptr;
  connection.ends = kForever;
  connection.to_client.lose();
}

void World::cut(Connection& connection) {
  if (random.once_in(2)) {
    connection.to_server.lose();
    redis.disconnect(connection.client);
  }
  connection.ends = now + delay();
  if (random.once_in(2)) connection.to_client.lose();
}

void World::deafen(Connection& connection) {
  const std::uint32_t which = random.below(3);
  if (which != 0) connection.to_server.lose();
  if (which != 1) connection.to_client.lose();
}

void World::stall(Connection& connection) {
  (random.once_in(3) ? connection.to_server : connection.to_client)
      .stall(now + random.between(kLease / 2, kLease * 2));
}

void World::fail_over() {
  if (random.once_in(3)) return redis.demote();
  redis.fail_over(random.once_in(2), now);
  const bool silently = random.once_in(2);
  for (const auto& connection : connections) {
    connection->to_server.lose();
    if (connection->owner == nullptr) continue;
    if (silently) {
      connection->to_client.lose();
    } else {
      connection->ends = now + delay();
    }
  }
  if (random.once_in(2)) down_until = now + random.between(milliseconds(1), kLease);
  if (random.once_in(3))
    redis.load_until(std::max(now, down_until) + random.between(milliseconds(1), kLease));
}

void World::go_away() {
  for (const auto& connection : connections) {
    if (connection->owner != nullptr) cut(*connection);
  }
  down_until = now + random.between(kLease / 4, kLease * 6);
}

void World::heal() noexcept {
  rough_ = 0;
  down_until = TimePoint::min();
  redis.load_until(TimePoint::min());
}

TimePoint World::next() const noexcept {
  TimePoint first = turn_ends_;
  if (!tasks_.empty()) first = std::min(first, tasks_.begin()->first);
  for (const auto& connection : connections) {
    first = std::min(
        {first, connection->to_server.next(), connection->to_client.next(), connection->ends});
  }
  return first;
}

void World::advance() {
  if (turn_ends_ <= now) {
    turn_ends_ = kForever;
    redis.end_turn();
    collect();
  }
  while (!tasks_.empty() && tasks_.begin()->first <= now) {
    const auto task = tasks_.extract(tasks_.begin());
    record(3000);
    task.mapped()();
  }
  for (const auto& each : connections) {
    Connection& connection = *each;
    if (connection.to_server.next() <= now) {
      record(connection.client);
      redis.receive(connection.client, connection.to_server.take(), now);
      ++arrivals;
      collect();
    }
    if (connection.to_client.next() <= now) {
      record(connection.client + 1000);
      const std::string_view bytes = connection.to_client.take();
      if (connection.owner != nullptr) connection.owner->received(bytes);
    }
    if (connection.ends <= now) {
      connection.ends = kForever;
      record(connection.client + 2000);
      if (connection.owner != nullptr) connection.owner->ended();
    }
  }
}

void World::collect() {
  for (const auto& connection : connections) {
    std::string& output = redis.output(connection->client);
    if (output.empty()) continue;
    send_in_pieces(connection->to_client, output);
    output.clear();
  }
  if (mutant == Mutant::broadcast && turn_ends_ == kForever && redis.has_to_broadcast())
    turn_ends_ = now + random.between(microseconds(1), kLease / 5);
}

bool World::quiet() const noexcept { return next() == kForever; }

}  // namespace nearlane::sim
