// Order: which commands of one connection may be under way together.
//
// Commands take effect in the order sent, pipelined or not. A lane keeps the order of its own
// commands, and reads do not change anything; so a command may be sent to L2 without waiting if
// nothing of this connection is unanswered, or if everything unanswered and it are reads, or if
// everything unanswered and it are commands of one lane, or relayed ones, which share a connection. Otherwise it waits until the
// connection has been answered everything. What may be sent twice (the lease has lapsed: a small command first, and a fetch if that
// was not enough), or has joined a call of somebody else, which may not have been sent yet, is aside: in no lane's
// order, so that writes wait for it.
//
// Threads:  one connection's.
// Cost:     a few words; no allocation.
// Source:   docs/decisions/0004-order-within-a-connection.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nearlane::resp {

class Order {
 public:
  /// whole: several keys, or none, so in no lane's order. relayed: in that of the relay (servers/resp/relay.h).
  enum class Kind : std::uint8_t { read, write, whole, relayed };

  /// Where a key's lane may be another one by the next command (over a cluster), no lane keeps two commands in order.
  explicit Order(bool keys_change_lanes = false) : keys_change_lanes_(keys_change_lanes) {}

  [[nodiscard]] bool may_send(Kind kind, std::size_t lane) const noexcept {
    if (unanswered_ == 0) return true;
    if (kind == Kind::relayed) return relayed_ == unanswered_;
    if (beside_lanes() || kind == Kind::whole) return false;
    if (keys_change_lanes_) return kind == Kind::read && writes_ == 0;
    if (kind != Kind::write && writes_ == 0) return true;
    return aside_ == 0 && one_lane_ && lane == lane_;
  }
  /// A read of this lane must follow an unanswered write down the lane.
  [[nodiscard]] bool bypasses_l1(std::size_t lane) const noexcept {
    return writes_ > 0 && lane == lane_ && !keys_change_lanes_;
  }
  /// Nothing unanswered can change what a read sees.
  [[nodiscard]] bool only_reads() const noexcept { return writes_ == 0 && !beside_lanes(); }
  /// Something unanswered may have written what a read is about to see, and no lane puts it in order: what L1 has may be
  /// older.
  [[nodiscard]] bool read_waits() const noexcept {
    return beside_lanes() || (keys_change_lanes_ && writes_ > 0);
  }
  [[nodiscard]] std::size_t unanswered() const noexcept { return unanswered_; }

  /// Precondition: may_send.
  void sent(Kind kind, std::size_t lane) noexcept {
    if (unanswered_++ == 0) {
      lane_ = lane;
      one_lane_ = true;
    }
    one_lane_ = one_lane_ && lane == lane_;
    if (kind == Kind::write) ++writes_;
    if (kind == Kind::whole) whole_ = true;
    if (kind == Kind::relayed) ++relayed_;
  }
  /// Something that was sent is aside.
  void step_aside() noexcept { ++aside_; }
  /// So many that were aside have been answered.
  void came_back(std::size_t count) noexcept { aside_ -= count; }
  void answered(Kind kind) noexcept {
    --unanswered_;
    if (kind == Kind::write) --writes_;
    if (kind == Kind::whole) whole_ = false;
    if (kind == Kind::relayed) --relayed_;
  }

 private:
  [[nodiscard]] bool beside_lanes() const noexcept { return whole_ || relayed_ > 0; }

  const bool keys_change_lanes_;
  std::size_t unanswered_ = 0;
  std::size_t aside_ = 0;
  std::size_t writes_ = 0;
  std::size_t relayed_ = 0;
  std::size_t lane_ = 0;
  bool one_lane_ = true;
  bool whole_ = false;
};

}  // namespace nearlane::resp
