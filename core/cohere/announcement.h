// Announcement: what a writer publishes of a write in stores that announce no changes themselves,
// and AnnouncementOrder: whether a subscriber has missed one.
//
// One connection of a writer gives its announcements in order, different ones do not, so each
// connection counts its own: (origin, lane, incarnation) names it, `sequence` is one more each time.
// What is published is bytes that anybody may send. It is therefore believed in for an invalidation,
// which costs a copy and never freshness, and what cannot be read counts as one that was missed.
//
//   "NL1 <origin> <lane> <incarnation> <sequence> <db> <keys>\n" then "<bytes>:<key>" for each key
//
// Numbers are decimal without sign or leading zeros; <keys> is their count, or "*" where every key may
// have changed. A connection's first announcement is of no key: it says that there is one.
//
// Errors:    parse gives nullopt for what format never writes.
// Threads:   one owner.
// Lifetime:  a parsed announcement views the message.
// Cost:      one pass over the message; one look-up a message, at most kMaxSenders remembered.
// Source:    docs/coherence.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearlane::cohere {

/// Larger than any write of a few keys needs; a writer of more announces everything instead.
inline constexpr std::size_t kMaxAnnouncementBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kMaxAnnouncedKeys = 1024;  // of one message, for the same reason
/// Connections that are remembered: 2,000 instances of 32 lanes. Only a foreign publisher invents more.
inline constexpr std::size_t kMaxSenders = std::size_t{1} << 16U;

struct Announcement {
  std::uint64_t origin = 0;       // random, of the writer's process
  std::uint32_t lane = 0;         // which of its connections
  std::uint64_t incarnation = 0;  // grows each time that this connection is made
  std::uint64_t sequence = 0;     // of this incarnation, from 1
  std::uint32_t db = 0;
  bool everything = false;  // keys of any name in any database; `keys` is then empty
  std::vector<std::string_view> keys = {};

  friend bool operator==(const Announcement&, const Announcement&) = default;
};

/// The message of `announcement`; one that would be over a limit says that everything has changed.
[[nodiscard]] std::string format_announcement(const Announcement& announcement);

[[nodiscard]] std::optional<Announcement> parse_announcement(std::string_view message);

/// Whether announcements were missed. Its answers hold from a subscription on, at which the
/// subscriber disowns all that it has: the first message of a sender may have any number. A message that
/// was lost is missed when the next of its connection or of that connection's successor comes, no sooner;
/// the last ones of a connection that was replaced are not missed at all.
class AnnouncementOrder {
 public:
  explicit AnnouncementOrder(std::size_t max_senders = kMaxSenders) : max_senders_(max_senders) {}

  /// False: something was missed, or may have been, and the subscriber must disown everything.
  [[nodiscard]] bool follows(const Announcement& announcement);
  /// At each subscription.
  void reset() noexcept { seen_.clear(); }

 private:
  struct Seen {
    std::uint64_t incarnation = 0;
    std::uint64_t sequence = 0;
  };
  const std::size_t max_senders_;
  std::map<std::pair<std::uint64_t, std::uint32_t>, Seen> seen_;
};

}  // namespace nearlane::cohere
