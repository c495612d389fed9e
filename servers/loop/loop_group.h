// LoopGroup: the server's event loops, its listeners, and how it ends.
//
// One io_context a thread; a connection lives and dies on its loop. TCP doors have one acceptor a
// loop (SO_REUSEPORT, so the kernel spreads the connections); a Unix socket has one, which hands
// off round robin.
//
// SIGTERM drains. For drain_delay it serves on, so that balancers, who are told by then, look away; clients who can be
// told are told with their next answer. Then there are no more accepts, what is in flight is finished, idle connections
// are closed, and after drain_timeout the rest is closed too. SIGINT, which a person sends, does without the delay. A
// second signal ends at once.
//
// Threads:   listen, every and on_drain before run(); run() on one thread; after(), drain(), draining() and the counts
//            from any.
// Lifetime:  outlives whatever lives on its loops.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/base/result.h"
#include "servers/loop/address.h"
#include "servers/loop/client_counts.h"
#include "servers/loop/listener.h"
#include "servers/loop/loop.h"

namespace nearlane::loop {

struct Limits {
  unsigned max_connections = 10'000;        // of all doors together
  unsigned max_connections_per_client = 0;  // of all doors together; 0: as many
  Duration drain_timeout = std::chrono::seconds(10);
  Duration drain_delay = Duration::zero();  // before it
};

/// What a connection over a limit is told before it is closed.
struct Refusals {
  std::string full = {};            // max_connections
  std::string client_is_full = {};  // max_connections_per_client
};

class LoopGroup {
 public:
  /// Makes the connection that lives on `home`; owns `socket`.
  using AcceptHandler = std::function<std::shared_ptr<Connection>(Loop& home, int socket)>;

  LoopGroup(unsigned threads, Limits limits);
  ~LoopGroup();
  LoopGroup(const LoopGroup&) = delete;
  LoopGroup& operator=(const LoopGroup&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return loops_.size(); }
  [[nodiscard]] Loop& loop(std::size_t index) noexcept { return *loops_[index]; }
  [[nodiscard]] std::span<boost::asio::io_context* const> contexts() const noexcept {
    return contexts_;
  }

  /// Listens from now on, and accepts once run() does. The address that was bound.
  [[nodiscard]] Result<Address> listen(const Address& address, const Refusals& refusals,
                                       const AcceptHandler& on_accept);

  /// Runs `task` on the first loop, every `period`.
  void every(Duration period, std::function<void()> task);

  /// Runs `task` once on the first loop, `delay` from now or later. From any thread. What is still to come
  /// when the loops end is dropped.
  void after(Duration delay, std::function<void()> task);

  /// Runs `task` on the first loop when a drain begins. The loops go on until it has called `done`, from any thread, or
  /// drain_timeout cuts it short.
  void on_drain(std::function<void(std::function<void()> done)> task);
  /// From the moment when a drain began.
  [[nodiscard]] bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

  /// Serves until drained. False: a second signal or drain_timeout cut it short.
  [[nodiscard]] bool run();
  /// After run(), and after whoever answers has been told to stop: carries out what still waits on any loop, so that
  /// nobody is left unanswered and nothing of one loop waits in another when they go.
  void finish();
  /// What SIGTERM does.
  void drain();

  [[nodiscard]] unsigned open_connections() const noexcept {
    return open_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t accepted_connections() const noexcept {
    return accepted_.load(std::memory_order_relaxed);
  }
  /// Over max_connections.
  [[nodiscard]] std::uint64_t refused_connections() const noexcept {
    return refused_.load(std::memory_order_relaxed);
  }
  /// Over max_connections_per_client.
  [[nodiscard]] std::uint64_t refused_by_client() const noexcept {
    return refused_by_client_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }

 private:
  struct Task;
  class Seat;

  void accepted(Loop& home, int socket, const Refusals& refusals, const AcceptHandler& on_accept);
  void await_signal();
  void begin_drain(Duration delay);
  void close_doors();
  void drained_one() noexcept;
  void keep_house(std::size_t index);
  static void collect(boost::asio::io_context& loop);
  void stop() noexcept;

  Limits limits_;
  std::atomic<unsigned> open_{0};
  ClientCounts clients_;
  // What is above is given back by the connections of what is below.
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<boost::asio::io_context*> contexts_;
  std::vector<std::vector<std::shared_ptr<Listener>>> listeners_;  // by loop
  std::vector<boost::asio::steady_timer> housekeeping_;            // by loop
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<std::function<void(std::function<void()> done)>> drain_tasks_;
  std::vector<std::string> socket_files_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_delay_;
  boost::asio::steady_timer drain_deadline_;
  std::atomic<std::size_t> next_loop_{0};
  std::atomic<std::size_t> undrained_{0};  // loops and tasks
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> refused_by_client_{0};
  std::atomic<bool> draining_{false};  // the first loop's to set
  bool cut_short_ = false;
};

}  // namespace nearlane::loop
