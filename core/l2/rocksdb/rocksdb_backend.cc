#include "core/l2/rocksdb/rocksdb_backend.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/l2/embedded/keyspace.h"
#include "core/l2/embedded/perform.h"

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
constexpr auto kRetryEvery = std::chrono::seconds(1);  // whether the disk takes writes again

/// What its arguments take of this process's memory.
std::size_t weight(const Command& command) {
  std::size_t bytes = command.value ? command.value->value().size() : 0;
  const auto add = [&](const std::vector<std::string>& args) {
    for (const std::string& arg : args) bytes += sizeof arg + arg.size();
  };
  add(command.args);
  add(command.beside);
  for (const cohere::Queued& queued : command.queued) add(queued.args);
  return bytes;
}

struct Queued {
  std::unique_ptr<Call> call;
  std::size_t bytes;
};

struct Waiting {
  std::unique_ptr<Call> call;
  Answer answer = {};
};

class RocksdbBackend final : public L2Backend {
 public:
  RocksdbBackend(std::unique_ptr<rocks::DiskStore> store, const rocks::DiskConfig& config,
                 const RocksdbLimits& limits)
      : path_(config.path),
        fsync_(config.fsync),
        limits_(limits),
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
    if (fsync_ == Fsync::everysec) syncer_ = std::thread([this] { sync_every_second(); });
  }
  void submit(std::unique_ptr<Call> call) noexcept override;
  void stop() noexcept override;

 private:
  void execute() noexcept;
  void sync_every_second() noexcept;
  [[nodiscard]] bool take(std::vector<Waiting>& group);
  void run(std::span<Waiting> group);
  [[nodiscard]] std::string commit_and_answer(std::span<Waiting> group);
  void refuse_writes(std::span<Waiting> group, std::string_view refusal);
  void perform(Waiting& waiting, std::string_view refusal);
  [[nodiscard]] bool say_unreadable(protocol::Reply& reply);
  void answer(std::span<Waiting> group) noexcept;
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
  const RocksdbLimits limits_;

  std::mutex queue_lock_;
  std::condition_variable queued_;
  std::condition_variable ended_;  // for the syncer
  std::deque<Queued> queue_;
  std::size_t queue_bytes_ = 0;
  bool stopping_ = false;

  std::mutex settling_;  // one call is settled at a time, those too that were never queued

  mutable std::mutex state_;
  std::string loss_;             // of the log, when it was last opened with one
  std::string broken_ = {};      // what has failed, until it has been tried again
  std::string unreadable_ = {};  // the last read that failed

  std::unique_ptr<rocks::DiskStore> store_;  // the executor's, but for sync()
  embedded::Keyspace keyspace_;
  std::atomic<std::size_t> keys_;
  std::atomic<bool> unsynced_{false};
  std::atomic<TimePoint> syncing_since_{kForever};  // kForever: the syncer waits for none
  TimePoint next_tick_ = Clock::now();
  TimePoint next_retry_ = Clock::now();
  std::array<cohere::LaneView, 1> lane_;

  std::thread executor_;
  std::thread syncer_;
};

Health RocksdbBackend::health() const {
  static constexpr std::array<std::string_view, 3> kModes = {"always", "everysec", "no"};
  const std::string broken = this->broken();
  const std::lock_guard lock(state_);
  std::string detail = std::to_string(keys_.load(std::memory_order_relaxed)) +
                       " keys in rocksdb:" + path_ + ", fsync " +
                       std::string(kModes[static_cast<std::size_t>(fsync_)]);
  if (!loss_.empty()) detail += "; its log was damaged, and what came after is lost: " + loss_;
  if (!unreadable_.empty()) detail += "; a read failed: " + unreadable_;
  if (!broken.empty()) detail += "; writes are refused: " + broken;
  return {.ready = broken.empty(), .lanes = 1, .lanes_up = 1, .detail = std::move(detail)};
}

void RocksdbBackend::submit(std::unique_ptr<Call> call) noexcept {
  const std::size_t bytes = weight(call->command);
  bool stopping = false;
  bool too_many = false;
  {
    const std::lock_guard lock(queue_lock_);
    stopping = stopping_;
    too_many = queue_.size() >= limits_.queue;
    // One call is taken however large it is.
    const bool fits = queue_.empty() || queue_bytes_ + bytes <= limits_.queue_bytes;
    if (!stopping && !too_many && fits) {
      queue_.push_back({.call = std::move(call), .bytes = bytes});
      queue_bytes_ += bytes;
      if (queue_.size() == 1) queued_.notify_one();
      return;
    }
  }
  if (stopping) {
    refuse(std::move(call), Errc::shutting_down, "rocksdb: the store is closed");
  } else if (too_many) {
    refuse(std::move(call), Errc::busy,
           "rocksdb: " + std::to_string(limits_.queue) + " calls are waiting already");
  } else {
    refuse(std::move(call), Errc::busy,
           "rocksdb: calls of " + std::to_string(limits_.queue_bytes >> 20U) +
               " MiB are waiting already");
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
  if (syncer_.joinable()) syncer_.join();
  std::deque<Queued> left;
  {
    const std::lock_guard lock(queue_lock_);
    left.swap(queue_);
    queue_bytes_ = 0;
  }
  for (Queued& queued : left) {
    refuse(std::move(queued.call), Errc::shutting_down, "rocksdb: the store is closed");
  }
  if (store_) (void)store_->sync();
  store_.reset();
}

// ---- The executor.

void RocksdbBackend::execute() noexcept {
  std::vector<Waiting> group;
  while (take(group)) {
    if (Clock::now() >= next_tick_) tick();
    if (!group.empty()) run(group);
    group.clear();
  }
}

/// What is waiting, up to a group; nothing at a tick. False: stop() was called.
bool RocksdbBackend::take(std::vector<Waiting>& group) {
  std::unique_lock lock(queue_lock_);
  queued_.wait_until(lock, next_tick_, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return false;
  std::size_t bytes = 0;
  while (!queue_.empty() && group.size() < kGroupCalls && bytes < kGroupBytes) {
    bytes += queue_.front().bytes;
    group.push_back({.call = std::move(queue_.front().call)});
    queue_bytes_ -= queue_.front().bytes;
    queue_.pop_front();
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
  (void)store_->sweep(wall_now().time_since_epoch().count(), kSweepBeside * commands);
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
    const std::string refusal = broken();
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
  if (command.deadline < answer.sent_at) {
    answer = Answer::failed(Errc::timeout, "rocksdb: the deadline passed in the queue");
    return;
  }
  // Of a transaction, it is the command alone whose read has failed that is not executed.
  embedded::perform(keyspace_, command, wall_now(), answer, [this](Reply& reply) {
    (void)say_unreadable(reply);
    store_->end_command();
  });
  if (say_unreadable(answer.reply)) answer.pttl = -2;
  if (refusal.empty()) return;
  if (store_->take_changed()) {
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
    for (auto& [call, answer] : group) {
      if (!answer.error) answer.epoch = lane_[0].epoch();
      call->settle(answer);
      if (call->command.undeclared) disown();
    }
  }
  for (auto& [call, answer] : group) call->complete(std::move(answer));
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
