// Traffic: many clients at once on several instances, over both doors, with a writer that goes straight
// to the store, every answer judged by a History while they run.
//
// Half of the keys have one writer at a time, whoever it is, so that the order of their writes is known
// and the rule decides every read; on the other half writes overlap freely, which is where caches go
// wrong for ever, and settle() compares what is left.
//
// Errors:   what requests fail with is counted: under faults it is no error. settle() answers unavailable
//           when somebody cannot be asked.
// Threads:  one a client, between start() and stop(); the calls are for one thread.
// Lifetime: the history outlives it; the destructor stops it.
// Cost:     as fast as the servers answer: a closed loop of `batch` requests in flight a client.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "harness/check/batch_client.h"
#include "harness/check/history.h"
#include "harness/driver/codec.h"
#include "harness/workload/random.h"

namespace nearlane::harness {

struct Door {
  Node node = 0;  // kStore: its clients only write, and pause between batches
  Protocol protocol = Protocol::resp;
  Endpoint endpoint = {};
};

struct TrafficOptions {
  std::vector<Door> doors = {};
  unsigned clients = 1;  // for each door
  std::uint64_t keys = 1000;
  double theta = 0.5;      // Zipf exponent of their popularity
  std::size_t batch = 16;  // requests in flight on one connection
  double set_share = 0.08;
  double expiring_set_share = 0.01;  // with a TTL of 100 to 600 ms
  double erase_share = 0.01;
  double touch_share = 0.01;  // to an hour, which never comes
  bool store_writes = true;   // false: the store is only read, by settle()
  std::size_t store_batch = 4;
  Duration store_pause = std::chrono::milliseconds(2);
  Duration timeout = std::chrono::seconds(2);
  // Watchers only read, one request at a time, a few keys again and again, and turn away from what does
  // not answer at once: under a fault they go on asking for what L1 still serves.
  unsigned watchers = 0;  // for each door but the store's
  std::uint64_t watched_keys = 64;
  Duration watch_timeout = std::chrono::milliseconds(20);
  /// Told of every request, on its client's thread: when its batch was sent, how long it took, and whether it failed.
  std::function<void(TimePoint sent, Duration took, bool failed)> observe = {};
  std::uint64_t operations = UINT64_MAX;  // of all clients together; then they stop
  std::uint64_t seed = 42;
};

struct TrafficCounts {
  std::uint64_t operations = 0;  // answered or failed, the watchers' included
  std::uint64_t failed = 0;
  std::uint64_t abandoned = 0;     // reads that did not answer a watcher in time, or failed
  std::uint64_t l1_hits = 0;       // as HTTP says; RESP does not
  std::uint64_t marked_stale = 0;  // answers that said themselves that they might be old

  friend TrafficCounts operator-(TrafficCounts a, const TrafficCounts& b) noexcept {
    return {a.operations - b.operations, a.failed - b.failed, a.abandoned - b.abandoned,
            a.l1_hits - b.l1_hits, a.marked_stale - b.marked_stale};
  }
};

/// The name of a key, by its number below TrafficOptions::keys.
[[nodiscard]] std::string checked_key(std::uint64_t number);

/// For faults: watchers, and so few writes that most of what they ask for is in L1.
[[nodiscard]] TrafficOptions watched_traffic(std::vector<Door> doors);

/// What every door says once nobody writes any more.
struct Settled {
  std::uint64_t keys = 0;
  std::uint64_t compared = 0;   // answers of all doors
  std::uint64_t from_l1 = 0;    // of those over HTTP
  std::uint64_t different = 0;  // from what the store holds: stale for ever
  std::vector<std::string> examples;
};

class Traffic {
 public:
  Traffic(TrafficOptions options, History& history);
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  void start();
  /// Returns once every request under way has ended.
  void stop();
  /// Returns once the operations that were asked for are done.
  void join();
  [[nodiscard]] TrafficCounts counts() const noexcept;
  /// The store's clients turn to another server.
  void turn_store_to(const Endpoint& endpoint);

  /// Reads every key at every door and from the store. To be called while stopped, once nothing that had
  /// an unknown outcome can still happen.
  [[nodiscard]] Result<Settled> settle();
  /// The same where others have read the store, from `begin` on: every key's value by its number, empty: none.
  [[nodiscard]] Result<Settled> settle_against(const std::vector<std::string>& stored,
                                               TimePoint begin);

 private:
  struct Client;
  void run(Client& client);
  void make_batch(Client& client);
  void judge(Client& client, std::size_t at, const Reply& reply, TimePoint when);
  [[nodiscard]] Result<std::vector<std::string>> read_all(const Door& door, Settled& settled);
  [[nodiscard]] Result<std::vector<std::string>> read_all_once(const Door& door, Settled& settled);
  [[nodiscard]] Endpoint store() const;

  TrafficOptions options_;
  History& history_;
  Zipf popularity_;
  std::vector<std::string> names_;
  std::unique_ptr<std::atomic<bool>[]> taken_;  // by the one writer of an exclusive key
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> issued_{0};
  mutable std::mutex store_mutex_;
};

}  // namespace nearlane::harness
