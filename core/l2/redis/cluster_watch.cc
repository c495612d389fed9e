#include "core/l2/redis/cluster_watch.h"

#include <algorithm>
#include <utility>

#include "core/protocol/writer.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;
using protocol::Type;

/// Between questions that nobody hurries; an answer that takes longer does not come.
constexpr Duration kAskEvery = std::chrono::seconds(1);
/// Between those of who doubts.
constexpr Duration kHurried = std::chrono::milliseconds(50);
/// Doubted answers in a row after which another node is asked: a second's worth.
constexpr unsigned kMostDoubtful = 20;

}  // namespace

ClusterWatch::ClusterWatch(Route& own, Told told)
    : own_(own), told_(std::move(told)), nodes_(own.url().nodes) {
  own_.move_to(node());
}

void ClusterWatch::connected(TimePoint) {
  parser_.reset();
  broken_.reset();
  output_.clear();
  asked_ = false;
  doubtful_ = 0;
  state_ = State::greeting;
  const RedisUrl& url = own_.url();
  std::vector<std::string_view> hello = {"HELLO", "3"};
  if (!url.password.empty()) {
    const std::string_view user = url.user.empty() ? "default" : std::string_view(url.user);
    hello.insert(hello.end(), {"AUTH", user, url.password});
  }
  hello.insert(hello.end(), {"SETNAME", "nearlane-watch"});
  protocol::append_command(output_, std::span<const std::string_view>(hello));
}

void ClusterWatch::received(std::string_view bytes, TimePoint now) {
  while (!broken_) {
    auto next = parser_.next(bytes);
    if (!next) return fail(Errc::protocol, "a node sent what is not RESP: " + next.error().detail);
    if (!next->has_value()) return;
    if ((*next)->type != Type::push) take(**next, now);
  }
}

void ClusterWatch::take(const Reply& reply, TimePoint now) {
  if (state_ == State::greeting) {
    if (reply.is_error()) return fail(Errc::unavailable, "it refused HELLO 3: " + reply.text);
    state_ = State::asking;
    return ask(now);
  }
  if (!asked_) return fail(Errc::protocol, "a node answered what nobody asked");
  asked_ = false;
  take_map(reply);
}

void ClusterWatch::ask(TimePoint now) {
  asked_ = true;
  asked_at_ = now;
  protocol::append_command(output_, {"CLUSTER", "SLOTS"});
}

void ClusterWatch::take_map(const Reply& reply) {
  if (reply.is_error()) return fail(Errc::unavailable, "it does not say: " + reply.text);
  auto map = read_slot_map(reply, node());
  if (!map) return fail(map.error().code, map.error().detail);
  state_ = State::watching;
  in_vain_ = 0;
  // Whoever is asked next, it begins with this one.
  std::vector<Endpoint> nodes = {node()};
  const auto add = [&nodes](const std::vector<Endpoint>& more) {
    for (const Endpoint& each : more) {
      if (nodes.size() < kMostNodes && std::ranges::find(nodes, each) == nodes.end())
        nodes.push_back(each);
    }
  };
  add(own_.url().nodes);
  add(map->primaries);
  add(map->replicas);
  nodes_ = std::move(nodes);
  at_ = 0;
  told_.map(std::move(*map));
}

void ClusterWatch::tick(TimePoint now) {
  if (state_ != State::watching || broken_) return;
  const Duration since = now - asked_at_;
  if (asked_ && since >= kAskEvery) return fail(Errc::timeout, "it did not answer within 1 s");
  if (asked_ || since < kHurried) return;
  const bool doubted = std::exchange(doubted_, false);
  if (!doubted && since < kAskEvery) return;
  doubtful_ = doubted ? doubtful_ + 1 : 0;
  if (doubtful_ > kMostDoubtful && nodes_.size() > 1)
    return fail(Errc::unavailable, "what it says does not help");
  ask(now);
}

void ClusterWatch::closed(Error why, TimePoint) {
  if (++in_vain_ >= nodes_.size()) {
    told_.nobody_answers("no node says who owns the slots of the cluster; the last one asked was " +
                         node().to_string() + ": " + why.detail);
  }
  at_ = (at_ + 1) % nodes_.size();
  own_.turn_to(node());
  state_ = State::down;
  asked_ = false;
  output_.clear();
  broken_.reset();
}

}  // namespace nearlane::l2
