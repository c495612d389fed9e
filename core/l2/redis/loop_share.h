// LoopShare: the connections of one loop and the timer that drives them all.
//
// Threads:   any may call; the connections run on the loop.
// Lifetime:  shared with its own handlers; the loop outlives it.
// Cost:      a timer that runs every tick, from start() to stop().
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/l2/redis/connection.h"

namespace nearlane::l2 {

class LoopShare : public std::enable_shared_from_this<LoopShare> {
 public:
  LoopShare(boost::asio::io_context& loop, Duration tick)
      : loop_(loop), timer_(loop), tick_(tick) {}

  [[nodiscard]] boost::asio::io_context& loop() noexcept { return loop_; }

  /// Also once it runs.
  void add(std::shared_ptr<Connection> connection) {
    boost::asio::post(loop_, [self = shared_from_this(), connection = std::move(connection)] {
      if (self->stopped_) return connection->stop();
      self->connections_.push_back(connection);
    });
  }
  void start() {
    boost::asio::post(loop_, [self = shared_from_this()] { self->run(); });
  }
  void stop() {
    boost::asio::post(loop_, [self = shared_from_this()] {
      self->stopped_ = true;
      self->timer_.cancel();
      for (const auto& connection : self->connections_) connection->stop();
    });
  }

 private:
  void run() {
    if (stopped_) return;
    const TimePoint now = Clock::now();
    // One may be added by what another is told.
    for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i]->tick(now);
    timer_.expires_after(tick_);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code) { self->run(); });
  }

  boost::asio::io_context& loop_;
  boost::asio::steady_timer timer_;
  const Duration tick_;
  std::vector<std::shared_ptr<Connection>> connections_;
  bool stopped_ = false;
};

}  // namespace nearlane::l2
