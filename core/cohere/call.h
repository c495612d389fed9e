// Call: one command on its way to L2, with its asker attached.
//
// The outcome is told twice. settle() comes in the key's order: all calls and invalidations of one
// key are settled in the order in which L2 executed them, one at a time, so that what settle() does
// to L1 is ordered too. complete() comes afterwards, without any order or lock, and is where the
// asker is answered.
//
// Units:     deadlines are absolute on the monotonic clock and cover queue, connection and reply.
// Errors:    Answer::error: timeout, unavailable, connection_lost, protocol, busy, unsupported,
//            shutting_down. An error that L2 itself answered is a Reply; a missing key is a value.
// Threads:   whoever carries the call decides; settle must not submit a call, complete may.
// Lifetime:  the carrier owns a call until complete has returned.
// Source:    docs/decisions/0003-settle-then-complete.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "core/entry/entry.h"
#include "core/protocol/reply.h"

namespace nearlane::cohere {

enum class Op : std::uint8_t {
  fetch,     // GET key, PTTL key; afterwards L2 announces changes of the key
  transact,  // [EXISTS key,] the command, PTTL key, as one transaction; afterwards L2 announces
             // changes
  raw,       // the command as it is
  compare,  // GET key, and the command if `holds` says so of what is there, with nobody's write in between.
            // Outside the lanes: another client's, as far as L2 and the lanes are concerned
  confirm,  // proves that no invalidation of the key is outstanding; carries no data
  watch,  // an embedded store alone, as the next one: from now on `watch` watches the keys in `args`
  exec,  // the commands in `queued`, with nobody's in between, if `watch` still holds: an array of their replies, else null
  announce,  // nothing but what other instances are told where L2 does not tell them: that the keys in
             // `changed` have changed. Outside the lanes
};

class Watch;

/// A command of a transaction.
struct Queued {
  std::uint32_t db;
  std::vector<std::string> args;
};

/// Of a key's value, or of there being none: short, calls nothing here. May be asked more than once.
using Holds = std::function<bool(std::optional<std::string_view> value)>;

struct Publication {
  std::string channel;
  std::string message;
};

struct Command {
  Op op;
  Key key;  // decides the lane; if `wide`, the first of its keys, or no name
  std::vector<std::string> args = {};  // transact, raw
  EntryPtr value = {};  // if set, its bytes are one more argument, at position 2 (SET key VALUE …)
  std::optional<std::size_t> lane = {};  // confirm, raw: this lane, whatever the key
  /// fetch, transact, raw, compare: one more command of the same transaction, of a name in the key's slot: before a
  /// fetch's own, so that L2 does not announce changes of that name, behind any other's. Empty: there is none.
  std::vector<std::string> beside = {};
  /// Nothing is done where that command is refused. Else the rest is done without it, and Answer::beside says so.
  bool needs_beside = false;
  bool wide = false;  // raw with several keys or none: outside the lanes, in no key's order
  /// wide: may write keys that nobody has named (FLUSHALL). confirm: such a command was executed, and what its lane
  /// had read before it must not be served any more.
  bool undeclared = false;
  std::vector<std::string> changed =
      {};                             // raw, compare, announce: names of the keys that it may write
  Holds holds = {};                   // compare
  std::vector<Queued> queued = {};    // exec
  std::shared_ptr<Watch> watch = {};  // watch, exec; null: exec on no condition
  bool ask_existed = false;           // transact: whether the key was there before
  bool announced =
      true;  // fetch, transact: false: L1 holds no such key, so L2 need announce nothing
  bool idempotent = false;                  // may be sent again after a lost connection
  std::optional<Publication> publish = {};  // transact: a message in the same transaction
  TimePoint deadline = kForever;
};

struct Answer {
  std::optional<Error> error = {};
  protocol::Reply reply = {};  // of GET, or of the command
  std::int64_t pttl = -1;  // fetch, transact: what PTTL said: milliseconds, -1 no expiry, -2 no key
  std::optional<bool> existed = {};
  bool held = true;  // compare: false: nothing was written
  /// Of Command::beside; nothing: it was not sent, or was refused. Of a fetch over a connection that is refused it for
  /// good, null: as if nothing were there, which is all that this connection will ever say.
  std::optional<protocol::Reply> beside = {};
  TimePoint sent_at = {};  // when the command was handed to the connection
  Duration l1_ttl =
      Duration::max();  // L1 keeps what it says no longer: others may change it unannounced
  Epoch epoch =
      0;  // the lane's, when the command was sent; 0: it vouches for nothing, install nothing

  static Answer failed(Errc code, std::string detail) {
    Answer answer;
    answer.error = Error{code, std::move(detail)};
    return answer;
  }
};

class Call {
 public:
  explicit Call(Command what) : command(std::move(what)) {}
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  virtual void settle(const Answer& answer) noexcept = 0;
  virtual void complete(Answer answer) noexcept = 0;

  const Command command;
  /// The carrier's own: Command::beside was refused, and the rest goes without it.
  bool alone = false;
};

/// Told of changes that others made. Called in the key's order, like settle().
class Listener {
 public:
  virtual ~Listener() = default;
  /// Somebody else changed `name`, in whichever database.
  virtual void invalidate(std::string_view name) noexcept = 0;
  /// Another instance says something of interest, whoever it is: true or not, once, twice or never, in no order.
  /// It is a hint: nothing may be served for it.
  virtual void hinted(std::string_view /*hint*/) noexcept {}
};

}  // namespace nearlane::cohere
