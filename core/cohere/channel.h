// Channel: the subscriber that hears what writers announce, in stores that announce no changes
// themselves; and Announcements, what it shares with the lanes that rely on it.
//
// Heartbeats make the lease. One is a write that only a master executes and, in the same transaction,
// a message to a channel that nobody else hears (a DEL of a key that is not there, which changes and
// replicates nothing). When it is heard, every announcement that was published before it has been heard
// as well, since one connection's messages keep the order in which they were published: so it vouches
// until it was *sent* + lease. A PONG of this connection would prove less: that this node is alive,
// not that it is the one that the writers write to.
//
// Whatever may have been missed disowns everything: a lost connection, a gap, a message that cannot be
// read, and the time before a subscription.
//
// Threads:   the channel: one owner (an event loop), which alone writes the view. Announcements: any.
// Errors:    a peer that breaks the protocol makes broken() say why.
// Lifetime:  announcements and listener outlive it.
// Cost:      a message is one look-up and an invalidation a key; a heartbeat five small commands, and its message.
// Source:    docs/coherence.md; docs/decisions/0014-announcements.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/cohere/announcement.h"
#include "core/cohere/call.h"
#include "core/cohere/conversation.h"
#include "core/cohere/lane_view.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::cohere {

struct Announcements {
  std::uint64_t origin = 0;  // random, of this process: our own are known by it
  /// Of our lanes, by announcer: the number of each one's connection. What it says over that one it knows itself; what
  /// it said over an earlier one may be executed whenever L2 comes to it.
  std::vector<std::atomic<std::uint64_t>> incarnations = {};
  std::string channel = "nearlane:announcements";
  /// How long L1 keeps at most what others may change without announcing it. Never Duration::max(): where age has no
  /// cap a touch moves a copy's end, and here that may be the copy of what was overwritten, and not heard of yet.
  Duration l1_ttl = std::chrono::seconds(2);
  /// Whether L2 announces nothing, so that writers do: as the lane says whose handshake was the last.
  enum class Need : std::uint8_t { unknown, no, yes };
  std::atomic<Need> need{Need::unknown};
  /// Heard so far: what was read before is not to be served even while L2 is away.
  std::atomic<std::uint64_t> flushes{0};
  /// The channel's: lanes take over its epoch and lease.
  LaneView view{};
};

struct ChannelConfig {
  Duration lease = std::chrono::milliseconds(250);
  Duration dead = std::chrono::seconds(5);  // a heartbeat not heard for so long ends the connection
  Duration stay_warm = std::chrono::seconds(5);  // heartbeats go on for so long after the last hit
  std::string user = {};
  std::string password = {};
};

class Channel final : public Conversation {
 public:
  Channel(const ChannelConfig& config, Announcements& announcements, Listener& listener);

  [[nodiscard]] bool wanted() const noexcept override;
  void connected(TimePoint now) override;
  void received(std::string_view bytes, TimePoint now) override;
  void closed(Error why, TimePoint now) override;
  void tick(TimePoint now) override;
  /// Subscribed.
  [[nodiscard]] bool ready() const noexcept override { return state_ == State::subscribed; }

  /// The next heartbeat, to be sent at once over a connection outside the lanes; null: none is due. To be
  /// asked for after every tick.
  [[nodiscard]] std::unique_ptr<Call> heartbeat(TimePoint now);

  /// Messages that were missing, out of order or not to be read.
  [[nodiscard]] std::uint64_t gaps() const noexcept {
    return gaps_.load(std::memory_order_relaxed);
  }

 private:
  enum class State : std::uint8_t { down, authenticating, subscribing, subscribed };
  struct Beat {
    std::uint64_t number;
    TimePoint sent_at;
  };

  void subscribe();
  void take(const protocol::Reply& reply);
  void take_announcement(std::string_view message);
  void take_beat(std::string_view message);
  [[nodiscard]] bool is_known(const Announcement& own) const noexcept;
  void disown_everything();
  void break_off(std::string detail);

  const ChannelConfig config_;
  Announcements& announcements_;
  const std::string own_;  // the channel of our heartbeats
  Listener& listener_;
  State state_ = State::down;
  protocol::ReplyParser parser_;
  AnnouncementOrder order_;
  std::deque<Beat> beats_;  // not heard yet
  std::uint64_t last_beat_ = 0;
  unsigned confirmed_ = 0;  // subscriptions
  TimePoint connected_at_ = TimePoint::min();
  TimePoint beaten_at_ = TimePoint::min();
  TimePoint last_hit_ = TimePoint::min();
  std::atomic<std::uint64_t> gaps_{0};
};

}  // namespace nearlane::cohere
