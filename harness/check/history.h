// History: of every read, whether its answer was allowed, given the writes of the same key so far.
//
// Each key is a register. A write takes effect at one moment between its begin and its end; when its
// outcome is unknown, at any later moment too, or never. Whoever reads a write's value has proved that
// it had taken effect by then, so `effect_by` is the earlier of a write's acknowledgement and the end
// of the first read that saw it. Write w surely overwrote write v when w began after v's effect_by, and
// it had done so by w's own effect_by. A read that began at b and brings v is then late by
//
//      lateness = b - min{ effect_by(w) : w surely overwrote v },   or not at all if that is negative.
//
// A read is stale when it is late by more than `bound`, or, where the answer says itself that it may be old, by more
// than that and what it may be old by. Where the overwriting write was acknowledged by
// the very instance that answers, or where the store itself answers, any lateness is too much; and where the reader's own
// connection sent it before the read, and it was acknowledged, it is too much whenever the read began. A value
// that nobody wrote to that key, a damaged one, and one whose write had not begun when the read ended
// are wrong. A deletion is a write of absence, and a value with a TTL is overwritten by absence once the
// TTL has passed. Writes that overlap may have happened in either order: the rule then allows both, and
// only the comparison after quiescence (traffic.h) tells that the instances disagree.
//
// The rule never accuses a correct register (history_property_test.cc); what it forgives is a read
// whose overwriting write nobody acknowledged or saw.
//
// Units:    lateness in nanoseconds of the monotonic clock, taken by clients of one machine.
// Threads:  any; a key's operations are serialised by one of 64 locks.
// Lifetime: a write that was surely overwritten `memory` ago is forgotten, so the size is that of the
//           keys and of the writes of the last seconds. A read of a forgotten version is late by at
//           least the time since the newest forgotten one was overwritten.
// Cost:     about a microsecond an operation; a hash lookup and a short scan of newer writes.
// Source:   CacheLib's cachebench/consistency/ValueTracker.h; Lamport, "On interprocess
//           communication", 1986 (atomic registers).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/histogram.h"

namespace nearlane::harness {

/// Who executes an operation: the number of an instance, or the store itself.
using Node = std::uint16_t;
inline constexpr Node kStore = UINT16_MAX;

/// A version as values carry it: who wrote, and which write of its key it is, from 1.
struct Stamp {
  std::uint16_t writer = 0;
  std::uint64_t number = 0;

  [[nodiscard]] constexpr std::uint64_t packed() const noexcept {
    return std::uint64_t{writer} << 48U | number;
  }
  [[nodiscard]] static constexpr Stamp unpack(std::uint64_t version) noexcept {
    return {.writer = static_cast<std::uint16_t>(version >> 48U),
            .number = version & 0xffffffffffffU};
  }
};

struct HistoryOptions {
  Duration bound = std::chrono::milliseconds(250);
  // Redis counts whole milliseconds on a clock that it reads once a turn of its event loop.
  Duration expiry_slack = std::chrono::milliseconds(20);
  Duration memory = std::chrono::seconds(10);  // longer than the bound and than any request
  std::size_t kept_violations = 10;            // described in words; all are counted
};

enum class Verdict : std::uint8_t {
  fresh,     // the newest value, or one that the rule cannot tell from it
  late,      // overwritten, but allowed: within the bound
  stale,     // beyond the bound
  own_lost,  // older than what the same instance, or the store, had acknowledged, or than what the connection sent before
  wrong,     // nobody wrote it, or not yet
};

enum class Effect : std::uint8_t { happened, unknown, none };

struct HistoryReport {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t late = 0;
  std::uint64_t stale = 0;
  std::uint64_t own_lost = 0;
  std::uint64_t wrong = 0;
  Histogram lateness;  // of every read that was late, allowed or not
  Histogram said_old;  // likewise, of the answers that say themselves that they may be old
  std::vector<std::string> violations;

  [[nodiscard]] std::uint64_t violation_count() const noexcept { return stale + own_lost + wrong; }
  void merge(const HistoryReport& other);
};

class History {
 public:
  explicit History(HistoryOptions options = {});

  /// To be called before the request is sent; answers the version that the value is to carry.
  std::uint64_t begin_set(std::string_view key, std::uint16_t writer, Node through, TimePoint begin,
                          Duration ttl = {});
  std::uint64_t begin_erase(std::string_view key, std::uint16_t writer, Node through,
                            TimePoint begin);
  /// `by`: who executed it, where that was not known at its begin.
  void end_write(std::string_view key, std::uint64_t version, Effect effect, TimePoint end,
                 std::optional<Node> by = std::nullopt);

  /// A TTL may be changed: what is to expire may live on, if it was written before the end of the touch.
  void begin_touch(std::string_view key);
  void end_touch(std::string_view key, Effect effect);

