// Channel: the subscriber that hears what writers announce, as a state machine without I/O, in
// stores that announce no changes themselves. It speaks RESP2, where a subscribed connection may
// only PING.
//
// One store orders messages and PONGs of one connection: every announcement published before a PING
// was executed comes before its PONG. So a PONG vouches for all lanes until the PING was sent + lease,
// and not until it came + lease. Whatever may have been missed disowns the entries of all lanes: a
// lost connection, a gap, a message that cannot be read, and the time before a subscription.
//
// Units:     time on the monotonic clock, bytes.
// Errors:    a peer that breaks the protocol makes broken() say why; the carrier closes the
//            connection and calls closed().
// Threads:   one owner (an event loop), which alone writes the views.
// Lifetime:  views and listener outlive it.
// Cost:      a message is one look-up and an invalidation a key; a PONG one store a lane.
// Source:    docs/coherence.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/cohere/announcement.h"
#include "core/cohere/call.h"
#include "core/cohere/lane_view.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::cohere {

struct ChannelConfig {
  Duration lease = std::chrono::milliseconds(250);
  Duration dead = std::chrono::seconds(5);  // a PING unanswered for so long ends the connection
  Duration stay_warm = std::chrono::seconds(5);  // PINGs go on for so long after the last hit
  std::uint64_t origin = 0;                      // our own announcements are known by it
  std::string name = "nearlane:announcements";   // what is subscribed to
  std::string user = {};
  std::string password = {};
};

class Channel {
 public:
  Channel(const ChannelConfig& config, std::span<LaneView> lanes, Listener& listener);

  // What the connection reports.
  void connected(TimePoint now);
  void received(std::string_view bytes, TimePoint now);
  /// The connection is gone or could not be made.
  void closed();
  /// PINGs and dead peers. To be called every lease / 5.
  void tick(TimePoint now);

  /// Bytes to be sent; the caller takes them out.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] const std::optional<Error>& broken() const noexcept { return broken_; }
  [[nodiscard]] bool subscribed() const noexcept { return state_ == State::subscribed; }
  /// Messages that were missing, out of order or not to be read.
  [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }

 private:
  enum class State : std::uint8_t { down, authenticating, subscribing, subscribed };

  void subscribe();
  void take(const protocol::Reply& reply);
  void take_message(std::string_view message);
  void take_pong();
  void disown_everything();
  void fail(std::string detail);

  const ChannelConfig config_;
  const std::span<LaneView> lanes_;
  Listener& listener_;
  State state_ = State::down;
  protocol::ReplyParser parser_;
  AnnouncementOrder order_;
  std::deque<TimePoint> pings_;                // when each was sent that is not answered yet
  TimePoint vouched_from_ = TimePoint::min();  // PINGs sent before prove nothing
  TimePoint now_ = TimePoint::min();
  TimePoint connected_at_ = TimePoint::min();
  TimePoint lease_until_ = TimePoint::min();
  TimePoint last_hit_ = TimePoint::min();
  std::string output_;
  std::optional<Error> broken_;
  std::uint64_t gaps_ = 0;
};

}  // namespace nearlane::cohere
