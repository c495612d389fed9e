// TieredCache: L1 in front of L2, and the one place where the two meet.
//
// Reads: find() is the hit path, a plain call. What it does not answer goes to get(), which joins a
// fill in flight, confirms a lapsed lease, or fetches from L2 and installs. While L2 is not asked (the breaker),
// what L1 had may be answered all the same, and is said to be stale: at once by find_stale(), else by get(). Writes go through to L2
// and are acknowledged by it; L1 takes a written value only when L2 said that it wrote it and will
// announce the next change by others.
//
// Units:     deadlines are absolute, on the monotonic clock.
// Errors:    those of l2::L2Backend, and l2_error with L2's own text (a wrong type, out of memory).
//            After timeout and connection_lost a write's outcome is unknown, and L1 forgets the
//            key. unavailable also where the breaker is open: nothing was sent.
// Threads:   any. find* under an epoch::Guard. A handler runs on a thread of L2's choice, at times
//            before the call returns; it must be short, and posts home what is not.
// Lifetime:  outlives all calls: stop() first. Views passed in are copied before the call returns.
// Cost:      a hit: one find of the map, one clock comparison, one counter of the thread's own; no
//            allocation, no lock of the tier's.
// Source:    docs/architecture.md; docs/decisions/0003-settle-then-complete.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/audit/auditor.h"
#include "core/base/clock.h"
#include "core/base/counters.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "core/cohere/call.h"
#include "core/cohere/lane_map.h"
#include "core/cohere/watch.h"
#include "core/entry/entry.h"
#include "core/guard/breaker.h"
#include "core/l1/l1_map.h"
#include "core/l2/l2_backend.h"
#include "core/protocol/reply.h"
#include "core/tier/explanation.h"
#include "core/tier/large_values.h"
#include "core/tier/precompress_queue.h"
#include "core/tier/prefix_table.h"
#include "core/tier/refresh_queue.h"

namespace nearlane::tier {

/// Where an answer came from; HTTP's X-Cache.
enum class Source : std::uint8_t {
  l1,
  l2,
  stale,  // L1, which nobody vouches for, while L2 is not asked (KeyRules::max_stale)
  miss,
};

[[nodiscard]] constexpr bool is_from_l1(Source source) noexcept {
  return source == Source::l1 || source == Source::stale;
}

struct Lookup {
  EntryPtr entry = {};  // null: there is no such key; never a negative entry
  Source source = Source::miss;
};

/// How long a stored value lives.
struct Expiry {
  enum class Kind : std::uint8_t { never, keep, in, at };
  Kind kind = Kind::never;
  std::int64_t milliseconds = 0;  // in: from now; at: Unix time