  /// A value that arrived whole, as checked by the caller, or that there is none. `behind`: the version of a write of the
  /// key that the same connection had sent before it, and that happened; 0: none.
  Verdict read(std::string_view key, Node through, TimePoint begin, TimePoint end,
               std::optional<std::uint64_t> version, std::uint64_t behind = 0);
  /// A value that arrived whole, and with it that it may be old: by no more than `at_most` beyond the bound. Precondition:
  /// together they are less than the memory.
  Verdict read_said_old(std::string_view key, Node through, TimePoint begin, TimePoint end,
                        std::uint64_t version, Duration at_most);
  /// A value that is damaged, or of another key.
  void read_damaged(std::string_view key, Node through, std::string_view what);

  /// The store loses everything at some moment in between, as by FLUSHALL or when it is killed without
  /// persistence. One at a time; to be called before whatever causes it, because somebody may read the
  /// absence before its end is known. A flush that is not ended may still happen.
  void begin_flush(TimePoint begin);
  void end_flush(TimePoint end);

  /// The store may have lost whatever was acknowledged from `from` on, as when a master is killed and a replica, which
  /// had not got it all yet, takes its place. What begins before `until` still speaks of the old one, caches included;
  /// who reads such a write later has proved that it was not lost. To be called before anything can come from the new one.
  void lose(TimePoint from, TimePoint until);
  /// What the server that takes over has of a key (nothing: no value), read once it can get no more from the old one and
  /// while nobody can write to it yet. What is newer and was acknowledged is lost; who begins to read after lose()'s
  /// `until` and brings it is wrong. The rest happened as it was acknowledged. To be called after lose(), for a key with
  /// one write under way at most; answers how many acknowledged writes are lost.
  std::uint64_t lose_newer(std::string_view key, std::optional<std::uint64_t> held);

  /// What was found since the last call.
  [[nodiscard]] HistoryReport take_report();

 private:
  struct Write {
    std::uint16_t writer = 0;
    Node through = kStore;
    bool absent = false;  // a deletion
    bool never = false;   // had no effect
    std::uint64_t number = 0;
    TimePoint begin = TimePoint::min();
    TimePoint acknowledged = kForever;
    TimePoint effect_by = kForever;
    TimePoint told = kForever;  // acknowledged, whatever became of it
    bool lost = false;          // in spite of that
    Duration ttl{};             // 0: none
    bool may_live_on = false;   // in spite of its TTL
  };
  /// What the writes say about one of them, asked by a read.
  struct Judgement {
    Duration late{};          // 0: not
    Duration late_of_own{};   // behind what the reader's own instance acknowledged
    std::uint64_t newer = 0;  // the overwriting write's number, 0 for expiry
    bool own_lost = false;    // its connection had sent an overwriting write before the read
  };
  /// Who asks, and what the answer says of itself.
  struct Read {
    std::string_view key;
    Node through = kStore;
    TimePoint begin{};
    TimePoint end{};
    std::optional<Duration> said_old = std::nullopt;  // by how much it may be
    std::uint64_t behind = 0;  // the number of a write that its connection sent before it
  };
  struct Register {
    std::vector<Write> writes;  // by number; 0 is the absence that everything begins with
    std::uint64_t last = 0;
    std::uint64_t flush = 0;                       // the number of the one under way, or 0
    std::uint64_t touches = 0;                     // under way, or of unknown outcome
    TimePoint forgotten_until = TimePoint::min();  // when the newest forgotten one was overwritten
    TimePoint pruned = TimePoint::min();
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Register, Hash, std::equal_to<>> registers;
    std::optional<TimePoint> flush_begin;  // of the one under way: new registers suffer it, too
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
  };

  Shard& shard_of(std::string_view key);
  static Register& register_of(Shard& shard, std::string_view key);
  std::uint64_t begin_write(std::string_view key, Write write);
  static void add_flush(Register& all, TimePoint begin);
  static Write* find(Register& all, std::uint64_t number);
  void forget_old(Register& all, TimePoint now) const;
  [[nodiscard]] Judgement judge(const Register& all, std::size_t at, const Read& read,
                                bool of_value) const;
  [[nodiscard]] std::optional<Judgement> judge_absence(const Register& all, const Read& read) const;
  [[nodiscard]] Verdict verdict_of(const Judgement& judged, const Read& read) const;
  Verdict judge_read(const Read& read, std::optional<std::uint64_t> version);
  Verdict note(const Read& read, const Judgement& judged, std::string_view what);
  Verdict note_wrong(std::string_view key, Node through, std::string_view what);

  [[nodiscard]] bool proves_nothing(TimePoint begin) const noexcept {
    return begin < lost_at_.load(std::memory_order_relaxed);
  }

  const HistoryOptions options_;
  std::atomic<TimePoint> lost_at_{
      TimePoint::min()};  // what began before speaks of a store that is gone
  std::array<Shard, 64> shards_;
  std::mutex report_mutex_;  // after a shard's
  HistoryReport report_;
};

}  // namespace nearlane::harness
