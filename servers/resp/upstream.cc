#include "servers/resp/upstream.h"

#include <algorithm>
#include <string>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>

namespace nearlane::resp {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// A buffer that grew beyond this is given back when it is empty.
constexpr std::size_t kKeepBytes = std::size_t{64} * 1024;

}  // namespace

Upstream::Upstream(asio::io_context& loop, std::shared_ptr<UpstreamLimits> limits)
    : resolver_(loop), socket_(loop), timer_(loop), limits_(std::move(limits)) {
  limits_->open.fetch_add(1, std::memory_order_relaxed);
}

Upstream::~Upstream() { close(); }

void Upstream::connect() {
  timer_.expires_after(limits_->connect_timeout);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (cancelled || self->connected_) return;
    self->give_up({Errc::unavailable, "no connection within connect_timeout"});
  });
  resolver_.async_resolve(limits_->url.host, limits_->url.port,
                          [self = shared_from_this()](error_code failed, auto endpoints) {
                            if (!self->open_) return;
                            if (failed) return self->give_up({Errc::unavailable, failed.message()});
                            asio::async_connect(
                                self->socket_, endpoints, [self](error_code refused, const auto&) {
                                  if (!self->open_) return;
                                  if (refused)
                                    return self->give_up({Errc::unavailable, refused.message()});
                                  self->connected();
                                });
                          });
  const std::string& password = limits_->url.password;
  if (!password.empty()) {
    if (limits_->url.user.empty()) {
      send_own({"AUTH", password}, true);
    } else {
      send_own({"AUTH", limits_->url.user, password}, true);
    }
  }
  send_own({"CLIENT", "SETNAME", "nearlane-relay"}, false);
}

void Upstream::connected() {
  connected_ = true;
  timer_.cancel();
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  flush();
  read();
}

void Upstream::prepare(protocol::Version version, std::uint32_t db) {
  if (version != std::exchange(version_, version))
    send_own({"HELLO", version == protocol::Version::resp3 ? "3" : "2"}, true);
  if (db != std::exchange(db_, db)) send_own({"SELECT", std::to_string(db)}, true);
}

void Upstream::send_own(std::initializer_list<std::string_view> command, bool needed) {
  own_.push_back(needed);
  send({command.begin(), command.size()});
}

void Upstream::send(std::span<const std::string_view> command) {
  if (!open_) return;
  protocol::append_command(output_, command);
  flush();
}

void Upstream::flush() {
  if (writing_ || !connected_ || !open_ || output_.empty()) return;
  writing_ = true;
  sending_.clear();
  if (sending_.capacity() > kKeepBytes) sending_.shrink_to_fit();
  sending_.swap(output_);
  asio::async_write(socket_, asio::buffer(sending_),
                    [self = shared_from_this()](error_code failed, std::size_t) {
                      self->writing_ = false;
                      if (!self->open_) return;
                      if (failed) return self->give_up({Errc::connection_lost, failed.message()});
                      self->flush();
                    });
}

void Upstream::read() {
  socket_.async_read_some(asio::buffer(received_),
                          [self = shared_from_this()](error_code failed, std::size_t size) {
                            if (!self->open_) return;
                            if (failed)
                              return self->give_up({Errc::connection_lost, failed.message()});
                            self->take({self->received_.data(), size});
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
      const bool needed = own_.front();
      own_.pop_front();
      if (needed && reply.is_error()) return give_up({Errc::l2_error, reply.text});
    } else if (owner_ != nullptr) {
      owner_->received(std::move(frame), reply);
    } else {
      return close();  // nobody has asked
    }
  }
}

void Upstream::give_up(const Error& why) noexcept {
  close();
  if (Owner* owner = std::exchange(owner_, nullptr)) owner->lost(why);
}

void Upstream::close() noexcept {
  if (!std::exchange(open_, false)) return;
  limits_->open.fetch_sub(1, std::memory_order_relaxed);
  error_code ignored;
  timer_.cancel();
  resolver_.cancel();
  socket_.close(ignored);
}

std::shared_ptr<Upstream> UpstreamPool::take() {
  while (!idle_.empty()) {
    auto upstream = std::move(idle_.back());
    idle_.pop_back();
    if (upstream->open()) return upstream;
  }
  if (limits_->open.load(std::memory_order_relaxed) >= limits_->max_open) return nullptr;
  auto upstream = std::make_shared<Upstream>(loop_, limits_);
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