  static Expiry never() { return {}; }
  static Expiry keep() { return {Kind::keep, 0}; }  // as it was before: SET … KEEPTTL
  static Expiry in(std::chrono::milliseconds ttl) { return {Kind::in, ttl.count()}; }
  static Expiry at(std::int64_t unix_ms) { return {Kind::at, unix_ms}; }
};

enum class Condition : std::uint8_t { always, if_absent, if_present };

struct StoreOptions {
  Expiry expiry = {};
  Condition condition = Condition::always;
  bool ask_existed = false;  // costs one more small command in the transaction
  bool asks_forms = false;   // whoever reads it may ask for a compressed form (Precompress::asked)
  /// The value's Internet media type; empty: its key's. Nothing: nobody says, and what may have been said of another
  /// value of the key stays, as it is that other one's (core/tier/type_sidecar.h). Lives until the call has returned. Given:
  /// the condition is always.
  std::optional<std::string_view> type = {};
};

/// What a write that depends on the value has come to.
struct CompareOutcome {
  bool held = false;     // false: the value was another one, and nothing was written
  bool existed = false;  // the key, before
};

struct StoreOutcome {
  bool stored = false;               // false: the condition was not met
  std::optional<bool> existed = {};  // with ask_existed
};

/// Where a read may be answered.
enum class ReadFrom : std::uint8_t {
  l1_first,  // L1; where only the lease has lapsed, one small command and perhaps a fetch after it
  l1_in_order,  // L1, else one fetch, sent before this call returns: whoever sends a write of the key's lane
                // behind it has it executed before. Unless it has joined another caller's
  through_l2,  // joins no fill that is in flight: executed after whatever this caller has sent down the lane
};

/// Commands that are executed as one.
struct Transaction {
  struct Command {
    std::uint32_t db = 0;
    std::vector<std::string> args = {};
    std::vector<std::string> keys = {};  // that it writes
    bool undeclared = false;             // it may write others
  };
  std::vector<Command> commands = {};
  std::shared_ptr<cohere::Watch> watch = {};  // null: on no condition
};

/// A command passed to L2 as it is. One key: it travels in the key's order. Several, or none:
/// outside of it, and whole, so that it stays atomic.
struct RawCommand {
  std::uint32_t db = 0;
  std::vector<std::string> args;         // args[0] is the command
  std::vector<std::string> keys;         // declared keys
  bool writes = true;                    // L1 forgets the keys, before and after
  std::vector<std::string> beside = {};  // with one key: cohere::Command::beside
};

enum class Count : std::uint8_t {
  l1_hits,
  l1_misses,        // lookups that L1 could not answer with a fresh value
  l1_negatives,     // those of them that L1 answered all the same: there is no such key
  l1_stale,         // those of them that L1 answered while L2 was not asked
  l2_hits,          // answered by L2 with a value
  l2_misses,        // L2 has no such key
  l2_errors,        // calls that ended in an error, L2's own error replies left out
  fills,            // fetches sent to L2
  fills_coalesced,  // lookups that joined a fill in flight
  fills_revoked,    // fills whose value was answered but not installed, since the key changed
                    // meanwhile
  confirmations,  // a lane's lapsed lease renewed with one small command, for all who asked meanwhile
  invalidations,  // pushes from L2: keys changed by others
  writes,
  revocations,        // of them strict ones
  touches_coalesced,  // touches that did not go to L2
  hot_touches,        // keys that L2 was told of because L1 answers for them
  refreshes,          // fills nobody asked for: of what others had changed
  prefetches,         // fills nobody asked for: of what others had made
  refills,            // fills nobody asked for: of what L1 had when a lane was lost
  warmups,            // fills nobody asked for: of what a hot-key list names
  refreshes_dropped,  // wanted, and not sent: cold for too long, over a cap, or the lane was lost meanwhile
  background_uses,  // values fetched so that were served
  hints_sent,
  hints_heard,
  hot_lists_saved,
  hot_lists_failed,
  refused,  // calls that the breaker kept from L2
  // Precompression, by how it ended.
  precompressed,
  precompress_useless,  // no form is small enough to be worth its room
  precompress_late,     // the value was changed or dropped meanwhile
  precompress_dropped,  // the queue was full
  large_in_line,        // values of LargeValues::kLeast bytes and more that stood before small ones
  count,
};
using Counts = ThreadCounters<Count>;

/// By how much clocks of two instances may drift apart: a strict revocation waits for so much longer than
/// its own lease.
inline constexpr double kClockDrift = 0.01;

/// The part of l1_ttl over which the ends of copies are spread.
inline constexpr double kL1TtlSpread = 0.1;

/// How much later a touch to `ttl` would have to end a key before it is worth a write that every other
/// instance hears of. A session lives for its TTL less this at least, counted from its last touch.
[[nodiscard]] constexpr Duration slide_slack(Duration ttl, Duration least) noexcept {
  return std::max<Duration>(least, ttl / 20);
}

/// How far the warm-up of an instance is that has just begun (core/tier/warmup.cc).
enum class Warming : std::uint8_t {
  off,   // there is none
  yes,   // L1 is being filled
  late,  // it still is, and longer than anybody should wait for it
  done,
};

/// How a warm-up ended, or what had come of it when its limit passed.
struct WarmupOutcome {
  bool in_time = true;
  std::size_t keys = 0;                      // that the lists named
  std::size_t left = 0;                      // of those, not read yet
  std::vector<std::string> unreadable = {};  // lists, with the reason
};

struct WarmupConfig {
  bool on = false;                              // without `after` and `refresh` there is none
  Duration limit = std::chrono::seconds(10);    // from start(): Warming::late then
  Duration interval = std::chrono::minutes(1);  // between two hot-key lists
  std::size_t most_keys = 8192;  // of a list, and that are read; at most kMostHotKeys
  std::function<void(const WarmupOutcome&)> on_end = {};  // once, by the loop that keeps house
};

/// Hot-key lists in L2, of any number of instances: two that have the same one overwrite each other's, and lose little
/// where requests go to any of them.
inline constexpr std::size_t kHotLists = 8;
/// Of their names, which end in a number below that.
inline constexpr std::string_view kHotListPrefix = "nearlane:warmup:";

struct TierConfig {
  // What KeyRules says, of all keys that no prefix matches.
  Duration l1_ttl = KeyRules{}.l1_ttl;
  Duration negative_ttl = KeyRules{}.negative_ttl;
  Duration max_stale = KeyRules{}.max_stale;
  Precompress precompress = KeyRules{}.precompress;
  std::vector<Prefix> prefixes = {};
  Duration lease = std::chrono::milliseconds(250);  // a fill older than this is not joined
  std::function<TimePoint()> now = Clock::now;      // what a simulation replaces
  /// Runs a task once, so long from now, on a thread of its choice. Empty: revoke() is refused where
  /// it would have to wait, and compressed forms are put by the thread that made them.
  std::function<void(Duration, std::function<void()>)> after = {};
  std::size_t max_revocations = 4096;  // under way at once
  /// Where most calls fail, L2 is not asked for a while (core/guard/breaker.h).
  bool breaker = false;
  std::function<std::uint32_t()> chance =
      {};  // the breaker's, what a simulation replaces; empty: of each thread's own
  audit::AuditConfig audit = {};  // its lease is L2's
  /// Of each verdict, at the place in the lane's order where it was given: short, and calls nothing here.
  std::function<void(const audit::Finding&)> on_finding = {};
  /// Of a value that stood before small ones, at most once a minute for all like it; as on_finding, but in no order.
  std::function<void(const LargeValue&)> on_large = {};
  bool record_events = false;  // for explain(): 1.3 MiB
  /// slide_slack() is no less; keys touched to less than twice as long are always touched in L2.
  Duration least_slack = std::chrono::seconds(1);
  RefreshLimits refresh = {};  // without `after` nothing is read unasked
  /// A copy that was fetched in the background so often without being used is let go when it changes again.
  std::uint8_t most_unused = 3;
  bool types = false;  // what is read unasked brings its type along: somebody reads with types
  Duration refresh_timeout = std::chrono::milliseconds(500);  // of one read in the background
  PrecompressLimits precompression = {};
  /// Keys that L1 answers for and an L2 that may evict them is told of, a second; 0: none.
  double hot_touches_per_s = 0;
  WarmupConfig warmup = {};
};

class TieredCache {
 public:
  using GetHandler = std::function<void(Result<Lookup>)>;
  using SetHandler = std::function<void(Result<StoreOutcome>)>;
  using CompareHandler = std::function<void(Result<CompareOutcome>)>;
  using BoolHandler = std::function<void(Result<bool>)>;
  using ReplyHandler = std::function<void(Result<protocol::Reply>)>;

