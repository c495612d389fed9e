#include "core/l2/redis/sentinel_watch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/protocol/integer.h"
#include "core/protocol/writer.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;
using protocol::Type;

/// Between questions that nobody hurries; an answer that takes longer does not come.
constexpr Duration kAskEvery = std::chrono::seconds(1);
/// Between those of who doubts: all connections do at once, and again whenever they try.
constexpr Duration kHurried = std::chrono::milliseconds(50);

constexpr std::string_view kSwitch = "+switch-master";

}  // namespace

SentinelWatch::SentinelWatch(Sentinels& sentinels, std::size_t which)
    : sentinels_(sentinels), which_(which) {}

void SentinelWatch::connected(TimePoint) {
  parser_.reset();
  broken_.reset();
  output_.clear();
  awaited_ = Awaited::none;
  state_ = State::greeting;
  // The password is the master's. A sentinel is told only if it asks.
  protocol::append_command(output_, {"HELLO", "3"});
}

void SentinelWatch::received(std::string_view bytes, TimePoint now) {
  while (!broken_) {
    auto next = parser_.next(bytes);
    if (!next)
      return fail(Errc::protocol, "a sentinel sent what is not RESP: " + next.error().detail);
    if (!next->has_value()) return;
    take(**next, now);
  }
}

void SentinelWatch::take(const Reply& reply, TimePoint now) {
  if (reply.type == Type::push) return take_message(reply, now);
  if (state_ == State::greeting || state_ == State::authenticating)
    return take_greeting(reply, now);
  if (state_ == State::subscribing) {
    // Its confirmation would have been a push: refused, which the ACL does by default. Questions will do.
    state_ = State::asking;
    return;
  }
  switch (awaited_) {
    case Awaited::none:
      return fail(Errc::protocol, "a sentinel answered what nobody asked");
    case Awaited::epoch:
      awaited_ = Awaited::address;
      return take_epoch(reply);
    case Awaited::address:
      awaited_ = Awaited::none;
      take_address(reply, now);
      if (ask_again_ && !broken_) ask(now);
  }
}

void SentinelWatch::take_greeting(const Reply& reply, TimePoint now) {
  const RedisUrl& url = sentinels_.url();
  if (state_ == State::greeting && reply.text.starts_with("NOAUTH") && !url.password.empty()) {
    state_ = State::authenticating;
    const std::string_view user = url.user.empty() ? "default" : std::string_view(url.user);
    return protocol::append_command(output_, {"HELLO", "3", "AUTH", user, url.password});
  }
  if (reply.is_error()) return fail(Errc::unavailable, "it refused HELLO 3: " + reply.text);
  state_ = State::subscribing;
  // Before the question, so that what happens after its answer is heard. Confirmed by a push.
  protocol::append_command(output_, {"SUBSCRIBE", kSwitch});
  ask(now);
}

void SentinelWatch::ask(TimePoint now) {
  awaited_ = Awaited::epoch;
  ask_again_ = false;
  asked_at_ = now;
  doubts_ = sentinels_.doubts();
  // In this order: what happens in between makes the epoch too low, and the next answer sets it right.
  protocol::append_command(output_, {"SENTINEL", "MASTER", sentinels_.url().master});
  protocol::append_command(output_,
                           {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels_.url().master});
}

void SentinelWatch::take_epoch(const Reply& reply) {
  // An older sentinel, or one that does not permit the question, still says where the master is.
  epoch_ = 0;
  const auto& fields = reply.elements;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].text != "config-epoch") continue;
    epoch_ = static_cast<std::uint64_t>(
        std::max(protocol::read_integer(fields[i + 1].text).value_or(0), std::int64_t{0}));
  }
}

void SentinelWatch::take_address(const Reply& reply, TimePoint now) {
  if (reply.is_error()) return fail(Errc::unavailable, "it refused to say: " + reply.text);
  if (reply.is_null())
    return fail(Errc::unavailable, "it knows no master '" + sentinels_.url().master + "'");
  if (reply.type != Type::array || reply.elements.size() != 2)
    return fail(Errc::protocol, "its answer is no address");
  Endpoint master{.host = reply.elements[0].text, .port = reply.elements[1].text};
  if (master.host.empty() || master.port_number() == 0)
    return fail(Errc::protocol, "its answer is no address");
  state_ = State::watching;
  sentinels_.tell(which_, epoch_, std::move(master), now);
}

void SentinelWatch::take_message(const Reply& push, TimePoint now) {
  const auto& parts = push.elements;
  if (state_ == State::subscribing) state_ = State::asking;
  if (parts.size() != 3 || parts[0].text != "message" || parts[1].text != kSwitch) return;
  // The name comes first. The message has no epoch, so that it is but a reason to ask.
  if (!parts[2].text.starts_with(sentinels_.url().master + ' ')) return;
  if (awaited_ != Awaited::none) {
    ask_again_ = true;
  } else {
    ask(now);
  }
}

void SentinelWatch::tick(TimePoint now) {
  if (state_ != State::watching || broken_) return;
  const Duration since = now - asked_at_;
  if (awaited_ != Awaited::none) {
    if (since >= kAskEvery) fail(Errc::timeout, "it did not answer within 1 s");
    return;
  }
  if (since < kHurried) return;
  if (since >= kAskEvery || sentinels_.doubts() != doubts_) ask(now);
}

void SentinelWatch::closed(Error why, TimePoint) {
  if (why.code != Errc::shutting_down) sentinels_.give_up(which_, why.detail);
  state_ = State::down;
  awaited_ = Awaited::none;
  output_.clear();
  broken_.reset();
}

}  // namespace nearlane::l2
