// ModelRedis: as much of Redis as coherence depends on, over real RESP bytes.
//
// It reads commands and writes replies and pushes as Redis 7.0 was measured to do
// (docs/coherence.md): tracking with OPTIN and NOLOOP, where CLIENT CACHING YES holds for the next
// command or transaction, any write drops the registrations of its key, a write of one's own is not
// announced to oneself, and neither is an end that one's own command found; a flush pushes null;
// pushes carry no database. A deadline that has passed ends a key when somebody asks for it or when
// expire_due() comes by. A failover leaves the connections to whoever owns them and forgets what
// was tracked.
//
// A value is a version's number, followed by whatever makes it as long as it was set. How many keys there may be
// is said at the start.
//
// Units:     its clock is the simulation's, in whole milliseconds, rounded down as Redis's is.
// Errors:    Redis's own replies.
// Threads:   one owner.
// Lifetime:  the history outlives it; output() is taken by whoever carries the bytes.
// Source:    tracking.c and multi.c of Redis 7.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/protocol/command_parser.h"
#include "core/protocol/writer.h"
#include "core/tier/sim/history.h"

namespace nearlane::sim {

class ModelRedis {
 public:
  using Client = std::size_t;
  /// What stands behind CLIENT TRACKING and MULTI; all but `proper`, `quiet_touches` and `untold` are mutants.
  enum class Form : std::uint8_t {
    proper,
    no_multi,       // a transaction's commands arrive as single ones, CACHING before the PTTL
    untracked,      // a transaction registers nothing, like a bare SET
    broadcast,      // BCAST: every key is announced, at the end of the event loop's turn
    quiet_touches,  // what Redis is not: PEXPIRE is announced to nobody
    untold,         // a store of before HELLO and tracking
    early_news,     // the same, and a PUBLISH does not wait for its transaction
  };
  struct Name {
    std::uint32_t db = 0;
    std::string_view name;
  };

  /// The names' bytes are the caller's, and stay.
  ModelRedis(History& history, std::vector<Name> keys, Form form);

  [[nodiscard]] Client connect();
  void disconnect(Client client) noexcept;
  void receive(Client client, std::string_view bytes, TimePoint now);
  /// Replies and pushes for the client; the caller takes them out.
  [[nodiscard]] std::string& output(Client client) noexcept { return clients_[client].output; }
  [[nodiscard]] const std::vector<Name>& names() const noexcept { return keys_; }
  [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

  /// Somebody else's command, on a connection that tracks nothing.
  void execute(std::uint32_t db, std::initializer_list<std::string_view> args, TimePoint now);
  /// The cycle that looks for keys whose time is up.
  void expire_due(TimePoint now);
  /// The tracking table is full: somebody's key is announced without having changed.
  void forget_tracked(std::size_t key);
  /// The end of the event loop's turn, which broadcasts.
  void end_turn();
  [[nodiscard]] bool has_to_broadcast() const noexcept;
  /// Some client's command has arrived in part.
  [[nodiscard]] bool waits_for_more() const noexcept;
  /// Another node takes over, with or without the last write.
  void fail_over(bool keep_last_write, TimePoint now);
  /// Who is connected now is from now on connected to a replica.
  void demote() noexcept;
  void load_until(TimePoint when) noexcept { loading_until_ = when; }

  /// The version that the key has now; kNone if there is no such key.
  [[nodiscard]] Version value_of(std::size_t key, TimePoint now) const noexcept;
  [[nodiscard]] std::uint64_t reads() const noexcept { return reads_; }
  [[nodiscard]] std::uint64_t touches() const noexcept { return touches_; }
  /// Of values, to clients.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  [[nodiscard]] std::uint64_t pushes() const noexcept { return pushes_; }

 private:
  using Args = std::span<const std::string_view>;
  struct Slot {
    Version value = kNone;
    std::int64_t expires_ms = -1;
    std::size_t bytes = 0;  // of the value
    std::size_t name = 0;   // whose registrations hold for it
  };
  struct Peer {
    protocol::CommandParser parser;
    std::string input;
    std::string output;
    std::string saved;  // no_multi: replies that EXEC will hand out
    std::vector<std::vector<std::string>> queued;
    std::size_t saved_count = 0;
    std::uint32_t db = 0;
    bool connected = true;
    bool replica = false;
    bool tracking = false;
    bool caching = false;
    bool in_multi = false;
    bool dirty = false;                 // a command of the transaction was refused
    std::vector<std::string> channels;  // that it has subscribed to
    std::vector<bool> due;              // broadcast: to be announced
  };

  void take(Client client, Args args, TimePoint now);
  void queue(Client client, Args args, TimePoint now);
  void exec(Client client, TimePoint now);
  void run(Client client, Args args, TimePoint now);
  void run_client(Peer& peer, Args args);
  void get(Client client, const Slot* slot);
  void subscribe(Peer& peer, Args args);
  void publish(Client client, Args args);
  [[nodiscard]] bool speaks_resp2() const noexcept {
    return form_ == Form::untold || form_ == Form::early_news;
  }
  [[nodiscard]] protocol::Version version() const noexcept {
    return speaks_resp2() ? protocol::Version::resp2 : protocol::Version::resp3;
  }
  void begin_frame(std::string& out, std::size_t elements) const;
  void set(Client client, Args args, TimePoint now);
  void remove(Client client, Args args, TimePoint now);
  void flush(Client client, Args args, TimePoint now);
  [[nodiscard]] std::string_view refusal(const Peer& peer, std::string_view command,
                                         TimePoint now) const noexcept;
  /// The slot of a name in the peer's database; null for names that the schedule does not use.
  Slot* find(Client client, std::string_view name, TimePoint now);
  /// What a command that only reads does to tracking.
  void note_read(Client client, const Slot& slot);
  void write(Client by, Slot& slot, Version value, std::int64_t expires_ms, Version write,
             TimePoint now);
  void announce(Client by, const Slot& slot);
  void expire(Client by, Slot& slot);
  void push(Peer& peer, std::size_t key);
  [[nodiscard]] std::size_t index_of(const Slot& slot) const noexcept {
    return static_cast<std::size_t>(&slot - slots_.data());
  }

  static constexpr Client kNobody = 0;  // the client of execute() and expire_due()

  History& history_;
  const std::vector<Name> keys_;
  const Form form_;
  std::vector<Slot> slots_;
  std::unordered_multimap<std::string_view, std::size_t> by_name_;
  // By name: Redis keeps no database with a registration, so a write of the name in one database
  // announces it, and drops it, for all.
  std::vector<std::vector<Client>> tracked_;
  std::vector<Slot> before_;          // as it was before the last write, for a failover to lose
  std::vector<std::size_t> changed_;  // where slots_ may differ from it
  std::vector<Peer> clients_;
  TimePoint loading_until_ = TimePoint::min();
  std::uint64_t reads_ = 0;
  std::uint64_t touches_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t pushes_ = 0;
};

}  // namespace nearlane::sim
