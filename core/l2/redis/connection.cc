#include "core/l2/redis/connection.h"

#include <algorithm>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Waits between attempts: doubling, capped, and spread by half, so that an L2 that comes back is
// not met by all connections of all instances in the same millisecond.
constexpr Duration kFirstWait = std::chrono::milliseconds(50);
constexpr Duration kLongestWait = std::chrono::seconds(2);
// A connection that was up reconnects at once, but for this much jitter.
constexpr Duration kAfterLoss = std::chrono::milliseconds(10);

}  // namespace

Connection::Connection(asio::io_context& loop, RedisUrl url, Duration connect_timeout,
                       const cohere::LaneConfig& config, cohere::LaneView& view,
                       cohere::Listener& listener, std::function<void()> on_verdict)
    : loop_(loop),
      resolver_(loop),
      socket_(loop),
      url_(std::move(url)),
      connect_timeout_(connect_timeout),
      lane_(config, view, listener),
      on_verdict_(std::move(on_verdict)),
      random_(std::random_device{}()) {}

std::string Connection::trouble() const {
  const std::lock_guard lock(trouble_mutex_);
  return trouble_;
}

std::string Connection::distrust() const {
  const std::lock_guard lock(trouble_mutex_);
  return distrust_;
}

/// Keeps what the lane's probe has found, once it has ended.
void Connection::note_verdict() {
  const cohere::TrackingProbe& probe = lane_.probe();
  if (probe.running() || (!probe.proven() && probe.trouble().empty())) return;
  const Verdict found = probe.proven() ? Verdict::proven : Verdict::refuted;
  {
    const std::lock_guard lock(trouble_mutex_);
    if (found == verdict() && probe.trouble() == distrust_) return;
    distrust_ = probe.trouble();
  }
  verdict_.store(found, std::memory_order_relaxed);
  on_verdict_();
}

std::string Connection::where() const { return url_.host + ":" + url_.port; }

void Connection::submit(std::unique_ptr<cohere::Call> call) {
  asio::dispatch(loop_, [self = shared_from_this(), call = std::move(call)]() mutable {
    if (self->stopped_) {
      const cohere::Answer answer =
          cohere::Answer::failed(Errc::shutting_down, "the server is stopping");
      call->settle(answer);
      return call->complete(answer);
    }
    self->lane_.submit(std::move(call), Clock::now());
    self->after_lane();
  });
}

void Connection::stop() {
  asio::dispatch(loop_, [self = shared_from_this()] {
    if (std::exchange(self->stopped_, true)) return;
    self->close({Errc::shutting_down, "the server is stopping"});
  });
}

void Connection::tick(TimePoint now) {
  if (stopped_) return;
  if (!open_) {
    lane_.tick(now);
    if (now >= connect_at_) begin_connect(now);
    return;
  }
  if (lane_.state() != cohere::Lane::State::ready && now >= connect_until_) {
    return close({Errc::unavailable, "no connection to " + where() + " within connect_timeout"});
  }
  lane_.tick(now);
  after_lane();
}

void Connection::begin_connect(TimePoint now) {
  open_ = true;
  connect_until_ = now + connect_timeout_;
  lane_.connect();
  const unsigned generation = ++generation_;
  resolver_.async_resolve(
      url_.host, url_.port,
      [self = shared_from_this(), generation](error_code error, auto endpoints) {
        if (generation != self->generation_ || self->stopped_) return;
        if (error) {
          return self->close(
              {Errc::unavailable, "cannot resolve " + self->url_.host + ": " + error.message()});
        }
        asio::async_connect(
            self->socket_, endpoints, [self, generation](error_code failed, const auto&) {
              if (generation != self->generation_ || self->stopped_) return;
              if (failed) {
                return self->close({Errc::unavailable, "cannot connect to " + self->where() + ": " +
                                                           failed.message()});
              }
              self->connected(Clock::now());
            });
      });
}

void Connection::connected(TimePoint now) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  lane_.connected(now);
  flush();
  read();
}

void Connection::read() {
  socket_.async_read_some(
      asio::buffer(received_),
      [self = shared_from_this(), generation = generation_](error_code error, std::size_t size) {
        if (generation != self->generation_ || self->stopped_) return;
        if (error) {
          return self->close({Errc::connection_lost,
                              "the connection to " + self->where() + " ended: " + error.message()});
        }
        self->lane_.received({self->received_.data(), size}, Clock::now());
        if (generation != self->generation_) return;
        self->after_lane();
        if (generation == self->generation_ && self->open_) self->read();
      });
}

/// What the lane wants done after it was told something.
void Connection::after_lane() {
  if (lane_.broken()) {
    const Error why = *lane_.broken();
    return close(why);
  }
  note_verdict();
  const bool ready = lane_.state() == cohere::Lane::State::ready;
  if (ready && !up_.load(std::memory_order_relaxed)) {
    failures_ = 0;
    up_.store(true, std::memory_order_relaxed);
  }
  flush_soon();
}

/// One send for all that is submitted in this turn of the loop.
void Connection::flush_soon() {
  if (flush_posted_ || writing_ || lane_.output().empty()) return;
  flush_posted_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (writing_ || !open_ || lane_.output().empty()) return;
  writing_ = true;
  sending_.clear();
  sending_.swap(lane_.output());
  asio::async_write(
      socket_, asio::buffer(sending_),
      [self = shared_from_this(), generation = generation_](error_code error, std::size_t) {
        if (generation != self->generation_ || self->stopped_) return;
        self->writing_ = false;
        if (error) {
          return self->close(
              {Errc::connection_lost, "cannot write to " + self->where() + ": " + error.message()});
        }
        self->flush();
      });
}

void Connection::close(const Error& why) {
  const TimePoint now = Clock::now();
  const bool was_up = up_.exchange(false, std::memory_order_relaxed);
  verdict_.store(Verdict::unknown, std::memory_order_relaxed);
  ++generation_;
  open_ = false;
  writing_ = false;
  error_code ignored;
  resolver_.cancel();
  socket_.close(ignored);
  {
    const std::lock_guard lock(trouble_mutex_);
    trouble_ = why.detail;
  }
  schedule_reconnect(was_up, now);
  lane_.closed(why, now);
}

void Connection::schedule_reconnect(bool was_up, TimePoint now) {
  Duration wait = kAfterLoss;
  if (!was_up) {
    wait = std::min(kLongestWait, kFirstWait * (std::int64_t{1} << std::min(failures_, 10U)));
    ++failures_;
  }
  std::uniform_int_distribution<std::int64_t> spread(was_up ? 0 : wait.count() / 2, wait.count());
  connect_at_ = now + Duration(spread(random_));
}

}  // namespace nearlane::l2
