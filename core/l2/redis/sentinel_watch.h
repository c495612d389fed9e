// SentinelWatch: what is said to one sentinel after the other, to know where the master is.
//
// It asks (SENTINEL GET-MASTER-ADDR-BY-NAME) once a second, at once when somebody doubts the answer, and hears of
// switches between (+switch-master). A sentinel that is silent, or does not know the name, is left for the next one;
// as long as none answers, what was known is believed. Whether the server is a master, whoever connects to it finds
// out: a sentinel may be wrong.
//
// Units:     time on the monotonic clock.
// Errors:    as Conversation: broken() says why this sentinel is of no use.
// Threads:   one owner.
// Lifetime:  both routes outlive it.
// Cost:      a small command a second.
// Source:    Redis, "Guidelines for Redis clients with support for Redis Sentinel".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/cohere/conversation.h"
#include "core/l2/redis/redis_url.h"
#include "core/l2/redis/route.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::l2 {

class SentinelWatch final : public cohere::Conversation {
 public:
  /// Moves `route`, whose URL names the sentinels; turns `own`, by which it is connected itself, from one to the next.
  SentinelWatch(Route& route, Route& own);

  void connected(TimePoint now) override;
  void received(std::string_view bytes, TimePoint now) override;
  void closed(Error why, TimePoint now) override;
  void tick(TimePoint now) override;
  [[nodiscard]] bool ready() const noexcept override { return state_ == State::watching; }

 private:
  enum class State : std::uint8_t {
    down,
    greeting,        // HELLO 3
    authenticating,  // HELLO 3 AUTH, where it asks for it
    asking,          // for the first time
    watching,
  };

  void ask(TimePoint now);
  void take(const protocol::Reply& reply, TimePoint now);
  void take_greeting(const protocol::Reply& reply, TimePoint now);
  void take_address(const protocol::Reply& reply);
  void take_message(const protocol::Reply& push);
  void move_to(const std::string& host, const std::string& port);

  [[nodiscard]] const Endpoint& sentinel() const noexcept { return route_.url().sentinels[at_]; }

  Route& route_;
  Route& own_;
  std::size_t at_ = 0;       // which sentinel
  std::size_t in_vain_ = 0;  // sentinels since one has answered
  State state_ = State::down;
  bool asked_ = false;  // and not answered yet
  TimePoint asked_at_ = TimePoint::min();
  protocol::ReplyParser parser_;
};

}  // namespace nearlane::l2
