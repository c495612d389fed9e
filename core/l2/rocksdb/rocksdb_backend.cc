#include "core/l2/rocksdb/rocksdb_backend.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/epoch.h"
#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/perform.h"
#include "core/l2/rocksdb/call_queue.h"
#include "core/l2/rocksdb/operation.h"

namespace nearlane::l2 {
namespace {

using protocol::Reply;

constexpr std::size_t kGroupCalls = 256;  // how long the first of a group may wait for the last
constexpr std::size_t kGroupBytes = std::size_t{16} << 20U;  // of arguments, which a batch copies
constexpr std::size_t kSweepBeside =
    4;  // overdue entries dropped for each command: more than it can add
constexpr std::size_t kSweepIdle = 1024;  // and at every tick
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kSyncEvery = std::chrono::seconds(1);
// A sync that takes longer is taken for one that failed. What was acknowledged since the one before is at stake meanwhile.
constexpr auto kLongestSync = std::chrono::seconds(2);
// Between two looks for calls that are late; each goes through all that wait.
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr auto kRetryEvery = std::chrono::seconds(1);  // whether the disk takes writes again

const std::string kClosed = "rocksdb: the store is closed";
const std::string kLateInQueue = "rocksdb: the deadline passed in the queue; nothing was done";
const std::string kLateOnDisk = "rocksdb: the disk did not answer in time";

/// A call that is being executed. Whoever is first to mark it, under settling_, completes it.
struct Waiting {
  std::shared_ptr<Call> call;  // and with the watcher while it completes a late one
  Answer answer = {};
  bool wrote = false;     // the executor's alone
  bool given_up = false;  // by the watcher
  bool answered = false;  // by the executor
};

class RocksdbBackend final : public L2Backend {
 public:
  RocksdbBackend(std::unique_ptr<rocks::DiskStore> store, const rocks::DiskConfig& config,
                 const RocksdbLimits& limits)
      : path_(config.path),
        fsync_(config.fsync),
        longest_operation_(limits.longest_operation),
        queue_(limits.queue, limits.queue_bytes),
        loss_(store->loss()),
        store_(std::move(store)),
        keyspace_(*store_, limits.max_value),
        keys_(store_->size()) {
    lane_[0].set_lease(kForever);
  }
  ~RocksdbBackend() override { stop(); }

  [[nodiscard]] std::string_view name() const noexcept override { return "rocksdb"; }
  [[nodiscard]] Capabilities capabilities() const noexcept override {
    return {.coherence = "local", .transactions = true, .outlives = true};
  }
  [[nodiscard]] std::span<const cohere::LaneView> lanes() const noexcept override { return lane_; }
  [[nodiscard]] Health health() const override;

  void start(Listener& /*listener*/) override {
    executor_ = std::thread([this] { execute(); });
    watcher_ = std::thread([this] { watch(); });
    if (fsync_ == Fsync::everysec) syncer_ = std::thread([this] { sync_every_second(); });
  }
  void submit(std::unique_ptr<Call> call) noexcept override;
  void stop() noexcept override;

 private:
  void execute() noexcept;
  void sync_every_second() noexcept;
  void watch() noexcept;
  void give_up_late() noexcept;
  [[nodiscard]] bool take();
  void run(std::span<Waiting> group);
  [[nodiscard]] std::string commit_and_answer(std::span<Waiting> group);
  void refuse_writes(std::span<Waiting> group, std::string_view refusal);
  void perform(Waiting& waiting, std::string_view refusal);
  [[nodiscard]] bool say_unreadable(protocol::Reply& reply);
  void answer(std::span<Waiting> group) noexcept;
  void settle(Call& call, const Answer& answer) noexcept;
  void refuse(std::unique_ptr<Call> call, Errc code, std::string detail) noexcept;
  void disown() noexcept;
  void tick();
  [[nodiscard]] bool commit();

  /// Why it cannot write; empty: it can.
  [[nodiscard]] std::string broken() const {
    const TimePoint syncing_since = syncing_since_.load(std::memory_order_relaxed);
    const std::lock_guard lock(state_);
    if (broken_.empty() && Clock::now() - syncing_since > kLongestSync)
      return "sync: it has not returned for two seconds";
    return broken_;
  }
  void set_broken(std::string why) {
    const std::lock_guard lock(state_);
    broken_ = std::move(why);
  }

  const std::string path_;
  const Fsync fsync_;
  const Duration longest_operation_;

  std::mutex queue_lock_;
  std::condition_variable queued_;
  std::condition_variable ended_;      // for the syncer
  std::condition_variable watchable_;  // for the watcher
  rocks::CallQueue queue_;
  // The group that is being executed: the executor fills and clears it under the lock, and may read it without.
  std::vector<Waiting> group_;
  TimePoint next_deadline_ = kForever;  // no later than any of those in the queue and the group
  bool stopping_ = false;
  bool executed_ = false;  // all that ever will be

