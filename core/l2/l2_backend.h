// L2Backend: the store that all instances share. Many calls may be in flight; none blocks its
// caller.
//
// A call is an object: it carries its command, and the backend tells it the outcome twice. settle()
// comes in the key's order: all calls and invalidations of one key are settled in the order in
// which L2 executed them, one at a time, so that what settle() does to L1 is ordered too.
// complete() comes afterwards, without any order or lock, and is where the asker is answered.
//
// Units:     deadlines are absolute on the monotonic clock and cover queue, connection, and reply.
// Errors:    L2Answer::error: timeout, unavailable, connection_lost, protocol, busy, unsupported,
// shutting_down. An error
//            that L2 itself answered is a Reply; a missing key is a value. Nothing throws across
//            this line.
// Threads:   submit from any thread. settle and complete run on a thread of the backend's choice,
// possibly the caller's, and
//            possibly before submit returns. settle must not call the backend; complete may.
// Lifetime:  the backend owns a call from submit until complete has returned. stop() completes all
// that is outstanding. Cost:      one allocation a call, beside the command's own bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "core/cohere/lane_view.h"
#include "core/entry/entry.h"
#include "core/protocol/reply.h"

namespace boost::asio {
class io_context;
}

namespace nearlane::l2 {

enum class Op : std::uint8_t {
  fetch,     // GET key, PTTL key; afterwards L2 announces changes of the key
  transact,  // [EXISTS key,] the command, PTTL key, as one transaction; afterwards L2 announces
             // changes
  raw,       // the command as it is
  confirm,   // proves that no invalidation of the key is outstanding; carries no data
};

struct Command {
  Op op;
  Key key;  // decides the lane. For raw without exactly one key see `wide`
  std::vector<std::string> args = {};  // transact, raw
  EntryPtr value = {};  // if set, its bytes are one more argument, at position 2 (SET key VALUE …)
  bool wide = false;    // raw with several keys or none: outside the lanes, in no key's order
  bool ask_existed = false;  // transact: whether the key was there before
  TimePoint deadline = kForever;
};

struct Answer {
  std::optional<Error> error = {};
  protocol::Reply reply = {};  // of GET, or of the command
  std::int64_t pttl = -1;  // fetch, transact: what PTTL said: milliseconds, -1 no expiry, -2 no key
  std::optional<bool> existed = {};
  TimePoint sent_at = {};   // when the command was handed to the connection
  std::uint64_t epoch = 0;  // the lane's, when the command was sent
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
};

/// Told of changes that others made. Called in the key's order, like settle().
class Listener {
 public:
  virtual ~Listener() = default;
  /// Somebody else changed `name`, in whichever database.
  virtual void invalidate(std::string_view name) noexcept = 0;
};

struct Health {
  bool ready = false;  // calls have a fair chance
  unsigned lanes = 0;
  unsigned lanes_up = 0;
  std::string detail = {};  // for people: what is wrong, or what it is connected to
};

struct Capabilities {
  std::string_view coherence =
      "none";  // how others' writes are heard of: "lanes", or "local" where there are no others
  Duration lease{};            // the staleness bound that this gives
  bool every_command = false;  // false: the embedded subset
};

class L2Backend {
 public:
  virtual ~L2Backend() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual Capabilities capabilities() const noexcept = 0;
  [[nodiscard]] virtual std::span<const cohere::LaneView> lanes() const noexcept = 0;
  [[nodiscard]] virtual Health health() const = 0;

  /// Starts connecting; `listener` outlives the backend. Called once, before the first submit.
  virtual void start(Listener& listener) = 0;
  virtual void submit(std::unique_ptr<Call> call) noexcept = 0;
  /// Refuses new calls and completes the outstanding ones with shutting_down. The loops must still
  /// run, or have ended.
  virtual void stop() noexcept = 0;
};

struct L2Config {
  std::string url = "memory:";
  unsigned pool = 32;  // lanes
  Duration lease = std::chrono::milliseconds(250);
  Duration lane_dead = std::chrono::seconds(5);  // no reply for so long: the connection is given up
  Duration connect_timeout = std::chrono::seconds(1);
  std::size_t lane_queue = 4096;  // commands in flight or waiting on one lane
  std::uint64_t memory_bytes = std::uint64_t{1} << 30U;  // of memory:
  std::size_t max_value = std::size_t{64} * 1024 * 1024;
};

/// Makes the backend that the URL names: none:, memory:, redis://[user:pass@]host[:port][/db].
/// `loops` run its connections and outlive it. Errors: invalid_argument, naming what is wrong with
/// the URL.
[[nodiscard]] Result<std::unique_ptr<L2Backend>> make_l2(
    const L2Config& config, std::span<boost::asio::io_context* const> loops);

}  // namespace nearlane::l2
