#include "harness/driver/generator.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "harness/driver/connection.h"
#include "harness/driver/recorder.h"

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMaxConnections = 4096;
constexpr std::uint32_t kMaxPipeline = 1024;
constexpr int kIssueBatch = 256;  // requests before replies are looked at again
constexpr std::size_t kReceiveBytes = std::size_t{64} << 10U;
constexpr int kReceiveRounds = 4;        // of one connection before the others are looked at
constexpr Duration kSpinBefore = 200us;  // a due time; covers the kernel's late wake-up
constexpr Duration kSpinAfter = 2ms;     // the last send or reply, while replies are due
constexpr Duration kTick = 1ms;          // timeouts, reconnects, progress
constexpr Duration kProgressEvery = 200ms;
constexpr Duration kFirstBackoff = 5ms;
constexpr Duration kLastBackoff = 500ms;

class Generator {
 public:
  Generator(RequestSource& source, const GeneratorOptions& options, const RunOptions& run)
      : source_(source), options_(options), run_(run), received_(kReceiveBytes) {}
  ~Generator() {
    if (epoll_ >= 0) ::close(epoll_);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  Result<RunReport> run();

 private:
  Result<void> open_all();
  Result<void> begin_connect(Connection& connection);
  void arm(Connection& connection, bool add) const;

  void fetch();
  void stop_issuing(Duration now);
  void issue(Duration now);
  void place(Request& request, Duration ready);
  void wait_for_room(std::deque<Request>& queue, Request& request);
  void take(Connection& connection, const Request& request, Duration ready);
  Connection& next_with_room();
  void place_waiting();

  [[nodiscard]] int patience_ms(Duration now) const;
  void handle(Connection& connection, std::uint32_t events);
  void read(Connection& connection);
  bool read_replies(Connection& connection, Duration done);
  void flush(Connection& connection);
  void flush_all();

  void tick(Duration now);
  void retry(Connection& connection, Duration now);
  void complete_oldest(Connection& connection, const Reply& reply, Duration done, bool answered);
  void fail(Connection& connection, Failure failure, std::string_view text);
  void give_up(const Request& request, Duration now);
  void expire(std::deque<Request>& queue, Duration now);
  void count_room(Connection& connection);

  [[nodiscard]] Duration now() const { return Clock::now() - recorder_->start(); }

  RequestSource& source_;
  const GeneratorOptions& options_;
  const RunOptions& run_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<Recorder> recorder_;
  int epoll_ = -1;
  std::vector<char> received_;

  Request next_;  // the next to be issued, when issuing_
  bool issuing_ = true;
  Duration ended_{};  // when issuing stopped
  std::uint64_t issued_ = 0;

  std::deque<Request> waiting_;    // for any connection
  std::size_t waiting_count_ = 0;  // with those that wait for a named one
  std::size_t in_flight_ = 0;
  std::size_t room_ = 0;  // connections with room
  std::size_t cursor_ = 0;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> touched_;  // got room in this pass
  Duration room_since_{};  // room that is seen in this pass was not there before this moment
  Duration last_moved_{};
  Duration last_tick_{};
  Duration last_progress_{};

  std::uint64_t bytes_out_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t reconnects_ = 0;
};

void Generator::arm(Connection& connection, bool add) const {
  epoll_event event{};
  event.events = EPOLLIN;
  if (connection.writes_armed) event.events |= EPOLLOUT;
  event.data.u32 = connection.number;
  ::epoll_ctl(epoll_, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection.socket.fd(), &event);
}

Result<void> Generator::begin_connect(Connection& connection) {
  if (auto begun = connection.socket.connect(connection.peer); !begun) return begun;
  connection.writes_armed = true;
  arm(connection, true);
  return {};
}

Result<void> Generator::open_all() {
  const auto deadline = Clock::now() + options_.connect_within;
  for (auto& connection : connections_) {
    auto begun = begin_connect(*connection);
    for (epoll_event event{}; begun && connection->socket.state() == Socket::State::connecting;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) {
        begun = Error{Errc::timeout, "no connection in time"};
      } else if (::epoll_wait(epoll_, &event, 1, static_cast<int>(left.count())) == 1 &&
                 event.data.u32 == connection->number) {
        begun = connection->socket.finish_connect();
      }
    }
    if (!begun) {
      return Error{begun.error().code, connection->peer.to_string() + ": " + begun.error().detail};
    }
    connection->writes_armed = false;
    arm(*connection, false);
    count_room(*connection);
  }
  return {};
}

