#include "core/l2/redis/sentinel_watch.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

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

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size() && port != 0;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

}  // namespace

SentinelWatch::SentinelWatch(Route& route, Route& own) : route_(route), own_(own) {
  own_.turn_to(sentinel());
}

void SentinelWatch::connected(TimePoint) {
  parser_.reset();
  broken_.reset();
  output_.clear();
  asked_ = false;
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
  if (reply.type == Type::push) return take_message(reply);
  if (state_ == State::greeting || state_ == State::authenticating)
    return take_greeting(reply, now);
  if (!asked_) return fail(Errc::protocol, "a sentinel answered what nobody asked");
  asked_ = false;
  take_address(reply);
}

void SentinelWatch::take_greeting(const Reply& reply, TimePoint now) {
  const RedisUrl& url = route_.url();
  if (state_ == State::greeting && reply.text.starts_with("NOAUTH") && !url.password.empty()) {
    state_ = State::authenticating;
    const std::string_view user = url.user.empty() ? "default" : std::string_view(url.user);
    return protocol::append_command(output_, {"HELLO", "3", "AUTH", user, url.password});
  }
  if (reply.is_error()) return fail(Errc::unavailable, "it refused HELLO 3: " + reply.text);
  state_ = State::asking;
  // Before the question, so that what happens after its answer is heard. Confirmed by a push.
  protocol::append_command(output_, {"SUBSCRIBE", kSwitch});
  ask(now);
}

void SentinelWatch::ask(TimePoint now) {
  asked_ = true;
  asked_at_ = now;
  protocol::append_command(output_, {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", route_.url().master});
}

void SentinelWatch::take_address(const Reply& reply) {
  const std::string& name = route_.url().master;
  if (reply.is_error()) return fail(Errc::unavailable, "it refused to say: " + reply.text);
  if (reply.is_null()) return fail(Errc::unavailable, "it knows no master '" + name + "'");
  if (reply.type != Type::array || reply.elements.size() != 2)
    return fail(Errc::protocol, "its answer is no address");
  move_to(reply.elements[0].text, reply.elements[1].text);
}

void SentinelWatch::take_message(const Reply& push) {
  const auto& parts = push.elements;
  if (parts.size() != 3 || parts[0].text != "message" || parts[1].text != kSwitch) return;
  // The name, where it was, where it is.
  const auto words = words_of(parts[2].text);
  if (words.size() == 5 && words[0] == route_.url().master) move_to(words[3], words[4]);
}

void SentinelWatch::move_to(const std::string& host, const std::string& port) {
  if (host.empty() || !is_port(port)) return fail(Errc::protocol, "its answer is no address");
  route_.move_to({host, port});
  state_ = State::watching;
  in_vain_ = 0;
}

void SentinelWatch::tick(TimePoint now) {
  if (state_ != State::watching || broken_) return;
  const Duration since = now - asked_at_;
  if (asked_ && since >= kAskEvery) return fail(Errc::timeout, "it did not answer within 1 s");
  if (asked_ || since < kHurried) return;
  if (route_.take_doubt() || since >= kAskEvery) ask(now);
}

void SentinelWatch::closed(Error why, TimePoint) {
  if (++in_vain_ >= route_.url().sentinels.size()) {
    route_.lose("no sentinel says where the master '" + route_.url().master +
                "' is; the last one asked was " + sentinel().to_string() + ": " + why.detail);
  }
  at_ = (at_ + 1) % route_.url().sentinels.size();
  own_.turn_to(sentinel());
  state_ = State::down;
  asked_ = false;
  output_.clear();
  broken_.reset();
}

}  // namespace nearlane::l2
