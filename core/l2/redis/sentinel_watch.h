// SentinelWatch: what is said to one sentinel, to know where it believes the master to be.
//
// It asks for the address and for the epoch of the switch that led there, once a second, at once when it hears of a
// switch (+switch-master) and when somebody doubts what the sentinels say. A sentinel that is silent, or does not know
// the name, is left, and tried again as any server is. Whether the server is a master, whoever connects to it finds
// out: sentinels may be wrong.
//
// Units:     time on the monotonic clock.
// Errors:    as Conversation: broken() says why this sentinel is of no use.
// Threads:   one owner, the same for all sentinels of a master.
// Lifetime:  the sentinels outlive it.
// Cost:      two small commands a second.
// Source:    Redis, "Guidelines for Redis clients with support for Redis Sentinel".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/cohere/conversation.h"
#include "core/l2/redis/sentinels.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::l2 {

class SentinelWatch final : public cohere::Conversation {
 public:
  /// For the `which`th of the URL.
  SentinelWatch(Sentinels& sentinels, std::size_t which);

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
    subscribing,     // and asking already
    asking,          // for the first time
    watching,
  };

  /// Which reply to the question comes next.
  enum class Awaited : std::uint8_t { none, epoch, address };

  void ask(TimePoint now);
  void take(const protocol::Reply& reply, TimePoint now);
  void take_greeting(const protocol::Reply& reply, TimePoint now);
  void take_epoch(const protocol::Reply& reply);
  void take_address(const protocol::Reply& reply, TimePoint now);
  void take_message(const protocol::Reply& push, TimePoint now);

  Sentinels& sentinels_;
  const std::size_t which_;
  State state_ = State::down;
  Awaited awaited_ = Awaited::none;
  bool ask_again_ = false;    // what it answers may be older than what was heard since
  std::uint64_t epoch_ = 0;   // of the answer that is coming
  std::uint64_t doubts_ = 0;  // that were asked about
  TimePoint asked_at_ = TimePoint::min();
  protocol::ReplyParser parser_;
};

}  // namespace nearlane::l2
