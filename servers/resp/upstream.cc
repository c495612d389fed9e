#include "servers/resp/upstream.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace nearlane::resp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// There may be many, and most are idle most of the time.
constexpr l2::Link::Buffers kBuffers{.read = std::size_t{16} * 1024,
                                     .keep = std::size_t{64} * 1024};

/// How soon at most it is noticed that the master is elsewhere.
constexpr auto kLookEvery = std::chrono::milliseconds(500);

}  // namespace

Upstream::Upstream(asio::io_context& loop, std::shared_ptr<UpstreamLimits> limits,
                   std::shared_ptr<l2::Route> route)
    : link_(std::make_shared<l2::Link>(loop, kBuffers)),
      timer_(loop),
      limits_(std::move(limits)),
      route_(std::move(route)) {
  limits_->open.fetch_add(1, std::memory_order_relaxed);
}

Upstream::~Upstream() { close(); }

void Upstream::connect() {
  timer_.expires_after(limits_->connect_timeout);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (cancelled || self->connected_) return;
    self->give_up({Errc::unavailable, "no connection within connect_timeout"});
  });
  const l2::Route& route = *route_;
  route_version_ = route.version();
  const auto server = route.server();
  if (!server) {
    // Whoever takes it is not its owner yet.
    return asio::post(timer_.get_executor(), [self = shared_from_this(), why = server.error()] {
      if (self->open_) self->give_up(why);
    });
  }
  link_->open(*server, route.tls(),
              [self = shared_from_this()](const std::optional<Error>& failed) {
                if (!self->open_) return;
                if (failed) return self->give_up(*failed);
                self->connected();
              });
  const std::string& user = route.url().user;
  const std::string& password = route.url().password;
  if (!password.empty()) {
    if (user.empty()) {
      send_own({"AUTH", password}, Needed::no_error);
    } else {
      send_own({"AUTH", user, password}, Needed::no_error);
    }
  }
  if (route.may_move()) send_own({"ROLE"}, Needed::master);
  send_own({"CLIENT", "SETNAME", "nearlane-relay"}, Needed::nothing);
  greeting_ = own_.size();
}

void Upstream::connected() {
  connected_ = true;
  timer_.cancel();
  flush();
  read();
  if (route_->may_move()) look_whether_moved();
}

/// A master that was deposed may be silent for ever.
void Upstream::look_whether_moved() {
  if (!open_) return;
  if (outdated()) return give_up({Errc::connection_lost, "the master is another one by now"});
  timer_.expires_after(kLookEvery);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->look_whether_moved();
  });
}

void Upstream::prepare(protocol::Version version, std::uint32_t db) {
  if (version != std::exchange(version_, version))
    send_own({"HELLO", version == protocol::Version::resp3 ? "3" : "2"}, Needed::no_error);
  if (db != std::exchange(db_, db)) send_own({"SELECT", std::to_string(db)}, Needed::no_error);
}

void Upstream::send_own(std::initializer_list<std::string_view> command, Needed needed) {
  own_.push_back(needed);
  send({command.begin(), command.size()});
}

void Upstream::send(std::span<const std::string_view> command) {
  if (!open_) return;
  protocol::append_command(greeting_ == 0 ? output_ : held_, command);
}

void Upstream::flush() {
  if (writing_ || !connected_ || !open_ || output_.empty()) return;
  writing_ = true;
  link_->write(output_, [self = shared_from_this()](const std::optional<Error>& failed) {
    self->writing_ = false;
    if (!self->open_) return;
    if (failed) return self->give_up(*failed);
    self->flush();
  });
}

void Upstream::read() {
  link_->read([self = shared_from_this()](const Result<std::string_view>& bytes) {
    if (!self->open_) return;
    if (!bytes) return self->give_up(bytes.error());
    self->take(*bytes);
    if (self->open_) self->read();
  });
}

void Upstream::take(std::string_view bytes) {
  while (!bytes.empty() && open_) {
    const std::string_view before = bytes;
    auto next = parser_.next(bytes);
    if (next.has_error()) return give_up(next.error());
    frame_.append(before.substr(0, before.size() - bytes.size()));
    if (frame_.size() > limits_->max_frame) {
      return give_up({Errc::too_large, "a reply of Redis is larger than " +
                                           std::to_string(limits_->max_frame >> 20U) + " MiB"});
    }
    if (!*next) return;
    std::string frame = std::exchange(frame_, {});
    const protocol::Reply& reply = **next;
    if (!own_.empty() && reply.type != protocol::Type::push) {
      const Needed needed = own_.front();
      own_.pop_front();
      if (const auto wrong = judge_own(reply, needed)) return give_up(*wrong);
      if (greeting_ != 0 && --greeting_ == 0) {
        output_ += std::exchange(held_, {});
        flush();
      }
    } else if (owner_ != nullptr) {
      owner_->received(std::move(frame), reply);
    } else {
      return close();  // nobody has asked
    }
  }
}

std::optional<Error> Upstream::judge_own(const protocol::Reply& reply, Needed needed) const {
  if (needed == Needed::nothing) return std::nullopt;
  if (reply.is_error()) return Error{Errc::l2_error, reply.text};
  const bool master = !reply.elements.empty() && reply.elements[0].text == "master";
  if (needed == Needed::no_error || master) return std::nullopt;
  return Error{Errc::unavailable, route_->where() + " is not a master"};
}

void Upstream::give_up(const Error& why) noexcept {
  close();
  Owner* owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) return;
  // A connection that ends before it is greeted has carried nothing of a client.
  const bool lost = why.code == Errc::connection_lost;
  owner->lost(greeting_ != 0 && lost ? Error{Errc::unavailable, why.detail} : why);
}

void Upstream::close() noexcept {
  if (!std::exchange(open_, false)) return;
  limits_->open.fetch_sub(1, std::memory_order_relaxed);
  timer_.cancel();
  link_->close();
}

std::shared_ptr<Upstream> UpstreamPool::take(const std::shared_ptr<l2::Route>& route) {
  std::erase_if(idle_, [](const auto& each) { return !each->open() || each->outdated(); });
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [&](const auto& each) { return each->route() == route; });
  if (found != idle_.rend()) {
    auto upstream = std::move(*found);
    idle_.erase(std::next(found).base());
    return upstream;
  }
  if (limits_->open.load(std::memory_order_relaxed) >= limits_->max_open) {
    // Those that idle lead elsewhere.
    if (idle_.empty()) return nullptr;
    idle_.front()->close();
    idle_.erase(idle_.begin());
  }
  auto upstream = std::make_shared<Upstream>(loop_, limits_, route);
  upstream->connect();
  return upstream;
}

void UpstreamPool::give_back(std::shared_ptr<Upstream> upstream) {
  upstream->set_owner(nullptr);
  if (!upstream->open()) return;
  const bool crowded =
      2 * limits_->open.load(std::memory_order_relaxed) > std::max(2U, limits_->max_open);
  if (idle_.size() < kMostIdle && !crowded) {
    idle_.push_back(std::move(upstream));
  } else {
    upstream->close();
  }
}

}  // namespace nearlane::resp