  // One call is settled at a time, those too that were never queued. Taken before queue_lock_.
  std::mutex settling_;

  mutable std::mutex state_;
  std::string loss_;             // of the log, when it was last opened with one
  std::string broken_ = {};      // what has failed, until it has been tried again
  std::string unreadable_ = {};  // the last read that failed

  std::unique_ptr<rocks::DiskStore> store_;  // the executor's, but for sync()
  embedded::Keyspace keyspace_;
  std::atomic<std::size_t> keys_;
  std::atomic<bool> unsynced_{false};
  std::atomic<TimePoint> syncing_since_{kForever};  // kForever: the syncer waits for none
  rocks::Operation::Since operating_since_;
  TimePoint next_tick_ = Clock::now();
  TimePoint next_retry_ = Clock::now();
  std::array<cohere::LaneView, 1> lane_;

  std::thread executor_;
  std::thread watcher_;
  std::thread syncer_;
};

Health RocksdbBackend::health() const {
  static constexpr std::array<std::string_view, 3> kModes = {"always", "everysec", "no"};
  const std::string broken = this->broken();
  const bool stands = operating_since_.longer_than(longest_operation_);
  const std::lock_guard lock(state_);
  std::string detail = std::to_string(keys_.load(std::memory_order_relaxed)) +
                       " keys in rocksdb:" + path_ + ", fsync " +
                       std::string(kModes[static_cast<std::size_t>(fsync_)]);
  if (!loss_.empty()) detail += "; its log was damaged, and what came after is lost: " + loss_;
  if (!unreadable_.empty()) detail += "; a read failed: " + unreadable_;
  if (!broken.empty()) detail += "; writes are refused: " + broken;
  if (stands) {
    detail += "; it has not answered for " +
              std::to_string(longest_operation_ / std::chrono::milliseconds(1)) + " ms";
  }
  return {
      .ready = broken.empty() && !stands, .lanes = 1, .lanes_up = 1, .detail = std::move(detail)};
}

void RocksdbBackend::submit(std::unique_ptr<Call> call) noexcept {
  auto queued = rocks::CallQueue::weigh(std::move(call));
  const TimePoint deadline = queued.call->command.deadline;
  bool stopping = false;
  std::string full;
  {
    const std::lock_guard lock(queue_lock_);
    stopping = stopping_;
    if (!stopping) {
      const bool was_empty = queue_.empty();
      full = queue_.push(queued);
      if (full.empty()) {
        if (was_empty) queued_.notify_one();
        if (deadline >= next_deadline_) return;
        next_deadline_ = deadline;
        watchable_.notify_one();
        return;
      }
    }
  }
  if (stopping) {
    refuse(std::move(queued.call), Errc::shutting_down, kClosed);
  } else {
    refuse(std::move(queued.call), Errc::busy, std::move(full));
  }
}

void RocksdbBackend::refuse(std::unique_ptr<Call> call, Errc code, std::string detail) noexcept {
  std::vector<Waiting> one(1);
  one[0].call = std::move(call);
  one[0].answer = Answer::failed(code, std::move(detail));
  answer(one);
}

void RocksdbBackend::stop() noexcept {
  {
    const std::lock_guard lock(queue_lock_);
    stopping_ = true;
  }
  queued_.notify_one();
  ended_.notify_one();
  if (executor_.joinable()) executor_.join();
  {
    const std::lock_guard lock(queue_lock_);
    executed_ = true;
  }
  watchable_.notify_one();
  if (watcher_.joinable()) watcher_.join();
  if (syncer_.joinable()) syncer_.join();
  while (!queue_.empty()) refuse(queue_.pop().call, Errc::shutting_down, kClosed);
  if (store_) (void)store_->sync();
  store_.reset();
}

// ---- The executor.

void RocksdbBackend::execute() noexcept {
  std::vector<Waiting> done;
  while (take()) {
    if (Clock::now() >= next_tick_) {
      const rocks::Operation operation(operating_since_);
      tick();
    }
    if (group_.empty()) {
      epoch::rest();  // nothing has come for the time of a tick
    } else {
      run(group_);
    }
    {
      const std::lock_guard lock(queue_lock_);
      done.swap(group_);
    }
    done.clear();
  }
}

/// What is waiting, up to a group; nothing at a tick. False: stop() was called.
bool RocksdbBackend::take() {
  std::unique_lock lock(queue_lock_);
  queued_.wait_until(lock, next_tick_, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return false;
  std::size_t bytes = 0;
  while (!queue_.empty() && group_.size() < kGroupCalls && bytes < kGroupBytes) {
    auto queued = queue_.pop();
    bytes += queued.bytes;
    group_.push_back({.call = std::move(queued.call)});
  }
  return true;
}

/// In as few commits as the bytes allow that are held until then.
void RocksdbBackend::run(std::span<Waiting> group) {
  if (const std::string refusal = broken(); !refusal.empty()) {
    refuse_writes(group, refusal);
    return;
  }
  std::size_t commands = group.size();
  for (const Waiting& waiting : group) commands += waiting.call->command.queued.size();
  {
    const rocks::Operation operation(operating_since_);
    (void)store_->sweep(wall_now().time_since_epoch().count(), kSweepBeside * commands);
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    perform(group[i], {});
    const bool full = store_->end_unit();
    if (!full && i + 1 < group.size()) continue;
    const std::string refusal = commit_and_answer(group.subspan(begin, i + 1 - begin));
    begin = i + 1;
    if (refusal.empty()) continue;
    refuse_writes(group.subspan(begin), refusal);
    return;
  }
}

/// Why it could not be committed; empty: it was.
std::string RocksdbBackend::commit_and_answer(std::span<Waiting> group) {
  if (!commit()) {
    std::string refusal = broken();
    // What was written and not synced is in the log, which is read again.
    const std::string_view unsure =
        fsync_ == Fsync::always ? "; whether this was written is not known until then" : "";
    refuse_writes(group, refusal + std::string(unsure));
    return refusal;
  }
  keys_.store(store_->size(), std::memory_order_relaxed);
  answer(group);
  return {};
}

/// What could not be committed is not there: whoever only reads is answered from what is.
void RocksdbBackend::refuse_writes(std::span<Waiting> group, std::string_view refusal) {
  for (Waiting& waiting : group) perform(waiting, refusal);
  keys_.store(store_->size(), std::memory_order_relaxed);
  answer(group);
}

/// `refusal`: why nothing may be written; empty: it may.
void RocksdbBackend::perform(Waiting& waiting, std::string_view refusal) {
  const Command& command = waiting.call->command;
  Answer& answer = waiting.answer = {};
  answer.sent_at = Clock::now();
  if (command.deadline <= answer.sent_at) {
    answer = Answer::failed(Errc::timeout, refusal.empty() ? kLateInQueue : kLateOnDisk);
    return;
  }
  const rocks::Operation operation(operating_since_, answer.sent_at);
  // Of a transaction, it is the command alone whose read has failed that is not executed.
  embedded::perform(keyspace_, command, wall_now(), answer, [this](Reply& reply) {
    (void)say_unreadable(reply);
    store_->end_command();
  });
  if (say_unreadable(answer.reply)) answer.pttl = -2;
  const bool changed = store_->take_changed();
  if (refusal.empty()) {
    waiting.wrote = changed;
    return;
  }
  if (changed) {
    answer.reply = Reply::error(
        (command.op == Op::exec ? "EXECABORT Transaction discarded because of: " : "") +
        ("MISCONF the embedded store at " + path_) +
        " cannot be written, so writes are refused until it can: " + std::string(refusal));
    answer.pttl = -2;
  }
  store_->discard();
}

/// Whether a read has failed, which is then the reply.
bool RocksdbBackend::say_unreadable(Reply& reply) {
  const auto failure = store_->take_failure();
  if (!failure) return false;
  reply = Reply::error("ERR the embedded store at " + path_ +
                       " cannot be read; restore it from a backup: " + *failure);
  const std::lock_guard lock(state_);
  unreadable_ = *failure;
  return true;
}

bool RocksdbBackend::commit() {
  const rocks::Operation operation(operating_since_);
  if (auto failed = store_->commit()) {
    set_broken(std::move(*failed));
    next_retry_ = Clock::now() + kRetryEvery;
    return false;
  }
  unsynced_.store(true, std::memory_order_release);
  return true;
}

void RocksdbBackend::answer(std::span<Waiting> group) noexcept {
  {
    const std::lock_guard lock(settling_);
    // Its asker has been told that the outcome is unknown, and L1 has forgotten what it was about. What was read in front
    // of it, and comes only now, must not bring that back.
    const bool overtaken = std::any_of(group.begin(), group.end(), [](const Waiting& waiting) {
      return waiting.given_up && waiting.wrote;
    });
    for (Waiting& waiting : group) {
      if (waiting.given_up) continue;
      waiting.answered = true;
      if (!waiting.answer.error)
        waiting.answer.epoch = overtaken ? cohere::kNoEpoch : lane_[0].epoch();
      settle(*waiting.call, waiting.answer);
    }
  }
  for (Waiting& waiting : group) {
    if (waiting.answered) waiting.call->complete(std::move(waiting.answer));
  }
}

/// Under settling_.
void RocksdbBackend::settle(Call& call, const Answer& answer) noexcept {
  call.settle(answer);
  if (call.command.undeclared) disown();
}

/// Nothing that was read so far is vouched for any more. Under settling_.
void RocksdbBackend::disown() noexcept {
  lane_[0].bump_for_good();
  lane_[0].set_lease(kForever);
}

/// What has to be done although nobody asks.
void RocksdbBackend::tick() {
  const TimePoint now = Clock::now();
  next_tick_ = now + kTick;
  const bool syncing = syncing_since_.load(std::memory_order_acquire) != kForever;
  if (!broken().empty()) {
    // To try again is to wait for the sync that is under way, and those who only read would wait, too.
    if (syncing || now < next_retry_) return;
    next_retry_ = now + kRetryEvery;
    if (auto failed = store_->resume()) {
      set_broken(std::move(*failed));
      return;
    }
    if (auto loss = store_->loss(); !loss.empty()) {
      const std::lock_guard lock(state_);
      loss_ = std::move(loss);
    }
    {  // The log that was read again may hold what was refused, and may have lost what was not synced.
      const std::lock_guard lock(settling_);
      disown();
    }
    keys_.store(store_->size(), std::memory_order_relaxed);
    set_broken({});
  }
  const std::size_t swept = store_->sweep(wall_now().time_since_epoch().count(), kSweepIdle);
  if (const auto failure = store_->take_failure()) {
    const std::lock_guard lock(state_);
    unreadable_ = *failure;
  }
  if (swept > 0 && commit()) keys_.store(store_->size(), std::memory_order_relaxed);
  if (swept == kSweepIdle) next_tick_ = now;
}

// ---- The watcher.

void RocksdbBackend::watch() noexcept {
  std::unique_lock lock(queue_lock_);
  TimePoint next_look = TimePoint::min();
  while (!executed_) {
    const TimePoint next = std::max(next_deadline_, next_look);
    if (next == kForever) {
      watchable_.wait(lock);
    } else if (Clock::now() < next) {
      watchable_.wait_until(lock, next);
    } else {
      lock.unlock();
      give_up_late();
      epoch::rest();
      lock.lock();
      next_look = Clock::now() + kLookEvery;
    }
  }
}

/// Answers those whose deadline has passed, however long the disk takes. What the executor has taken it goes on with, and
/// what comes of it is nobody's.
void RocksdbBackend::give_up_late() noexcept {
  std::vector<std::pair<std::shared_ptr<Call>, Answer>> late;
  {
    const std::lock_guard settling(settling_);
    {
      const std::lock_guard lock(queue_lock_);
      const TimePoint now = Clock::now();
      next_deadline_ = kForever;
      const auto is_late = [&](const Call& call) {
        const bool is = call.command.deadline <= now;
        if (!is) next_deadline_ = std::min(next_deadline_, call.command.deadline);
        return is;
      };
      for (Waiting& waiting : group_) {
        if (waiting.answered || waiting.given_up || !is_late(*waiting.call)) continue;
        waiting.given_up = true;
        late.emplace_back(waiting.call, Answer::failed(Errc::timeout, kLateOnDisk));
      }
      queue_.remove_if(is_late, [&](std::unique_ptr<Call> call) {
        late.emplace_back(std::move(call), Answer::failed(Errc::timeout, kLateInQueue));
      });
    }
    for (const auto& [call, answer] : late) settle(*call, answer);
  }
  for (auto& [call, answer] : late) call->complete(std::move(answer));
}

// ---- The syncer.

void RocksdbBackend::sync_every_second() noexcept {
  std::unique_lock lock(queue_lock_);
  while (!ended_.wait_for(lock, kSyncEvery, [this] { return stopping_; })) {
    lock.unlock();
    if (unsynced_.exchange(false, std::memory_order_acquire)) {
      // What is not synced would not be there after a power cut; nothing more is acknowledged until it is.
      syncing_since_.store(Clock::now(), std::memory_order_relaxed);
      if (auto failed = store_->sync()) set_broken("sync: " + *failed);
      syncing_since_.store(kForever, std::memory_order_release);
    }
    lock.lock();
  }
}

}  // namespace

Result<std::unique_ptr<L2Backend>> make_rocksdb_backend(const rocks::DiskConfig& config,
                                                        const RocksdbLimits& limits) {
  auto store = rocks::DiskStore::open(config);
  if (!store) return store.error();
  return std::make_unique<RocksdbBackend>(std::move(*store), config, limits);
}

}  // namespace nearlane::l2
