// TieredCache::Impl: what the tier's own files share: the state, and what its calls to L2 do with it.
//
// Threads:   as core/tier/tiered_cache.h says; invalidate() comes in the key's order, like a settle.
// Lifetime:  outlives the calls that it has submitted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/audit/auditor.h"
#include "core/audit/recorder.h"
#include "core/cohere/flights.h"
#include "core/cohere/install_rules.h"
#include "core/cohere/lane_map.h"
#include "core/cohere/lane_view.h"
#include "core/guard/breaker.h"
#include "core/tier/hot_keys.h"
#include "core/tier/large_values.h"
#include "core/tier/tiered_cache.h"

namespace nearlane::tier {

using Flights = cohere::Flights<TieredCache::GetHandler>;
/// Touches under way that an equal one may join.
using Slides = cohere::Flights<TieredCache::ReplyHandler>;
/// Commands under way that renew a lane's lapsed lease, for all who read of that lane meanwhile: they are told until
/// when it had time.
using Renewals = cohere::Flights<std::function<void(const std::optional<Error>&, TimePoint)>>;

class Guarded;

class TieredCache::Impl final : public cohere::Listener {
 public:
  Impl(TierConfig config, std::unique_ptr<l1::L1Map> l1, std::unique_ptr<l2::L2Backend> l2)
      : config_(std::move(config)),
        prefixes_({.l1_ttl = config_.l1_ttl,
                   .negative_ttl = config_.negative_ttl,
                   .max_stale = config_.max_stale,
                   .precompress = config_.precompress},
                  config_.prefixes),
        l1_(std::move(l1)),
        l2_(std::move(l2)),
        lanes_(l2_->lanes()),
        lane_map_(l2_->lane_map()),
        slots_(l2_->slots()),
        l2_stores_(l2_->capabilities().stores),
        queue_(config_.refresh),
        auditor_(audit_config(config_, *l2_)),
        recorder_(config_.record_events ? std::make_unique<audit::Recorder>() : nullptr),
        epochs_(lanes_.size()),
        audited_hits_(hits()),
        precompress_queue_(config_.precompression,
                           [this](const Entry& entry) { put_forms(entry); }) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) epochs_[i] = lanes_[i].epoch();
    refilled_ = epochs_;
  }

  const cohere::LaneView& lane(const KeyRef& key) const noexcept {
    return lanes_[lane_map_.of(key)];
  }

  /// The entry, a negative one too, if it may be served as fresh.
  const Entry* fresh(const KeyRef& key, TimePoint now) noexcept {
    const cohere::LaneView& view = lane(key);
    const TimePoint lease = view.lease_until();  // before the entry: LaneView::vouches
    return vouched(view, key, l1_->find(key), now, lease);
  }
  const Entry* vouched(const cohere::LaneView& view, const KeyRef& key, const Entry* entry,
                       TimePoint now, TimePoint lease) noexcept {
    if (entry == nullptr) return nullptr;
    if (!view.vouches(*entry, now, lease)) return nullptr;
    view.note_hit();
    if (entry->unused() != 0) [[unlikely]] {
      note_first_use(*entry);
    }
    if (auditor_.sampled(key.hash)) [[unlikely]] {
      auditor_.observe(*entry, key.hash, now);
    }
    return entry;
  }
  /// The entry if it may be served though nobody vouches for it, and counts it; L2 is not asked. Never that there is no
  /// such key: whoever is told so makes it anew.
  [[nodiscard]] const Entry* stale(const KeyRef& key, TimePoint now) noexcept;
  /// What a reader is told whose call has failed.
  [[nodiscard]] Result<Lookup> stale_or(const Error& error, const KeyRef& key) noexcept;
  /// A write was executed, or may have been, and nobody here knows of which keys.
  void note_undeclared() noexcept {
    undeclared_at_.store(config_.now().time_since_epoch().count(), std::memory_order_release);
  }
  /// Of what was fetched in the background.
  [[gnu::noinline]] static void note_first_use(const Entry& entry) noexcept {
    Counts::add(Count::background_uses);
    entry.set_unused(0);
  }

  /// How long L1 may keep what was read or written at `sent_at`.
  static Duration keep_for(const KeyRef& key, TimePoint sent_at, Duration l1_ttl) noexcept {
    if (l1_ttl == Duration::max()) return l1_ttl;
    // 24 bits that differ by key and from one fill to the next.
    const auto seed = key.hash ^ static_cast<std::uint64_t>(sent_at.time_since_epoch().count());
    constexpr std::uint64_t kGolden = 0x9E37'79B9'7F4A'7C15U;  // 2^64 / golden ratio
    const auto drawn = static_cast<double>(seed * kGolden >> 40U) / (1U << 24U);
    return std::chrono::duration_cast<Duration>(l1_ttl * (1 - kL1TtlSpread * drawn));
  }

  /// The key may have changed: nothing under way installs what it was, L1 forgets it, and nobody reads it again
  /// unasked.
  void forget(const KeyRef& key) noexcept {
    drop(key, [] {});
    queue_.cancel(key);
  }
  /// The first two of these. `look` runs before L1 forgets the key, in one step with that.
  template <class Look>
  void drop(const KeyRef& key, Look&& look) noexcept {
    bool was_there = false;
    flights_.revoke(key, [&] {
      look();
      was_there = l1_->erase(key);
    });
    if (was_there) note(audit::Event::evict, key, cohere::kNoEpoch);
  }

  /// Ends a write's flight. Calls of one lane settle in the order in which L2 executed them; where a key changes lanes,
  /// a read that another lane sent may be older than this write and settle later.
  template <class Install>
  void settle_write(Flights::Flight& flight, Install&& install) noexcept {
    if (slots_ == nullptr) {
      flights_.settle(flight, std::forward<Install>(install));
    } else {
      flights_.settle_alone(flight, std::forward<Install>(install));
    }
  }

  /// A write ended in an error. If L2 may yet execute it, nobody will tell us when: what was sent before
  /// it, and whose reply is still to come, must not be installed either.
  void forget_after(const Error& error, const KeyRef& key) noexcept {
    if (cohere::after_failed_write(error.code).action == cohere::Decision::Action::erase)
      forget(key);
  }

  void invalidate(std::string_view name) noexcept override;
  void hinted(std::string_view hint) noexcept override;

  /// A command of ours that is no transaction may have dropped L2's registration of the key's name, if it
  /// wrote, or if it found that the key had ended. L2 registers a name for all databases at once and tells us
  /// nothing, so what we have under it in the others would never be announced again.
  void forget_in_other_dbs(const KeyRef& key) noexcept {
    const std::uint64_t dbs = dbs_.load(std::memory_order_relaxed);
    for_each_db(dbs & ~bit_of(key.db), key.name, [this](const KeyRef& other) { forget(other); });
  }

  /// `dbs`: a bit for each database.
  template <class Visit>
  static void for_each_db(std::uint64_t dbs, std::string_view name, Visit&& visit) noexcept {
    for (std::uint32_t db = 0; dbs != 0; ++db, dbs >>= 1U) {
      if ((dbs & 1U) != 0) visit(KeyRef(db, name));
    }
  }
  static std::uint64_t bit_of(std::uint32_t db) noexcept {
    return std::uint64_t{1} << (db % kDatabases);
  }

  /// Remembers the database, before anything of it can be installed.
  void note_db(std::uint32_t db) noexcept {
    const std::uint64_t bit = bit_of(db);
    if ((dbs_.load(std::memory_order_relaxed) & bit) == 0)
      dbs_.fetch_or(bit, std::memory_order_seq_cst);
  }

  bool get(Key key, ReadFrom from, TimePoint deadline, GetHandler done, bool with_type,
           bool may_confirm);
  void renew(Key key, TimePoint now, TimePoint deadline, GetHandler done, bool with_type);
  bool fetch(Key key, ReadFrom from, TimePoint deadline, GetHandler done, bool with_type);
  /// Whether it says what is asked.
  [[nodiscard]] static bool suffices(const Entry& entry, bool with_type) noexcept {
    return !with_type || entry.negative() || entry.type_known();
  }
  /// The type, as Entry::build() has it, of a value that is to be stored.
  [[nodiscard]] std::optional<std::string_view> own_type(const KeyRef& key,
                                                         const StoreOptions& options,
                                                         const KeyRules& rules) const noexcept;
  /// `slide`: args are PEXPIRE, or mean the same.
  bool touch(const KeyRef& key, std::vector<std::string> args, TimePoint deadline,
             ReplyHandler done, std::optional<std::chrono::milliseconds> slide, bool with_type);
  /// By how little a touch may move a key's end and need not go to L2; zero where each has to.
  [[nodiscard]] Duration slack_of(const KeyRules& rules,
                                  std::chrono::milliseconds ttl) const noexcept;
  bool slide(const KeyRef& key, std::chrono::milliseconds ttl, TimePoint now) noexcept;
  void compare(cohere::Command what, TieredCache::CompareHandler done);
  void barrier(TimePoint deadline, std::function<void(std::optional<Error>)> done);

  // Whether L2 is asked: guarding.cc.

  /// To L2, unless the breaker says that it is not asked.
  void send(std::unique_ptr<Guarded> call) noexcept;
  /// Where the call's lane is not one of those for large values: it says so, if what went over it was large.
  void note_size(const cohere::Command& command, const cohere::Answer& answer) noexcept;
  void note_outcome(const cohere::Command& command, const cohere::Answer& answer) noexcept;
  /// For the breaker.
  [[nodiscard]] std::uint32_t chance() const;
  /// L2's own, and no call has a chance where the breaker is open.
  [[nodiscard]] l2::Health health() const;
  /// Probes L2 where the breaker wants to know; by one thread.
  void probe();

  // Reading in the background: refresh.cc.

  /// Whether what is read unasked can be of use.
  [[nodiscard]] bool reads_unasked() const noexcept {
    return config_.after && config_.refresh.reads_per_s != 0;
  }
  /// L1 holds nothing of the key, so whoever stores it may be the first who knows of it.
  [[nodiscard]] bool is_new_here(const KeyRef& key) noexcept;
  void hint_at(const KeyRef& key) noexcept;
  /// arm() has it read.
  void want(const KeyRef& key, std::uint8_t unused, Unasked why,
            float worth = kAskedForNow) noexcept;
  void pump();
  void arm(Duration delay);
  void read_unasked(Wanted wanted);

  /// Between two steps of a walk over L1, so that others get to run. A million entries take a second of them.
  static constexpr Duration kWalkPause = std::chrono::milliseconds(1);

  // After a lane was lost: refill.cc.

  /// Begins, if a lane has come back; by one thread.
  void refill();
  /// The lane has been proven since it was last lost.
  static bool is_back(const cohere::LaneView& view) noexcept {
    return view.lease_until() != TimePoint::min();
  }
  /// `answered`: of refills_due_, those that this walk is for.
  void refill_from(l1::WalkPlace from, unsigned answered);
  /// A step of it; false: the last one.
  bool find_disowned(l1::WalkPlace& from);
  /// A step over L1, under a guard and no lock of the map's; false: the last one.
  bool walk_step(l1::WalkPlace& from, const std::function<void(const Entry&, float worth)>& visit);
  /// Whether L2 still had what is to be read for that reason. Where it has not, many times in a row, it was flushed,
  /// or another one took its place: the rest is not asked for.
  void note_gone(Unasked why, bool there) noexcept;
  [[nodiscard]] bool all_gone(Unasked why) const noexcept;

  // After a start, and for the next one: warmup.cc.

  void begin_warmup(std::size_t own_list);
  void warm_up();
  [[nodiscard]] TimePoint list_deadline() const;
  void ask_for_hot_lists();
  void hear_hot_list(std::size_t list, const Result<protocol::Reply>& reply);
  void read_hot_keys();
  void end_warmup(bool in_time);
  void save_hot_keys(std::function<void()> done);
  void gather_hot_keys(l1::WalkPlace from);
  void store_hot_list(const std::vector<Key>& keys);
  void hot_list_saved();

  // What L2 knows of what is hot: recency.cc.

  void touch_hottest(TimePoint now);
  /// By database, the names of at most `most` hot entries of the walk's next step.
  std::map<std::uint32_t, std::vector<std::string>> hottest(std::size_t most, TimePoint now);

  // Compressed forms of what L1 holds: precompress.cc.

  /// `asked`: by somebody who may ask for a compressed form.
  void want_forms(const Entry& entry, const KeyRules& rules, bool asked) noexcept;
  /// Makes them and puts them, if the entry is still there; on a thread of the queue's.
  void put_forms(const Entry& entry);

  // The auditor and the flight recorder: audits.cc.

  /// The auditor's next questions; by one thread.
  void audit(TimePoint now);
  [[nodiscard]] audit::Present peek(const KeyRef& key) noexcept;
  void judge(const audit::Question& question, const cohere::Answer& answer);
  /// For the flight recorder, if there is one.
  void note(audit::Event event, const KeyRef& key, Epoch epoch) noexcept;
  void explain(const KeyRef& key, TimePoint deadline, std::function<void(Explanation)> done);

  const TierConfig config_;
  const PrefixTable prefixes_;
  const std::unique_ptr<l1::L1Map> l1_;
  const std::unique_ptr<l2::L2Backend> l2_;
  const std::span<const cohere::LaneView> lanes_;
  const cohere::LaneMap lane_map_;
  const cohere::SlotLanes* const slots_;  // null: a key's lane never changes
  const bool l2_stores_;
  Flights flights_;
  Slides slides_;
  Renewals renewals_;
  std::atomic<std::uint64_t> dbs_{1};
  std::atomic<std::size_t> revoking_{0};
  /// When note_undeclared() was last called.
  std::atomic<std::int64_t> undeclared_at_{TimePoint::min().time_since_epoch().count()};
  guard::Breaker breaker_;
  RefreshQueue queue_;
  std::atomic<bool> armed_{false};  // pump() will run
  std::atomic<unsigned> refills_due_{
      0};  // times that lanes came back, and no walk has ended since that is for them
  LargeValues large_values_;
  audit::Auditor auditor_;
  const std::unique_ptr<audit::Recorder> recorder_;

  /// Of warmup.cc, and of the thread that keeps house but for what is atomic.
  struct Warmup {
    enum class Phase : std::uint8_t {
      waiting,  // for L2
      asking,   // for the lists
      reading,  // what they name
      over,
    };
    struct Hot {
      Key key;
      float worth;
    };
    Phase phase = Phase::waiting;
    std::atomic<Warming> state{Warming::off};
    std::atomic<std::size_t> under_way{0};  // reads
    std::size_t own_list = 0;
    TimePoint ready_by{};
    std::vector<std::vector<Key>> lists = {};
    std::size_t unanswered = 0;  // questions for lists
    bool failed = false;         // one of them
    WarmupOutcome outcome = {};
    std::vector<Hot> pending = {};  // not wanted yet: their lanes are not up

    TimePoint save_at{};
    std::optional<HottestKeys> gathered = {};       // while L1 is walked, and its list written
    std::vector<std::function<void()>> saved = {};  // who waits for that
  } warmup_;

 private:
  static audit::AuditConfig audit_config(const TierConfig& config, const l2::L2Backend& l2) {
    audit::AuditConfig audit = config.audit;
    audit.lease = l2.capabilities().lease;
    return audit;
  }
  /// What the recorder knows a lane by.
  static std::uint64_t lane_name(std::size_t lane) noexcept { return lane; }

  static std::uint64_t hits() {
    return Counts::sum(Count::l1_hits) + Counts::sum(Count::l1_negatives);
  }

  std::array<std::atomic<unsigned>, static_cast<std::size_t>(Unasked::count)> gone_{};  // in a row
  std::vector<Epoch> refilled_;  // refill()'s own: of the lanes, for which L1 was walked, or is

  // touch_hottest()'s own.
  l1::WalkPlace touched_to_;
  TimePoint touched_at_{};
  std::uint64_t touched_hits_ = 0;
  double touches_due_ = 0;  // less than one is left to the next turn
  std::minstd_rand touched_random_;

  // audit()'s own.
  std::vector<Epoch> epochs_;  // of the lanes, when they were last looked at
  std::uint64_t audited_hits_;

 public:
  std::atomic<std::uint64_t> forms_waiting_{0};  // for a loop to put them; bytes of the values
  PrecompressQueue precompress_queue_;           // last: its threads use all of the above
};

}  // namespace nearlane::tier