void Generator::count_room(Connection& connection) {
  const bool roomy = connection.has_room();
  if (roomy == connection.roomy) return;
  connection.roomy = roomy;
  room_ = roomy ? room_ + 1 : room_ - 1;
  if (roomy) touched_.push_back(&connection);
}

// Issuing ------------------------------------------------------------------------------------------------------

void Generator::stop_issuing(Duration now) {
  issuing_ = false;
  ended_ = std::min(now, run_.duration);
}

void Generator::fetch() {
  const auto last_due = next_.at;
  next_.connection = kAnyConnection;
  next_.tag = 0;
  if (issued_ == run_.max_operations || !source_.next(next_)) {
    stop_issuing(run_.open_loop ? last_due : now());
  } else if (run_.open_loop && next_.at >= run_.duration) {
    stop_issuing(run_.duration);
  }
}

void Generator::issue(Duration now) {
  if (issuing_ && run_.stop != nullptr && run_.stop->load(std::memory_order_relaxed)) {
    stop_issuing(now);
  }
  for (int batch = 0; issuing_ && batch < kIssueBatch; ++batch) {
    if (run_.open_loop) {
      if (next_.at > now) return;
    } else {
      if (now >= run_.duration) return stop_issuing(now);
      if (room_ == 0 || waiting_count_ > 0) return;
      next_.at = now;
    }
    ++issued_;
    recorder_->scheduled(next_.at);
    place(next_, next_.at);
    fetch();
  }
}

void Generator::place(Request& request, Duration ready) {
  if (request.connection != kAnyConnection) {
    auto& connection = *connections_[request.connection % connections_.size()];
    if (connection.has_room() && connection.waiting.empty()) {
      take(connection, request, ready);
    } else {
      wait_for_room(connection.waiting, request);
    }
  } else if (room_ > 0 && waiting_.empty()) {
    take(next_with_room(), request, ready);
  } else {
    wait_for_room(waiting_, request);
  }
}

void Generator::wait_for_room(std::deque<Request>& queue, Request& request) {
  if (waiting_count_ >= options_.max_waiting) return give_up(request, now());
  queue.push_back(request);
  ++waiting_count_;
}

Connection& Generator::next_with_room() {
  while (!connections_[cursor_]->roomy) cursor_ = (cursor_ + 1) % connections_.size();
  auto& found = *connections_[cursor_];
  // A burst is filled before the next one is begun.
  if (!options_.in_bursts) cursor_ = (cursor_ + 1) % connections_.size();
  return found;
}

void Generator::take(Connection& connection, const Request& request, Duration ready) {
  connection.take(request, ready);
  ++in_flight_;
  count_room(connection);
  if (!connection.dirty) {
    connection.dirty = true;
    dirty_.push_back(&connection);
  }
}

void Generator::place_waiting() {
  const auto send_first_of = [&](std::deque<Request>& queue, Connection& connection) {
    take(connection, queue.front(), std::max(queue.front().at, room_since_));
    queue.pop_front();
    --waiting_count_;
  };
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    auto& connection = *touched_[i];
    while (connection.has_room() && !connection.waiting.empty()) {
      send_first_of(connection.waiting, connection);
    }
  }
  touched_.clear();
  while (room_ > 0 && !waiting_.empty()) send_first_of(waiting_, next_with_room());
}

// Moving bytes -------------------------------------------------------------------------------------------------

void Generator::flush(Connection& connection) {
  last_moved_ = now();
  const auto moved = connection.flush(last_moved_);
  bytes_out_ += moved.bytes;
  if (moved.bytes == 0 && !moved.would_block) {
    return fail(connection, Failure::lost, "the connection ended while sending");
  }
  if (connection.has_output() != connection.writes_armed) {
    connection.writes_armed = connection.has_output();
    arm(connection, false);
  }
}

void Generator::flush_all() {
  for (auto* connection : dirty_) {
    connection->dirty = false;
    if (connection->has_output()) flush(*connection);
  }
  dirty_.clear();
}

