#include "core/l2/redis/connection.h"

#include <algorithm>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

namespace nearlane::l2 {
namespace {

namespace asio = boost::asio;

// Waits between attempts: doubling, capped, and spread by half, so that an L2 that comes back is
// not met by all connections of all instances in the same millisecond.
constexpr Duration kFirstWait = std::chrono::milliseconds(50);
constexpr Duration kLongestWait = std::chrono::seconds(2);
// A connection that was up reconnects as soon as its route allows, but for this much jitter.
constexpr Duration kAfterLoss = std::chrono::milliseconds(10);

}  // namespace

Connection::Connection(asio::io_context& loop, std::shared_ptr<Route> route,
                       Duration connect_timeout, std::unique_ptr<cohere::Conversation> conversation,
                       std::function<void(TimePoint)> after_tick)
    : loop_(loop),
      route_(std::move(route)),
      connect_timeout_(connect_timeout),
      conversation_(std::move(conversation)),
      after_tick_(std::move(after_tick)),
      version_(route_->version()),
      random_(std::random_device{}()) {}

Connection::~Connection() = default;

std::string Connection::trouble() const {
  const std::lock_guard lock(text_mutex_);
  return trouble_;
}

void Connection::stop() {
  asio::dispatch(loop_, [self = shared_from_this()] {
    if (std::exchange(self->stopped_, true)) return;
    self->close({Errc::shutting_down, "the server is stopping"});
  });
}

void Connection::tick(TimePoint now) {
  if (stopped_) return;
  if (link_ && !conversation_->ready() && now >= connect_until_) {
    return close(
        {Errc::unavailable, "no connection to " + route_->where() + " within connect_timeout"});
  }
  follow(now);
  conversation_->tick(now);
  if (link_) {
    after_change();
  } else if (is_due(now) && route_->version() != 0 && conversation_->wanted() &&
             route_->may_connect(now)) {
    begin_connect(now);
  }
  if (after_tick_) after_tick_(now);
}

/// What is at the old place is of no use any more, however well it is.
void Connection::follow(TimePoint now) {
  const std::uint64_t version = route_->version();
  if (std::exchange(version_, version) == version) return;
  if (link_) close({Errc::connection_lost, "the master is at " + route_->where() + " now"});
  failures_ = 0;
  connect_soon(now);
}

void Connection::begin_connect(TimePoint now) {
  link_ = std::make_shared<Link>(loop_, Link::Buffers{});
  connect_until_ = now + connect_timeout_;
  arrivals_ = route_->arrivals();
  conversation_->connect();
  const auto server = route_->server();
  if (!server) return close(server.error());
  link_->open(*server, route_->tls(),
              [self = shared_from_this(), link = link_](const std::optional<Error>& failed) {
                if (link != self->link_) return;
                if (failed) return self->close(*failed);
                self->conversation_->connected(Clock::now());
                self->flush();
                self->read();
              });
}

void Connection::read() {
  link_->read([self = shared_from_this(), link = link_](const Result<std::string_view>& bytes) {
    if (link != self->link_) return;
    if (!bytes) return self->close(bytes.error());
    self->conversation_->received(*bytes, Clock::now());
    if (link != self->link_) return;
    self->after_change();
    if (link == self->link_) self->read();
  });
}

/// What the conversation wants done after it was told something.
void Connection::after_change() {
  if (conversation_->broken()) {
    const Error why = *conversation_->broken();
    return close(why);
  }
  note_change();
  if (conversation_->ready() && !up_.load(std::memory_order_relaxed)) {
    if (std::exchange(failures_, 0) != 0) route_->arrive();
    up_.store(true, std::memory_order_relaxed);
  }
  flush_soon();
}

/// One send for all that is submitted in this turn of the loop.
void Connection::flush_soon() {
  if (flush_posted_ || writing_ || conversation_->output().empty()) return;
  flush_posted_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (writing_ || !link_ || conversation_->output().empty()) return;
  writing_ = true;
  link_->write(conversation_->output(),
               [self = shared_from_this(), link = link_](const std::optional<Error>& failed) {
                 if (link != self->link_) return;
                 self->writing_ = false;
                 if (failed) return self->close(*failed);
                 self->flush();
               });
}

void Connection::close(const Error& why) {
  const TimePoint now = Clock::now();
  const bool was_up = up_.exchange(false, std::memory_order_relaxed);
  if (auto link = std::exchange(link_, nullptr)) link->close();
  writing_ = false;
  {
    const std::lock_guard lock(text_mutex_);
    trouble_ = why.detail;
  }
  route_->doubt();
  schedule_reconnect(was_up, now);
  conversation_->closed(why, now);
  note_change();
}

void Connection::schedule_reconnect(bool was_up, TimePoint now) {
  if (was_up) return connect_soon(now);
  const Duration wait =
      std::min(kLongestWait, kFirstWait * (std::int64_t{1} << std::min(failures_, 10U)));
  ++failures_;
  connect_after(wait / 2, wait, now);
}

void Connection::connect_soon(TimePoint now) {
  arrivals_ = route_->arrivals();
  connect_after(Duration::zero(), kAfterLoss, now);
}

/// What another has found to be back since this one tried is tried at once. How often is bounded by the rate of the route
/// alone.
bool Connection::is_due(TimePoint now) const {
  return now >= connect_at_ || route_->arrivals() != arrivals_;
}

void Connection::connect_after(Duration least, Duration most, TimePoint now) {
  std::uniform_int_distribution<std::int64_t> spread(least.count(), most.count());
  connect_at_ = now + Duration(spread(random_));
}

LaneConnection::LaneConnection(asio::io_context& loop, std::shared_ptr<Route> route,
                               Duration connect_timeout, const cohere::LaneConfig& config,
                               cohere::LaneView& view, cohere::Listener& listener,
                               std::function<void()> on_form)
    : Connection(loop, std::move(route), connect_timeout,
                 std::make_unique<cohere::Lane>(config, view, listener)),
      lane_(static_cast<cohere::Lane&>(conversation())),
      on_form_(std::move(on_form)) {}

std::string LaneConnection::distrust() const {
  const std::lock_guard lock(text_mutex_);
  return distrust_;
}

void LaneConnection::submit(std::unique_ptr<cohere::Call> call) {
  asio::dispatch(loop_, [self = shared_from_this(), this, call = std::move(call)]() mutable {
    if (stopped()) {
      const cohere::Answer answer =
          cohere::Answer::failed(Errc::shutting_down, "the server is stopping");
      call->settle(answer);
      return call->complete(answer);
    }
    lane_.submit(std::move(call), Clock::now());
    after_change();
  });
}

void LaneConnection::disown(std::function<void()> done) {
  asio::dispatch(loop_, [self = shared_from_this(), this, done = std::move(done)] {
    lane_.disown();
    done();
  });
}

void LaneConnection::note_change() {
  const Form found = lane_.form();
  if (found == form() && lane_.distrust() == distrust_) return;
  {
    const std::lock_guard lock(text_mutex_);
    distrust_ = lane_.distrust();
  }
  form_.store(found, std::memory_order_relaxed);
  if (found != Form::unknown) on_form_();
}

}  // namespace nearlane::l2
