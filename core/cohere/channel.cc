#include "core/cohere/channel.h"

#include <utility>

#include "core/protocol/writer.h"

namespace nearlane::cohere {

using protocol::Reply;
using protocol::Type;

Channel::Channel(const ChannelConfig& config, std::span<LaneView> lanes, Listener& listener)
    : config_(config), lanes_(lanes), listener_(listener) {}

void Channel::connected(TimePoint now) {
  now_ = connected_at_ = now;
  parser_.reset();
  broken_.reset();
  output_.clear();
  if (config_.password.empty()) return subscribe();
  state_ = State::authenticating;
  if (config_.user.empty()) {
    protocol::append_command(output_, {"AUTH", config_.password});
  } else {
    protocol::append_command(output_, {"AUTH", config_.user, config_.password});
  }
}

void Channel::subscribe() {
  state_ = State::subscribing;
  protocol::append_command(output_, {"SUBSCRIBE", config_.name});
}

void Channel::received(std::string_view bytes, TimePoint now) {
  now_ = now;
  while (!broken_) {
    auto next = parser_.next(bytes);
    if (!next) return fail(next.error().detail);
    if (!next->has_value()) return;
    take(**next);
  }
}

void Channel::take(const Reply& reply) {
  if (reply.is_error()) return fail(reply.text);
  if (state_ == State::authenticating && reply.is_ok()) return subscribe();
  if (reply.type == Type::array && reply.elements.size() >= 2) {
    const std::string& kind = reply.elements[0].text;
    if (state_ == State::subscribing && kind == "subscribe" &&
        reply.elements[1].text == config_.name) {
      // What was filled while nobody listened was not watched.
      state_ = State::subscribed;
      order_.reset();
      return disown_everything();
    }
    if (state_ == State::subscribed && kind == "message" && reply.elements.size() == 3) {
      return take_message(reply.elements[2].text);
    }
    if (state_ == State::subscribed && kind == "pong" && !pings_.empty()) return take_pong();
  }
  fail("a reply that a subscriber does not get");
}

void Channel::take_message(std::string_view message) {
  const auto announcement = parse_announcement(message);
  if (announcement && announcement->origin == config_.origin) return;
  if (!announcement || !order_.follows(*announcement)) {
    ++gaps_;
    disown_everything();
  } else if (announcement->everything) {
    disown_everything();
  }
  if (!announcement) return;
  for (const std::string_view key : announcement->keys) listener_.invalidate(key);
}

void Channel::take_pong() {
  const TimePoint sent_at = pings_.front();
  pings_.pop_front();
  if (sent_at < vouched_from_ || sent_at + config_.lease <= lease_until_) return;
  lease_until_ = sent_at + config_.lease;
  for (LaneView& lane : lanes_) lane.set_lease(lease_until_);
}

void Channel::closed() {
  state_ = State::down;
  pings_.clear();
  output_.clear();
  disown_everything();
}

void Channel::tick(TimePoint now) {
  now_ = now;
  bool hit = false;
  for (LaneView& lane : lanes_) hit = lane.take_hit() || hit;
  if (hit) last_hit_ = now;
  if (state_ == State::down || broken_) return;
  if (state_ != State::subscribed) {
    if (now - connected_at_ >= config_.dead) fail("no subscription in time");
    return;
  }
  if (!pings_.empty() && now - pings_.front() >= config_.dead) return fail("no PONG in time");
  if (last_hit_ == TimePoint::min() || now - last_hit_ > config_.stay_warm) return;
  pings_.push_back(now);
  protocol::append_command(output_, {"PING"});
}

void Channel::disown_everything() {
  lease_until_ = TimePoint::min();
  vouched_from_ = now_;
  for (LaneView& lane : lanes_) lane.bump();
}

void Channel::fail(std::string detail) {
  broken_ = Error{Errc::protocol, std::move(detail)};
  disown_everything();
}

}  // namespace nearlane::cohere