bool Generator::read_replies(Connection& connection, Duration done) {
  Reply reply;
  while (connection.in_flight() > 0) {
    auto whole = connection.codec->next(connection.oldest().kind, reply);
    if (!whole) {
      fail(connection, Failure::protocol, whole.error().detail);
      return false;
    }
    if (!*whole) break;
    complete_oldest(connection, reply, done, true);
    if (reply.closes) {
      fail(connection, Failure::lost, "the server closed the connection after a reply");
      return false;
    }
  }
  return true;
}

void Generator::read(Connection& connection) {
  for (int round = 0; round < kReceiveRounds; ++round) {
    const auto moved = connection.socket.receive(received_);
    if (moved.would_block) return;
    if (moved.bytes == 0) return fail(connection, Failure::lost, "the server ended the connection");
    last_moved_ = now();
    bytes_in_ += moved.bytes;
    auto fed = connection.codec->feed({received_.data(), moved.bytes});
    if (!fed) return fail(connection, Failure::protocol, fed.error().detail);
    if (!read_replies(connection, last_moved_)) return;
    if (moved.bytes < received_.size()) return;
  }
}

void Generator::handle(Connection& connection, std::uint32_t events) {
  if (connection.socket.state() == Socket::State::closed) return;  // failed earlier in this pass
  if (connection.socket.state() == Socket::State::connecting) {
    if (auto open = connection.socket.finish_connect(); !open) {
      return fail(connection, Failure::lost, open.error().detail);
    }
    connection.backoff = {};
    connection.writes_armed = false;
    arm(connection, false);
    return count_room(connection);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(connection);
  if ((events & EPOLLOUT) != 0 && connection.has_output()) flush(connection);
}

// Ends ---------------------------------------------------------------------------------------------------------

void Generator::complete_oldest(Connection& connection, const Reply& reply, Duration done,
                                bool answered) {
  const Flight& flight = connection.oldest();
  recorder_->completed({.kind = flight.kind,
                        .key = flight.key,
                        .tag = flight.tag,
                        .connection = connection.number,
                        .outcome = reply.outcome,
                        .failure = reply.failure,
                        .value = reply.text,
                        .intended = flight.intended,
                        .sent = connection.oldest_unsent() ? done : flight.sent,
                        .done = done},
                       flight.ready, answered);
  connection.drop_oldest();
  --in_flight_;
  count_room(connection);
}

void Generator::fail(Connection& connection, Failure failure, std::string_view text) {
  const auto done = now();
  const std::string why(text);  // may lie in the codec
  Reply reply{.outcome = Outcome::error, .failure = failure, .text = why};
  while (connection.in_flight() > 0) {
    if (connection.oldest_unsent()) reply.failure = Failure::not_sent;
    complete_oldest(connection, reply, done, false);
    // A reply that cannot be read is the first one's; the others never had one.
    if (failure == Failure::protocol) reply.failure = Failure::lost;
  }
  connection.close();
  count_room(connection);
  connection.retry_at = done + connection.backoff;
  connection.backoff = std::clamp<Duration>(connection.backoff * 2, kFirstBackoff, kLastBackoff);
}

void Generator::give_up(const Request& request, Duration now) {
  recorder_->completed({.kind = request.kind,
                        .key = request.key,
                        .tag = request.tag,
                        .connection = kAnyConnection,
                        .outcome = Outcome::error,
                        .failure = Failure::not_sent,
                        .value = "no connection had room in time",
                        .intended = request.at,
                        .sent = now,
                        .done = now},
                       now, false);
}

void Generator::expire(std::deque<Request>& queue, Duration now) {
  while (!queue.empty() && queue.front().at + options_.timeout < now) {
    give_up(queue.front(), now);
    queue.pop_front();
    --waiting_count_;
  }
}

void Generator::retry(Connection& connection, Duration now) {
  if (connection.retry_at > now || reconnects_ >= options_.max_reconnects) return;
  ++reconnects_;
  if (auto begun = begin_connect(connection); begun) {
    connection.retry_at = now + options_.timeout;
  } else {
    fail(connection, Failure::lost, begun.error().detail);
  }
}

void Generator::tick(Duration now) {
  if (now - last_tick_ < kTick) return;
  last_tick_ = now;
  for (auto& connection : connections_) {
    if (options_.in_rotation) {
      connection->parked = !options_.in_rotation(connection->number % options_.targets.size());
      count_room(*connection);
    }
    switch (connection->socket.state()) {
      case Socket::State::closed:
        if (!connection->parked) retry(*connection, now);
        break;
      case Socket::State::connecting:
        if (connection->retry_at < now) fail(*connection, Failure::lost, "no connection in time");
        break;
      case Socket::State::open:
        if (connection->in_flight() > 0 && !connection->oldest_unsent() &&
            connection->oldest().sent + options_.timeout < now) {
          fail(*connection, Failure::timeout, "no reply in time");
        }
        break;
    }
    expire(connection->waiting, now);
  }
  expire(waiting_, now);
  if (now - last_progress_ >= kProgressEvery) {
    last_progress_ = now;
    recorder_->tell_progress(now);
  }
}

// The loop -----------------------------------------------------------------------------------------------------

int Generator::patience_ms(Duration now) const {
  constexpr Duration kLongest = 5ms;
  Duration until = kLongest + kSpinBefore;
  if (issuing_ && run_.open_loop) until = std::min(until, next_.at - now);
  if (issuing_ && !run_.open_loop && room_ > 0 && waiting_count_ == 0) return 0;
  if (in_flight_ > 0 && now - last_moved_ < kSpinAfter) return 0;
  if (in_flight_ + waiting_count_ > 0) until = std::min<Duration>(until, kTick + kSpinBefore);
  return static_cast<int>(
      std::chrono::floor<std::chrono::milliseconds>(std::max(until - kSpinBefore, Duration::zero()))
          .count());
}

Result<RunReport> Generator::run() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) {
    return Error{Errc::unavailable, "epoll: " + std::generic_category().message(errno)};
  }
  for (std::uint32_t i = 0; i < options_.connections; ++i) {
    const auto& peer = options_.targets[i % options_.targets.size()];
    connections_.push_back(std::make_unique<Connection>(
        i, peer, make_codec(options_.protocol, peer, options_.http_headers, options_.http_reads),
        options_.pipeline, options_.in_bursts));
  }
  if (auto opened = open_all(); !opened) return opened.error();
  recorder_ = std::make_unique<Recorder>(run_);
  fetch();
  std::array<epoll_event, 256> events{};
  while (true) {
    const auto pass = now();
    tick(pass);
    issue(pass);
    flush_all();
    if (!issuing_ && in_flight_ + waiting_count_ == 0) break;
    // What is still open when the last request's time is over is not waited for any longer.
    if (!issuing_ && pass > ended_ + 2 * options_.timeout + kTick) break;
    const int wait = patience_ms(now());
    const int ready = ::epoll_wait(epoll_, events.data(), events.size(), wait);
    room_since_ = wait > 0 ? now() : pass;
    for (const auto& event :
         std::span(events).first(static_cast<std::size_t>(std::max(ready, 0)))) {
      handle(*connections_[event.data.u32], event.events);
    }
    place_waiting();
  }
  for (auto& connection : connections_) fail(*connection, Failure::timeout, "the run ended");
  return recorder_->finish(ended_, bytes_out_, bytes_in_, reconnects_);
}

}  // namespace

Result<RunReport> generate(RequestSource& source, const GeneratorOptions& generator,
                           const RunOptions& run) {
  const auto refuse = [](std::string why) { return Error{Errc::invalid_argument, std::move(why)}; };
  if (generator.targets.empty()) return refuse("no target");
  if (generator.connections == 0 || generator.connections > kMaxConnections) {
    return refuse(fmt::format("connections: 1 to {}", kMaxConnections));
  }
  if (generator.pipeline == 0 || generator.pipeline > kMaxPipeline) {
    return refuse(fmt::format("pipeline: 1 to {}", kMaxPipeline));
  }
  if (generator.in_bursts && run.open_loop) return refuse("bursts are for a closed loop");
  if (run.duration <= run.warmup) return refuse("the duration must be longer than the warm-up");
  return Generator(source, generator, run).run();
}

}  // namespace nearlane::harness
