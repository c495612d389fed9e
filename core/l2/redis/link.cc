#include "core/l2/redis/link.h"

#include <array>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "core/base/keepalive.h"
#include "core/l2/redis/tls.h"

namespace nearlane::l2 {

namespace asio = boost::asio;
using boost::system::error_code;

struct Link::Tls {
  Tls(asio::ip::tcp::socket& socket, TlsContext& context) : stream(socket, context) {}

  asio::ssl::stream<asio::ip::tcp::socket&> stream;
};

Link::Link(asio::io_context& loop, Buffers buffers)
    : buffers_(buffers), resolver_(loop), socket_(loop), received_(buffers.read) {}

Link::~Link() = default;

void Link::open(const Endpoint& server, std::shared_ptr<TlsContext> tls, Opened done) {
  where_ = server.to_string();
  context_ = std::move(tls);
  // One thread resolves all names of a loop, and one that takes long must not keep an address waiting.
  error_code is_name;
  const auto address = asio::ip::make_address(server.host, is_name);
  if (const auto port = server.port_number(); !is_name && port != 0) {
    return connect(std::array{asio::ip::tcp::endpoint(address, port)}, server.host,
                   std::move(done));
  }
  resolver_.async_resolve(
      server.host, server.port,
      [self = shared_from_this(), host = server.host, done = std::move(done)](
          error_code failed, const asio::ip::tcp::resolver::results_type& endpoints) mutable {
        if (self->closed_) return;
        if (failed) return done(self->unavailable("cannot resolve", failed.message()));
        self->connect(endpoints, std::move(host), std::move(done));
      });
}

template <class Endpoints>
void Link::connect(const Endpoints& endpoints, std::string host, Opened done) {
  asio::async_connect(socket_, endpoints,
                      [self = shared_from_this(), host = std::move(host), done = std::move(done)](
                          error_code refused, const auto&) mutable {
                        if (self->closed_) return;
                        if (refused)
                          return done(self->unavailable("cannot connect to", refused.message()));
                        self->connected(host, std::move(done));
                      });
}

void Link::connected(const std::string& host, Opened done) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  keep_alive(socket_.native_handle());
  if (!context_) return done(std::nullopt);
  tls_ = std::make_unique<Tls>(socket_, *context_);
  if (!expect_peer(tls_->stream.native_handle(), host))
    return done(unavailable("no TLS with", "no certificate could have that name"));
  tls_->stream.async_handshake(
      asio::ssl::stream_base::client,
      [self = shared_from_this(), done = std::move(done)](error_code failed) {
        if (self->closed_) return;
        if (!failed) return done(std::nullopt);
        done(self->unavailable("no TLS with",
                               handshake_trouble(self->tls_->stream.native_handle(), failed)));
      });
}

void Link::read_tls(Moved done) {
  tls_->stream.async_read_some(asio::buffer(received_), std::move(done));
}

void Link::write_tls(Moved done) {
  asio::async_write(tls_->stream, asio::buffer(sending_), std::move(done));
}

void Link::close() noexcept {
  closed_ = true;
  error_code ignored;
  resolver_.cancel();
  socket_.close(ignored);
}

Error Link::ended(const error_code& error) const {
  return {Errc::connection_lost, "the connection to " + where_ + " ended: " + error.message()};
}

Error Link::unavailable(std::string_view what, const std::string& why) const {
  return {Errc::unavailable, std::string(what) + " " + where_ + ": " + why};
}

}  // namespace nearlane::l2
