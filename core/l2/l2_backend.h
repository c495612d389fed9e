// L2Backend: the store that all instances share. Many calls may be in flight; none blocks its
// caller.
//
// A call (core/cohere/call.h) carries its command; the backend settles it in the key's order, then
// completes it.
//
// Units:     deadlines are absolute on the monotonic clock and cover queue, connection and reply.
// Errors:    Answer::error: timeout, unavailable, connection_lost, protocol, busy, unsupported,
//            shutting_down. An error that L2 itself answered is a Reply; a missing key is a value.
//            Nothing throws across this line.
// Threads:   submit from any thread. settle and complete run on a thread of the backend's choice,
//            possibly the caller's and possibly before submit returns. settle must not call the
//            backend; complete may.
// Lifetime:  the backend owns a call until complete has returned. stop() completes all that is
//            outstanding.
// Cost:      one allocation a call, beside the command's own bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/cohere/call.h"
#include "core/cohere/lane_map.h"
#include "core/cohere/lane_view.h"
#include "core/cohere/slots.h"

namespace boost::asio {
class io_context;
}

namespace nearlane::l2 {

class Route;
class ClusterRoutes;

using cohere::Answer;
using cohere::Call;
using cohere::Command;
using cohere::Listener;
using cohere::Op;

struct Health {
  bool ready = false;  // most calls would succeed
  unsigned lanes = 0;
  unsigned lanes_up = 0;
  std::string detail = {};    // for people: what is wrong, or what it is connected to
  std::string distrust = {};  // why L1 must serve nothing although L2 is up; empty: it may
  std::uint64_t gaps = 0;     // announcements of other instances that were missed
};

struct Capabilities {
  /// "lanes": L2 announces changes; "pubsub": the writers do, those that are instances; "local" where nobody else can
  /// write, or is said not to; "none" where nothing is known of others' writes, so that L1 serves nothing. May
  /// change while it runs.
  std::string_view coherence = "none";
  Duration lease{};  // how long an instance may serve what others have changed
  /// Where it is not known whether others are told of what this one changes: how long they may serve the old all the same.
  /// Zero: they are told, so for a lease at most. May change while it runs.
  Duration untold{};
  bool every_command = false;    // false: the embedded subset
  bool stores = true;            // false: what L1 lets go is gone
  bool evicts = false;           // it may, what it was not asked for: TOUCH asks
  std::uint32_t default_db = 0;  // which database a client is in before it selects another
  bool transactions = false;     // Op::watch and Op::exec
  /// Op::announce: instances tell each other what they write, or may have to: it is not known yet. May change while it runs.
  bool announces = false;
  bool outlives = false;  // what it holds is still there when this process has ended
  /// What is asked of a lane waits for what was asked of it before: a large value stands before small ones.
  bool in_line = false;
};

class L2Backend {
 public:
  virtual ~L2Backend() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual Capabilities capabilities() const noexcept = 0;
  [[nodiscard]] virtual std::span<const cohere::LaneView> lanes() const noexcept = 0;
  /// Which lane a key belongs to where its slot says so; null: its slot does not. The same for ever.
  [[nodiscard]] virtual const cohere::SlotLanes* slots() const noexcept { return nullptr; }
  /// The last of the lanes, where some keys have them to themselves; null: none has. The same for ever.
  [[nodiscard]] virtual const cohere::BulkLanes* bulk() const noexcept { return nullptr; }
  /// Which lane a key belongs to: what submit() itself goes by. Lifetime: the backend's.
  [[nodiscard]] cohere::LaneMap lane_map() const noexcept {
    return cohere::LaneMap(lanes().size(), slots(), bulk());
  }
  [[nodiscard]] virtual Health health() const = 0;

  /// Starts connecting; `listener` outlives the backend. Called once, before the first submit.
  virtual void start(Listener& listener) = 0;
  /// Op::watch and Op::exec: only where capabilities() say "transactions". Op::announce: only where they say "announces".
  virtual void submit(std::unique_ptr<Call> call) noexcept = 0;
  /// Tells all instances, this one among them, by Listener::hinted. Best effort: lost without notice.
  virtual void hint(std::string_view /*what*/) noexcept {}
  /// The way to the Redis behind this, for connections that others make; null: there is no Redis.
  [[nodiscard]] virtual std::shared_ptr<Route> route() const noexcept { return nullptr; }
  /// The ways to its nodes where that is a cluster; null: it is none.
  [[nodiscard]] virtual ClusterRoutes* cluster() noexcept { return nullptr; }
  /// Refuses new calls and completes the outstanding ones with shutting_down. The loops must still
  /// run, or have ended.
  virtual void stop() noexcept = 0;
};

/// When an embedded store on disk syncs what it has written, which decides what a power cut may cost. Killing the
/// process costs nothing in any mode.
enum class Fsync : std::uint8_t {
  always,    // before a write is acknowledged: nothing
  everysec,  // once a second: what is younger
  no,        // when the system does: what it had not
};

struct L2Config {
  std::string url = "memory:";
  std::string ca_file = {};  // of rediss: whom to trust; empty: whom the system trusts
  unsigned pool = 32;        // lanes
  unsigned bulk_lanes = 0;   // of these, for the keys of `is_bulk` alone; below pool
  /// Whether a key's values are large (cohere::BulkLanes::has). With bulk_lanes over 0.
  std::function<bool(std::string_view name)> is_bulk = {};
  Duration lease = std::chrono::milliseconds(250);
  cohere::Coherence coherence = cohere::Coherence::lanes;  // of redis:
  /// How long L1 keeps at most what others may change without announcing it, where writers are who announces.
  Duration unannounced_ttl = std::chrono::seconds(2);
  Duration lane_dead = std::chrono::seconds(5);  // no reply for so long: the connection is given up
  Duration connect_timeout = std::chrono::seconds(1);
  std::size_t lane_queue = 4096;  // commands in flight or waiting on one lane
  bool hints = false;             // a connection for hints between instances
  std::uint64_t memory_bytes = std::uint64_t{1} << 30U;  // of memory:
  /// Bytes of one value in a store of this process, which makes none that a client could not read again.
  std::size_t max_value = std::size_t{512} << 20U;
  Fsync fsync = Fsync::everysec;                           // of rocksdb:
  std::size_t disk_queue = 65'536;                         // calls that wait for rocksdb:
  std::size_t disk_queue_bytes = std::size_t{256} << 20U;  // bytes of them; one is always taken
};

/// Makes the backend that the URL names: none:, memory:, rocksdb:PATH, redis://[user:pass@]host[:port][/db],
/// rediss://… for TLS, redis+sentinel://… of host[:port],…/name[/db]. `loops` run its connections and outlive it. Errors: invalid_argument, naming what is wrong with
/// the URL, why its directory or the file of authorities cannot be used, or why there can be no such bulk_lanes. Stores that
/// are in this process have no lanes to keep apart, and take no notice of them.
[[nodiscard]] Result<std::unique_ptr<L2Backend>> make_l2(
    const L2Config& config, std::span<boost::asio::io_context* const> loops);

}  // namespace nearlane::l2
