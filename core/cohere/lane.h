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
// What vouches for what was read over a connection is found out in its handshake (Form): L2, which
// was probed and announces changes; or, in a store that has no such thing, the writers, who publish
// theirs in the transaction that makes them (core/cohere/channel.h hears them, and this lane takes over
// its epoch and lease). Where neither can be had, the lane carries calls all the same, but vouches for
// nothing: no lease, kNoEpoch in its answers. It is probed again every few seconds.
//
// Calls that come while the first attempt after a loss is under way wait for it, up to their
// deadline; once an attempt has failed they fail at once, so that an L2 which is down costs nobody
// a timeout.
//
// Units:     time on the monotonic clock, bytes.
// Errors:    a peer that breaks the protocol makes broken() say why; the carrier closes the
//            connection and calls closed().
// Threads:   one owner (an event loop).
// Lifetime:  view, listener and announcements outlive it.
// Cost:      one deque slot a call; the reply's body is moved, not copied.
// Source:    docs/coherence.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/cohere/call.h"
#include "core/cohere/channel.h"
#include "core/cohere/conversation.h"
#include "core/cohere/lane_view.h"
#include "core/cohere/tracking_probe.h"
#include "core/protocol/reply_parser.h"

namespace nearlane::cohere {

struct LaneConfig {
  Duration lease = std::chrono::milliseconds(250);
  Duration lane_dead = std::chrono::seconds(5);  // longer than the pause of a fork
  Duration stay_warm = std::chrono::seconds(5);  // heartbeats go on for so long after the last hit
  std::size_t max_calls = 4096;                  // waiting and in flight
  std::size_t max_bytes = std::size_t{256} << 20U;  // waiting, and not yet taken by the connection
  bool tracked = true;  // false: commands outside the lanes, whose keys L2 shall not announce to us
  Coherence coherence = Coherence::lanes;
  Announcements* announcements = nullptr;  // null: this instance announces nothing
  /// Which of the process's connections this is; lanes, the tracked ones, come first.
  std::uint32_t announcer = 0;
  std::string subscribe = {};  // a channel whose messages are the listener's hints; empty: none
  std::string user = {};
  std::string password = {};
  std::string client_name = "nearlane";
  /// A key of L2 that nobody else uses: each connection is probed with it before L1 may serve what was
  /// read over it (core/cohere/tracking_probe.h). Empty: tracking is believed in.
  std::string probe_key = {};

  // Where L2 is a Redis Cluster, and this a connection to one of its primaries.

  /// Takes back a call that L2 has not executed because the slot of its key is, or may be, another node's, with L2's reply
  /// (MOVED, ASK, TRYAGAIN); neither settled nor completed. Null: L2 is no cluster, and these are answers.
  std::function<void(std::unique_ptr<Call>, std::string_view reply)> redirect = {};
  /// What stands in probe_key's stead at the moment: it has to be in a slot of this primary.
  std::function<std::string()> find_probe_key = {};
  /// Every call asks for a key whose slot is on its way here (ASKING).
  bool asking = false;
};

class Lane final : public Conversation {
 public:
  enum class State : std::uint8_t { down, connecting, handshake, ready };
  /// What vouches for what was read over this connection.
  enum class Form : std::uint8_t {
    unknown,    // the handshake is not over
    tracked,    // L2 announces changes
    announced,  // the writers do
    alone,      // nobody else writes, as we were told
    unvouched,  // nothing does; distrust() says why, unless the lane is outside the lanes
  };

  Lane(const LaneConfig& config, LaneView& view, Listener& listener);
  ~Lane() override;

  void submit(std::unique_ptr<Call> call, TimePoint now);
  /// Nothing that was read so far is vouched for any more; what is read from now on is, if it was.
  void disown() noexcept;

  void connect() noexcept override { state_ = State::connecting; }
  void connected(TimePoint now) override;
  void received(std::string_view bytes, TimePoint now) override;
  void closed(Error why, TimePoint now) override;
  void tick(TimePoint now) override;
  [[nodiscard]] bool ready() const noexcept override { return state_ == State::ready; }

  [[nodiscard]] State state() const noexcept { return state_; }
  /// Why the last connection ended or could not be made; empty while all is well.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  [[nodiscard]] Form form() const noexcept { return ready() ? form_ : Form::unknown; }
  /// Why this connection vouches for nothing; empty where it does.
  [[nodiscard]] const std::string& distrust() const noexcept { return distrust_; }

 private:
  /// What the next reply on the wire means.
  enum class Step : std::uint8_t {
    hello,
    auth,  // where there is no HELLO
    tracking,
    subscribe,    // answered by a push, unless refused: then there are no hints
    indifferent,  // a refusal is no error
    probe,
    first_announcement,  // refused: this user may not announce anything
    replication,  // of the handshake or of a heartbeat: L2 must be a master, with the history that it had
    select,      // into a database that is known to exist
    try_select,  // into one that is not: nothing follows before its reply
    watch,
    caching,
    multi,
    queued,
    beside,  // queued: Command::beside, or what it makes necessary
    exec,
    value,  // of GET, or of a raw command
    pttl,
    pong,
  };

  /// Of a comparison, which nothing follows before it is over: whoever ends a transaction ends all watches.
  enum class Phase : std::uint8_t {
    none,
    look,  // WATCH, GET
    act,   // MULTI, …, EXEC
  };