  TieredCache(TierConfig config, std::unique_ptr<l1::L1Map> l1, std::unique_ptr<l2::L2Backend> l2);
  ~TieredCache();
  TieredCache(const TieredCache&) = delete;
  TieredCache& operator=(const TieredCache&) = delete;

  /// `own_list`: which of kHotLists hot-key lists this instance leaves; any number.
  void start(std::size_t own_list = 0);
  void stop() noexcept;

  /// The entry if L1 may serve its value as fresh, else null. Counts a hit or a miss.
  [[nodiscard]] const Entry* find(const KeyRef& key, TimePoint now) noexcept;
  void find_batch(std::span<const KeyRef> keys, std::span<const Entry*> out,
                  TimePoint now) noexcept;
  /// find() for who answers with the value's type: null, and a miss, where L1 does not know it.
  [[nodiscard]] const Entry* find_typed(const KeyRef& key, TimePoint now) noexcept;
  /// After find() said null: the entry if the breaker keeps everybody from L2 and L1 may serve its value as stale, else
  /// null. For a caller none of whose writes of the key's lane is unanswered. Under an epoch::Guard. Cost: a load
  /// while L2 is asked.
  [[nodiscard]] const Entry* find_stale(const KeyRef& key, TimePoint now) noexcept;

  /// An entry was served to somebody who may ask for a compressed form. Where the key's rules want such forms
  /// (KeyRules::precompress) and nobody has asked for this entry's before, they are made in the background and the
  /// entry is put again with them. The entry is pinned, or the caller under an epoch::Guard. Cost: one load, but for
  /// the first time.
  void want_forms(const Entry& entry) noexcept;
  /// Whether the key's value may be compressed at all (KeyRules::secret).
  [[nodiscard]] bool may_compress(std::string_view name) const noexcept;

