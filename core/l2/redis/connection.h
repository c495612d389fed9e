// Connection: carries one lane's bytes over TCP, and reconnects.
//
// Threads:   everything runs on the loop, but submit, stop and the health readers, which any thread
//            may call.
// Lifetime:  shared with its own outstanding handlers; view and listener outlive it.
// Cost:      one read and at most one write in flight; what is submitted during a write goes out
//            together.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "core/cohere/lane.h"
#include "core/l2/redis/redis_url.h"

namespace nearlane::l2 {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::io_context& loop, RedisUrl url, Duration connect_timeout,
             const cohere::LaneConfig& config, cohere::LaneView& view, cohere::Listener& listener,
             std::function<void()> on_verdict);

  void submit(std::unique_ptr<cohere::Call> call);
  /// Completes what is outstanding and stays closed.
  void stop();
  /// Drives deadlines, heartbeats and reconnects; on the loop, every tick_period().
  void tick(TimePoint now);
  [[nodiscard]] Duration tick_period() const noexcept { return lane_.tick_period(); }

  [[nodiscard]] bool up() const noexcept { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string trouble() const;
  /// What the probe of this connection found: whether L2 announces changes over it. on_verdict is called,
  /// on the loop, when it has found out.
  enum class Verdict : std::uint8_t { unknown, proven, refuted };
  [[nodiscard]] Verdict verdict() const noexcept {
    return verdict_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::string distrust() const;

 private:
  [[nodiscard]] std::string where() const;
  void begin_connect(TimePoint now);
  void connected(TimePoint now);
  void read();
  void flush();
  void flush_soon();
  void after_lane();
  void close(const Error& why);
  void note_verdict();
  void schedule_reconnect(bool was_up, TimePoint now);

  boost::asio::io_context& loop_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  const RedisUrl url_;
  const Duration connect_timeout_;
  cohere::Lane lane_;
  const std::function<void()> on_verdict_;

  bool open_ = false;  // a connection is up, or being made
  bool stopped_ = false;
  bool writing_ = false;
  bool flush_posted_ = false;
  unsigned generation_ = 0;    // handlers of an earlier connection know themselves by it
  unsigned failures_ = 0;      // in a row
  TimePoint connect_at_{};     // when to try next, while not open_
  TimePoint connect_until_{};  // an attempt that is not ready by then has failed
  std::string sending_;
  std::array<char, std::size_t{64} * 1024> received_;
  std::minstd_rand random_;

  std::atomic<bool> up_{false};
  std::atomic<Verdict> verdict_{Verdict::unknown};
  mutable std::mutex trouble_mutex_;  // of both texts
  std::string trouble_;
  std::string distrust_;
};

}  // namespace nearlane::l2
