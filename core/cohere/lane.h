// Lane: one ordered connection to L2 as a state machine without I/O.
//
// Bytes come in, bytes go out, time is an argument. The lane writes commands in the forms that keep
// L2's tracking registered (reads: CLIENT CACHING YES, GET, PTTL; writes whose value we know:
// CLIENT CACHING YES, MULTI, …, PTTL, EXEC), matches replies to them in order, tells its listener
// of invalidations at their place in that order, and keeps its LaneView's epoch and lease.
//
//      connect()          connected()        L2 says master
//  down ───────► connecting ───────► handshake ───────► ready
//    ▲               │ closed()          │ closed()        │ closed(): epoch bumped, in flight fails
//    └───────────────┴───────────────────┴─────────────────┘
//
// A lane whose connection was probed and not proven to announce changes carries calls all the same, but
// vouches for nothing: no lease, kNoEpoch in its answers. It is probed again every few seconds.
//
// Calls that come while the first attempt after a loss is under way wait for it, up to their
// deadline; once an attempt has failed they fail at once, so that an L2 which is down costs nobody
// a timeout.
//
// Units:     time on the monotonic clock, bytes.
// Errors:    a peer that breaks the protocol makes broken() say why; the carrier closes the
//            connection and calls closed().
// Threads:   one owner (an event loop).
// Lifetime:  view and listener outlive it.
// Cost:      one deque slot a call; the reply's body is moved, not copied.
// Source:    docs/coherence.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/cohere/call.h"
#include "core/cohere/lane_view.h"
#include "core/cohere/tracking_probe.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::cohere {

struct LaneConfig {
  Duration lease = std::chrono::milliseconds(250);
  Duration lane_dead = std::chrono::seconds(5);  // longer than the pause of a fork
  Duration stay_warm = std::chrono::seconds(5);  // heartbeats go on for so long after the last hit
  std::size_t max_calls = 4096;                  // waiting and in flight
  std::size_t max_bytes = std::size_t{256} << 20U;  // of commands not yet taken by the connection
  bool tracked = true;  // false: commands outside the lanes, whose keys L2 shall not announce to us
  std::string subscribe = {};  // a channel whose messages are the listener's hints; empty: none
  std::string user = {};
  std::string password = {};
  std::string client_name = "nearlane";
  /// A key of L2 that nobody else uses: each connection is probed with it before L1 may serve what was
  /// read over it (core/cohere/tracking_probe.h). Empty: tracking is believed in.
  std::string probe_key = {};
};

class Lane {
 public:
  enum class State : std::uint8_t { down, connecting, handshake, ready };

  Lane(const LaneConfig& config, LaneView& view, Listener& listener);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void submit(std::unique_ptr<Call> call, TimePoint now);

  // What the connection reports.
  void connect() noexcept { state_ = State::connecting; }
  void connected(TimePoint now);
  void received(std::string_view bytes, TimePoint now);
  /// The connection is gone or could not be made.
  void closed(Error why, TimePoint now);
  /// Deadlines, heartbeats, dead peers. To be called every tick_period() while not down.
  void tick(TimePoint now);
  [[nodiscard]] Duration tick_period() const noexcept;

  /// Bytes to be sent; the caller takes them out.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  /// Set once the connection must be closed; the reason.
  [[nodiscard]] const std::optional<Error>& broken() const noexcept { return broken_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// Why the last connection ended or could not be made; empty while all is well.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  /// Of this connection: proven(), or why not, once it has ended.
  [[nodiscard]] const TrackingProbe& probe() const noexcept { return probe_; }

 private:
  /// What the next reply on the wire means.
  enum class Step : std::uint8_t {
    hello,
    tracking,
    subscribe,  // answered by a push, unless refused: then there are no hints
    table,      // of tracked keys, asked to have no limit: a refusal is no error
    probe,
    replication,  // of the handshake or of a heartbeat: L2 must be a master, with the history that it had
    select,      // into a database that is known to exist
    try_select,  // into one that is not: nothing follows before its reply
    caching,
    multi,
    queued,
    exec,
    value,  // of GET, or of a raw command
    pttl,
    pong,
  };

  struct Pending {
    std::unique_ptr<Call>
        call;  // null: our own command, or a call that was answered already (its deadline passed)
    std::array<Step, 8> steps{};
    std::uint8_t count = 0;
    std::uint8_t at = 0;
    std::uint32_t db = 0;  // try_select
    Answer answer = {};
    std::string queue_error =
        {};  // the first error among the QUEUED replies says more than EXECABORT
  };

  void write(std::unique_ptr<Call> call, TimePoint now);
  void write_own(std::initializer_list<std::string_view> args, Step step, TimePoint now);
  Pending& push_pending(TimePoint now);
  void flush_waiting(TimePoint now);
  void take_reply(protocol::Reply reply, TimePoint now);
  [[nodiscard]] bool confirms_subscription(const protocol::Reply& push) const noexcept;
  void take_push(const protocol::Reply& push);
  bool take_step(Pending& pending, Step step, protocol::Reply& reply, TimePoint now);
  [[nodiscard]] bool take_replication(const protocol::Reply& reply);
  void take_exec(Pending& pending, protocol::Reply& reply);
  void take_try_select(const Pending& pending, const protocol::Reply& reply, TimePoint now);
  void note_error(std::string_view text);
  void extend_lease(TimePoint sent_at);
  void begin_probe(TimePoint now);
  [[nodiscard]] bool announces(const Command& command) const noexcept {
    return config_.tracked && trusted_ && command.announced;
  }
  void heartbeat(TimePoint now);
  void expire_overdue(TimePoint now);
  void fail(Errc code, std::string detail);
  [[nodiscard]] std::size_t calls() const noexcept { return pending_.size() + waiting_.size(); }
  [[nodiscard]] bool knows(std::uint32_t db) const noexcept;
  static void finish(std::unique_ptr<Call> call, Answer answer);

  const LaneConfig config_;
  LaneView& view_;
  Listener& listener_;
  State state_ = State::down;
  protocol::ReplyParser parser_;
  std::deque<Pending> pending_;                // sent, in order
  std::deque<std::unique_ptr<Call>> waiting_;  // until the lane is ready, or a database is known
  std::string output_;
  std::optional<Error> broken_;
  std::string trouble_;
  std::string
      lost_authority_;   // why this node should not be asked any more, until its reply is handed on
  bool patient_ = true;  // calls wait for the connection that is being made
  std::uint32_t current_db_ = 0;
  std::uint64_t known_dbs_ = 1;  // bit n: database n was selected once on this connection
  bool trying_db_ = false;
  TrackingProbe probe_;
  bool trusted_ = true;  // the connection announces changes, or we were told to believe so
  TimePoint probed_at_ = TimePoint::min();
  TimePoint lease_until_ = TimePoint::min();
  TimePoint last_sent_ = TimePoint::min();
  std::string replication_id_;  // of this connection's L2: names the history that its data have
  TimePoint last_replication_ = TimePoint::min();
  TimePoint last_hit_ = TimePoint::min();
  TimePoint next_deadline_ = kForever;  // no call is overdue before
};

}  // namespace nearlane::cohere
