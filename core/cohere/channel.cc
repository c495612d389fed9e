#include "core/cohere/channel.h"

#include <charconv>
#include <utility>

#include "core/protocol/writer.h"

namespace nearlane::cohere {
namespace {

using protocol::Reply;
using protocol::Type;

/// For what becomes of one heartbeat nobody waits: the next is on its way.
class Heartbeat final : public Call {
 public:
  explicit Heartbeat(Command what) : Call(std::move(what)) {}
  void settle(const Answer&) noexcept override {}
  void complete(Answer) noexcept override {}
};

}  // namespace

Channel::Channel(const ChannelConfig& config, Announcements& announcements, Listener& listener)
    : config_(config),
      announcements_(announcements),
      own_(announcements.channel + ":" + std::to_string(announcements.origin)),
      listener_(listener) {}

bool Channel::wanted() const noexcept {
  return announcements_.need.load(std::memory_order_relaxed) == Announcements::Need::yes;
}

void Channel::connected(TimePoint now) {
  connected_at_ = now;
  parser_.reset();
  broken_.reset();
  output_.clear();
  confirmed_ = 0;
  if (config_.password.empty()) return subscribe();
  state_ = State::authenticating;
  protocol::append_command(
      output_, std::span<const std::string_view>(auth_of(config_.user, config_.password)));
}

void Channel::subscribe() {
  state_ = State::subscribing;
  protocol::append_command(output_, {"SUBSCRIBE", announcements_.channel, own_});
}

void Channel::received(std::string_view bytes, TimePoint) {
  while (!broken_) {
    auto next = parser_.next(bytes);
    if (!next) return break_off("L2 sent what is not RESP: " + next.error().detail);
    if (!next->has_value()) return;
    take(**next);
  }
}

void Channel::take(const Reply& reply) {
  if (reply.is_error()) return break_off("L2 refused SUBSCRIBE: " + reply.text);
  if (state_ == State::authenticating && reply.is_ok()) return subscribe();
  if (reply.type == Type::array && reply.elements.size() == 3) {
    const std::string& kind = reply.elements[0].text;
    if (state_ == State::subscribing && kind == "subscribe") {
      if (++confirmed_ < 2) return;
      // What was filled while nobody listened was not watched.
      state_ = State::subscribed;
      order_.reset();
      return disown_everything();
    }
    if (state_ != State::down && kind == "message") {
      const std::string& message = reply.elements[2].text;
      return reply.elements[1].text == own_ ? take_beat(message) : take_announcement(message);
    }
  }
  break_off("L2 sent what a subscriber does not get");
}

void Channel::take_announcement(std::string_view message) {
  const auto announcement = parse_announcement(message);
  const bool own = announcement && announcement->origin == announcements_.origin;
  if (own && !announcement->everything && is_known(*announcement)) return;
  const bool missed = !own && !(announcement && order_.follows(*announcement));
  if (missed) gaps_.fetch_add(1, std::memory_order_relaxed);
  // Before the epoch that follows from it, which is what lanes look at.
  if (announcement && announcement->everything)
    announcements_.flushes.fetch_add(1, std::memory_order_release);
  if (missed || announcement->everything) disown_everything();
  if (!announcement) return;
  for (const std::string_view key : announcement->keys) listener_.invalidate(key);
}

/// By the lane that wrote it.
bool Channel::is_known(const Announcement& own) const noexcept {
  const auto& lanes = announcements_.incarnations;
  return own.lane < lanes.size() && lanes[own.lane] == own.incarnation;
}

void Channel::take_beat(std::string_view message) {
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(message.data(), message.data() + message.size(), number);
  if (error != std::errc{} || end != message.data() + message.size()) return;
  while (!beats_.empty() && beats_.front().number <= number) {
    const Beat beat = beats_.front();
    beats_.pop_front();
    if (beat.number == number) announcements_.view.set_lease(beat.sent_at + config_.lease);
  }
}

void Channel::closed(Error, TimePoint) {
  state_ = State::down;
  output_.clear();
  broken_.reset();
  disown_everything();
}

void Channel::tick(TimePoint now) {
  if (announcements_.view.take_hit()) last_hit_ = now;
  if (state_ == State::down || broken_) return;
  if (!wanted()) return break_off("L2 announces changes itself");
  if (state_ != State::subscribed) {
    if (now - connected_at_ >= config_.dead) break_off("no subscription in time");
  } else if (!beats_.empty() && now - beats_.front().sent_at >= config_.dead) {
    break_off("no heartbeat was heard in time");
  }
}

std::unique_ptr<Call> Channel::heartbeat(TimePoint now) {
  const bool warm = last_hit_ != TimePoint::min() && now - last_hit_ <= config_.stay_warm;
  if (state_ != State::subscribed || broken_ || !warm) return nullptr;
  if (beaten_at_ != TimePoint::min() && now - beaten_at_ < config_.lease / 5) return nullptr;
  beaten_at_ = now;
  beats_.push_back({++last_beat_, now});
  std::string nothing = own_ + ":nothing";
  Command command{.op = Op::transact,
                  .key = Key(0, nothing),
                  .args = {"DEL", nothing},
                  .wide = true,
                  .announced = false,
                  .deadline = now + config_.lease};
  command.publish = Publication{own_, std::to_string(last_beat_)};
  return std::make_unique<Heartbeat>(std::move(command));
}

void Channel::disown_everything() {
  // What was sent before proves nothing of what comes after.
  beats_.clear();
  beaten_at_ = TimePoint::min();
  announcements_.view.bump();
}

void Channel::break_off(std::string detail) {
  fail(Errc::protocol, std::move(detail));
  disown_everything();
}

}  // namespace nearlane::cohere
