// Connection: carries one conversation's bytes over a link, makes another when that ends, and gives it up when the
// server is elsewhere. LaneConnection: that of a lane.
//
// Threads:   everything runs on the loop, but submit, stop and the readers of health, which any thread
//            may call.
// Lifetime:  shared with its own outstanding handlers; the conversation is its own, and what that refers to
//            outlives it.
// Cost:      one read and at most one write in flight; what is submitted during a write goes out
//            together.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/cohere/conversation.h"
#include "core/cohere/lane.h"
#include "core/l2/redis/link.h"
#include "core/l2/redis/route.h"

namespace nearlane::l2 {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `after_tick` runs on the loop after every tick, if there is one.
  Connection(boost::asio::io_context& loop, std::shared_ptr<Route> route, Duration connect_timeout,
             std::unique_ptr<cohere::Conversation> conversation,
             std::function<void(TimePoint)> after_tick = {});
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Completes what is outstanding and stays closed.
  void stop();
  /// Drives deadlines, heartbeats and reconnects; on the loop, every cohere::tick_period().
  void tick(TimePoint now);

  [[nodiscard]] bool up() const noexcept { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string trouble() const;

 protected:
  /// The conversation was told something.
  virtual void note_change() {}
  void after_change();
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  [[nodiscard]] cohere::Conversation& conversation() noexcept { return *conversation_; }

  boost::asio::io_context& loop_;
  mutable std::mutex text_mutex_;  // of what is for people

 private:
  void follow(TimePoint now);
  void begin_connect(TimePoint now);
  void read();
  void flush();
  void flush_soon();
  void close(const Error& why);
  void schedule_reconnect(bool was_up, TimePoint now);
  [[nodiscard]] bool is_due(TimePoint now) const;
  void connect_soon(TimePoint now);
  void connect_after(Duration least, Duration most, TimePoint now);

  const std::shared_ptr<Route> route_;
  const Duration connect_timeout_;
  const std::unique_ptr<cohere::Conversation> conversation_;
  const std::function<void(TimePoint)> after_tick_;

  std::shared_ptr<Link>
      link_;  // null: none is up, nor being made; handlers of an earlier one know themselves by it
  bool stopped_ = false;
  bool writing_ = false;
  bool flush_posted_ = false;
  std::uint64_t version_;       // of the route, that was followed
  std::uint64_t arrivals_ = 0;  // of the route, when this one was lost or tried last
  unsigned failures_ = 0;       // in a row
  TimePoint connect_at_{};      // when to try next, while there is no link
  TimePoint connect_until_{};   // an attempt that is not ready by then has failed
  std::minstd_rand random_;

  std::atomic<bool> up_{false};
  std::string trouble_;  // under text_mutex_
};

class LaneConnection final : public Connection {
 public:
  using Form = cohere::Lane::Form;

  /// `on_form` is called, on the loop, when it has been found out what vouches for this connection, and when that
  /// has changed.
  LaneConnection(boost::asio::io_context& loop, std::shared_ptr<Route> route,
                 Duration connect_timeout, const cohere::LaneConfig& config, cohere::LaneView& view,
                 cohere::Listener& listener, std::function<void()> on_form);

  void submit(std::unique_ptr<cohere::Call> call);
  /// Lane::disown, and then `done`, both on the loop.
  void disown(std::function<void()> done);
  [[nodiscard]] Form form() const noexcept { return form_.load(std::memory_order_relaxed); }
  /// Why it vouches for nothing; empty where it does, or where that is not known yet.
  [[nodiscard]] std::string distrust() const;

 private:
  void note_change() override;

  cohere::Lane& lane_;
  const std::function<void()> on_form_;
  std::atomic<Form> form_{Form::unknown};
  std::string distrust_;  // written by the loop, under text_mutex_
};

}  // namespace nearlane::l2