  /// The value's own type, else KeyRules::content_type of its key. Views the entry or the cache.
  [[nodiscard]] std::string_view content_type(const Entry& entry) const noexcept;

  /// After find() said null, or instead of it. Does not count a hit or miss of L1 again. What fails while the breaker
  /// is not closed is answered stale where L1 may do so, unless it had to go through_l2. True: it has joined the fetch
  /// of another caller, whose loop may not have sent it yet. So a write of this caller's that is to come after has to
  /// wait for the answer; `done` has not run. `with_type`: L2 is asked for the value's type, too, where L1 does not know
  /// it; it is not known all the same where the entry is stale, or where L2 would not say (Call::alone).
  bool get(Key key, ReadFrom from, TimePoint deadline, GetHandler done, bool with_type = false);
  void set(const KeyRef& key, std::string_view value, StoreOptions options, TimePoint deadline,
           SetHandler done);
  /// True: the key was there. What was said of its type goes as well.
  void remove(const KeyRef& key, TimePoint deadline, BoolHandler done);
  /// Writes only if `holds` says so of the value that L2 has, or of there being none: nobody's write comes in between,
  /// whichever instance it goes through. L1 takes nothing of it. Errors: also busy, where the key changes again and
  /// again meanwhile. Precondition: options.condition is always.
  void set_if(const KeyRef& key, std::string_view value, const StoreOptions& options,
              cohere::Holds holds, TimePoint deadline, CompareHandler done);
  void remove_if(const KeyRef& key, cohere::Holds holds, TimePoint deadline, CompareHandler done);
  /// Strict revocation: removes the key, and answers once no instance can serve it any more. True: it
  /// was there. Whoever has not been told by then has lost its lease, so the answer comes a lease
  /// after L2's, also where the key was not there: others may not have heard yet of how it went. The
  /// deadline is for L2 alone. After an error nothing is promised, but that L1 here has forgotten the key.
  /// Errors: refused where the key's max_stale is not zero, busy over max_revocations; neither removes.
  void revoke(const KeyRef& key, TimePoint deadline, BoolHandler done);
  /// Strict revocations under way.
  [[nodiscard]] std::size_t revoking() const noexcept;
  /// Before touch(), as find() before get(): true if the touch may be taken as done, and the key as there, without
  /// asking L2 (KeyRules::touch_coalescing). Only for a caller none of whose writes of the key's lane is unanswered.
  /// Under an epoch::Guard. L1 serves no longer for it: the copy's end stays L2's.
  [[nodiscard]] bool slide(const KeyRef& key, std::chrono::milliseconds ttl,
                           TimePoint now) noexcept;
  /// Changes when the key expires, and what is said of its type, and keeps L1's copy: sliding expiry. True: the key is there. Where touches are
  /// coalesced it may join an equal one under way, so it is only for a caller who may call slide(). Returns what get()
  /// does.
  bool touch(const KeyRef& key, std::chrono::milliseconds ttl, TimePoint deadline,
             BoolHandler done);
  /// The same, but for what is said of the type, for a client's own EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT or PERSIST with
  /// whatever options; its reply.
  /// `slide`: the command is a plain EXPIRE or PEXPIRE of so long, and this caller may call slide().
  bool touch(const KeyRef& key, std::vector<std::string> command, TimePoint deadline,
             ReplyHandler done, std::optional<std::chrono::milliseconds> slide = {});
  void execute(RawCommand command, TimePoint deadline, ReplyHandler done);

  // Only where l2_capabilities() say "transactions".

