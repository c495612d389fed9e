// TrackingProbe: finds out, over a lane's own connection, whether L2 announces changes as the lane relies on.
//
// A store may answer OK to CLIENT TRACKING and never push, or push too late; who believes it serves stale
// values for ever. So each connection shows it once, before L1 serves anything that was read over it:
//
//   CLIENT TRACKING ON OPTIN NOLOOP
//   CLIENT CACHING YES, MULTI, SET probe, PTTL probe, EXEC    registers the key, as every write of ours
//   CLIENT TRACKING ON OPTIN                                  keeps registrations, and our own writes are pushed
//   DEL probe                                                 must be pushed, before the reply to the next
//   CLIENT CACHING YES, GET probe                             registers a key that is not there, as a read
//   SET probe, PTTL probe                                     must be pushed, before PTTL's reply
//   DEL probe
//   CLIENT TRACKING ON OPTIN NOLOOP
//
// all sent in one go, in no other command's way, and in the words of the cache's own commands, so that a
// user who may do no more than these passes. One key with an expiry, removed at the end. What a
// FLUSHALL pushes is not tried: that cannot be had without flushing somebody's database.
//
// Errors:    what L2 answered or did not push is the reason why it is not proven.
// Threads:   its lane's.
// Cost:      14 small commands a connection.
// Source:    docs/coherence.md; Redis 7.0's tracking.c (CLIENT TRACKING again changes the options, and keeps
//            what is registered).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/protocol/reply.h"

namespace nearlane::cohere {

/// What stores answer to a command or subcommand that they do not have.
[[nodiscard]] bool is_unknown_command(std::string_view error) noexcept;

class TrackingProbe {
 public:
  /// Appends the commands, all about `key`, which must be nobody else's; how many replies will come.
  std::size_t begin(std::string& out, std::string_view key);
  /// The reply to its next command.
  void take_reply(const protocol::Reply& reply);
  /// An invalidation; true: it was of the probe's key.
  bool take_push(std::string_view name);

  /// Replies are still to come.
  [[nodiscard]] bool running() const noexcept { return running_; }
  /// It has ended, and nothing was wrong.
  [[nodiscard]] bool proven() const noexcept { return ended_ && trouble_.empty(); }
  /// It has ended, and this was wrong; else empty.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  /// What was wrong is that L2 knows no such command, for whomever: no instance can rely on it. A user who may
  /// not, and a store that only says that it tracks, are different to each.
  [[nodiscard]] bool unknown_to_l2() const noexcept { return ended_ && unknown_; }
  /// What was wrong is that L2 loads its data, which says nothing of what it announces.
  [[nodiscard]] bool loading() const noexcept { return ended_ && loading_; }

 private:
  std::string key_;
  std::size_t at_ = 0;
  std::size_t pushes_ = 0;
  bool running_ = false;
  bool ended_ = false;
  bool unknown_ = false;
  bool loading_ = false;
  std::string trouble_;
};

}  // namespace nearlane::cohere