  struct Pending {
    std::unique_ptr<Call>
        call;  // null: our own command, or a call that was answered already (its deadline passed)
    std::array<Step, 8> steps{};
    std::uint8_t count = 0;
    std::uint8_t at = 0;
    std::uint32_t db = 0;         // try_select
    bool has_pttl = false;        // exec: behind the command's own reply
    bool has_beside = false;      // exec: of Command::beside
    std::uint8_t ahead = 0;       // exec: replies before EXISTS's and the command's own
    bool own_refused = false;     // exec: nothing was executed for the command itself
    bool beside_refused = false;  // exec: nor for that
    bool barred = false;  // a fetch that went without Command::beside, which is refused for good
    Phase phase = Phase::none;
    std::uint8_t attempts = 0;  // looks that this comparison has had
    bool announces = false;     // exec: with the latest number
    bool overtaken = false;     // exec: somebody has written the key since it was watched
    std::optional<std::uint64_t> given_up = {};  // a write's key, whose caller waits no more
    Answer answer = {};
    std::string queue_error =
        {};  // the first error among the QUEUED replies says more than EXECABORT
  };

  void write(std::unique_ptr<Call> call, TimePoint now);
  void write_transaction(Pending& pending, const Command& command);
  void append_announcement(const Command& command);
  void write_look(Pending& pending, const Command& command);
  void take_look(Pending look, TimePoint now);
  void take_act(Pending act, TimePoint now);
  void end_comparison(Pending over, TimePoint now);
  void write_select(std::uint32_t db, Step step, TimePoint now);
  void write_first_announcement(TimePoint now);
  void write_own(std::span<const std::string_view> args, Step step, TimePoint now);
  void write_own(std::initializer_list<std::string_view> args, Step step, TimePoint now) {
    write_own(std::span(args.begin(), args.size()), step, now);
  }
  Pending& push_pending(TimePoint now);
  void flush_waiting(TimePoint now);
  void greet(TimePoint now);
  bool take_hello(const protocol::Reply& reply, TimePoint now);
  void find_form(TimePoint now);
  void become_ready(Form form, TimePoint now);
  void take_reply(protocol::Reply reply, TimePoint now);
  [[nodiscard]] bool confirms_subscription(const protocol::Reply& push) const noexcept;
  void take_push(const protocol::Reply& push);
  bool take_step(Pending& pending, Step step, protocol::Reply& reply, TimePoint now);
  [[nodiscard]] bool take_replication(const protocol::Reply& reply);
  void take_exec(Pending& pending, protocol::Reply& reply);
  void take_try_select(const Pending& pending, const protocol::Reply& reply, TimePoint now);
  void note_error(std::string_view text, Epoch sent_in);
  void take_probe(const protocol::Reply& reply);
  void extend_lease(TimePoint sent_at);
  void vouch();
  void follow_channel();
  void begin_probe(TimePoint now);
  [[nodiscard]] bool registers(const Command& command) const noexcept {
    return form_ == Form::tracked && command.announced;
  }
  [[nodiscard]] bool announces(const Command& command) const noexcept;
  void heartbeat(TimePoint now);
  void expire_overdue(TimePoint now);
  void wait(std::unique_ptr<Call> call);
  void wait_first(std::unique_ptr<Call> call);
  [[nodiscard]] std::unique_ptr<Call> take_waiting();
  void count_waiting() noexcept;
  [[nodiscard]] std::size_t calls() const noexcept { return pending_.size() + waiting_.size(); }
  /// Nothing may be written before a reply has come.
  [[nodiscard]] bool held_up() const noexcept { return trying_db_ || comparing_; }
  [[nodiscard]] bool knows(std::uint32_t db) const noexcept;
  void finish(std::unique_ptr<Call> call, Answer answer);
  void write_asking(Pending& pending);
  [[nodiscard]] bool sends_beside(const Call& call) const noexcept {
    const Command& command = call.command;
    return !command.beside.empty() && !call.alone && (command.needs_beside || !refuses_beside_);
  }
  [[nodiscard]] bool goes_alone(const Pending& pending) const noexcept;

  const LaneConfig config_;
  LaneView& view_;
  Listener& listener_;
  State state_ = State::down;
  protocol::ReplyParser parser_;
  std::deque<Pending> pending_;                // sent, in order
  std::deque<std::unique_ptr<Call>> waiting_;  // until the lane is ready, or a database is known
  std::size_t waiting_bytes_ = 0;              // of the calls in waiting_
  std::string trouble_;
  std::string
      lost_authority_;   // why this node should not be asked any more, until its reply is handed on
  bool patient_ = true;  // calls wait for the connection that is being made
  std::uint32_t current_db_ = 0;
  std::uint64_t known_dbs_ = 1;  // bit n: database n was selected once on this connection
  bool trying_db_ = false;
  bool comparing_ = false;
  bool refuses_beside_ = false;  // this connection's L2 has refused one of Command::beside for good
  Form form_ = Form::unvouched;
  std::string distrust_;
  bool greeted_ = false;            // L2 is a master; what is left is to know who announces changes
  bool resp2_ = false;              // L2 knows no HELLO
  std::uint64_t incarnation_ = 0;   // connections so far
  std::uint64_t sequence_ = 0;      // announcements over this one
  Epoch channel_epoch_ = kNoEpoch;  // that was taken over
  std::uint64_t channel_flushes_ = 0;
  TrackingProbe probe_;
  TimePoint probed_at_ = TimePoint::min();
  TimePoint lease_until_ = TimePoint::min();
  TimePoint last_sent_ = TimePoint::min();
  std::string replication_id_;  // of this connection's L2: names the history that its data have
  TimePoint last_replication_ = TimePoint::min();
  TimePoint last_hit_ = TimePoint::min();
  TimePoint last_call_ = TimePoint::min();
  TimePoint next_deadline_ = kForever;  // no call is overdue before
};

}  // namespace nearlane::cohere