  /// From now on `watch`, which is this caller's own, watches these keys, too; true.
  void watch(std::uint32_t db, std::vector<std::string> names, std::shared_ptr<cohere::Watch> watch,
             TimePoint deadline, BoolHandler done);
  /// All commands as one, nobody's in between, and all are kept or none is, whatever befalls the store: an array of their
  /// replies; null: a key that is watched was changed, and nothing was executed.
  void transact(Transaction what, TimePoint deadline, ReplyHandler done);

  // For whoever carries a client's commands to L2 by a connection of its own, which L2 takes for somebody else's.

  /// Such a command has written these keys, and where `undeclared` perhaps any other: L1 forgets them, and so does
  /// what is under way for them; other instances are told where L2 does not tell them. `done`: its answer may be
  /// released, or the deadline has passed before everybody had heard.
  void written_elsewhere(std::uint32_t db, std::vector<std::string> names, bool undeclared,
                         TimePoint deadline, std::function<void(std::optional<Error>)> done);

  /// The lane whose order the key's commands share; below lanes(). For a connection's own
  /// bookkeeping.
  [[nodiscard]] std::size_t lane_of(const KeyRef& key) const noexcept;
  [[nodiscard]] std::size_t lanes() const noexcept;
  /// Which of them are for keys whose values are large.
  [[nodiscard]] const cohere::LaneMap& lane_map() const noexcept;
  /// A key's lane may become another one: that two lanes differ does not mean that their keys do.
  [[nodiscard]] bool keys_change_lanes() const noexcept;
  /// Whether L2 takes one command of all these keys: a cluster does where they are in one slot.
  [[nodiscard]] bool may_be_together(std::span<const std::string_view> names) const noexcept;
  /// Keys that wait to be read in the background.
  [[nodiscard]] std::size_t refreshing() const noexcept;
  /// Entries that wait to be compressed.
  [[nodiscard]] std::size_t precompressing() const noexcept;
  /// Compresses one of them, where no thread does (PrecompressLimits); false: none waits.
  bool precompress_once();
  /// Whether the lease of the key's lane has run out, so that a hit would have to be confirmed.
  [[nodiscard]] bool lease_lapsed(const KeyRef& key, TimePoint now) const noexcept;

  /// Housekeeping, to be called a few times a second by one loop: drops expired entries, at most
  /// `max`.
  void sweep(TimePoint now, std::size_t max) noexcept;

  /// Housekeeping as well, by the same loop: L2 is probed, when it was not asked for long enough.
  void probe();
  [[nodiscard]] guard::Breaker::State breaker() const;
  /// Housekeeping as well, by the same loop: what L1 had of a lane that was lost, and is back, is read again in the
  /// background, the hottest first.
  void refill();
  /// Housekeeping as well, by the same loop: an L2 that evicts is told of some of the hottest keys that L1 answers for.
  void touch_hottest(TimePoint now);
  /// Housekeeping as well, by the same loop: what an instance had in L1 that ended, or others have, is read in the
  /// background after a start, the hottest first; then a list of what this one has is left in L2 now and again.
  void warm_up();
  [[nodiscard]] Warming warming() const noexcept;
  /// Leaves such a list now, by the same loop: the instance ends. `done`: it is in L2, or never will be; by that loop,
  /// perhaps before this returns. One that is not warm itself leaves none.
  void save_hot_keys(std::function<void()> done);
  /// Housekeeping as well, by the same loop: L2 is asked about hits that were sampled (core/audit/auditor.h).
  void audit(TimePoint now);
  [[nodiscard]] const audit::Auditor& auditor() const noexcept;
  /// Why the key is answered as it is. Asks L2, over an untracked connection, and installs nothing. What L2 could
  /// not say is said in the explanation.
  void explain(const KeyRef& key, TimePoint deadline, std::function<void(Explanation)> done);

  [[nodiscard]] l1::L1Stats l1_stats() const noexcept;
  [[nodiscard]] std::string_view l1_name() const noexcept;
  [[nodiscard]] std::string_view l1_policy() const noexcept;
  [[nodiscard]] std::string_view l2_name() const noexcept;
  [[nodiscard]] l2::Health l2_health() const;
  [[nodiscard]] l2::Capabilities l2_capabilities() const noexcept;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace nearlane::tier
