// Link: one connection to a server, from the look-up of its name to its end, in clear or over TLS.
//
// Errors:    unavailable (its name, its port, or its certificate, and what is wrong with it), connection_lost. They
//            name the server.
// Threads:   one loop's.
// Lifetime:  shared with its own outstanding handlers, as are its buffers. After close() whoever waits is told
//            nothing, or of an error; it is not opened twice.
// Cost:      one read and one write at a time; without TLS no allocation for either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "core/base/result.h"
#include "core/l2/redis/redis_url.h"

namespace boost::asio::ssl {
class context;
}

namespace nearlane::l2 {

class Link : public std::enable_shared_from_this<Link> {
 public:
  struct Buffers {
    std::size_t read = std::size_t{64} * 1024;  // bytes of one read
    std::size_t keep =
        SIZE_MAX;  // bytes; a buffer that has grown beyond is given back once it is written
  };
  using Opened = std::function<void(std::optional<Error>)>;

  Link(boost::asio::io_context& loop, Buffers buffers);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// `tls`: null for a connection in clear.
  void open(const Endpoint& server, std::shared_ptr<boost::asio::ssl::context> tls, Opened done);
  void close() noexcept;

  /// `done(Result<std::string_view>)`; the bytes stay until the next read.
  template <class Done>
  void read(Done done) {
    auto took = [self = shared_from_this(), done = std::move(done)](boost::system::error_code error,
                                                                    std::size_t size) mutable {
      if (error) return done(Result<std::string_view>(self->ended(error)));
      done(Result<std::string_view>(std::string_view(self->received_.data(), size)));
    };
    if (tls_) return read_tls(std::move(took));
    socket_.async_read_some(boost::asio::buffer(received_), std::move(took));
  }
  /// Takes the bytes out of `bytes`; `done(std::optional<Error>)` once all are written.
  template <class Done>
  void write(std::string& bytes, Done done) {
    sending_.clear();
    if (sending_.capacity() > buffers_.keep) sending_.shrink_to_fit();
    sending_.swap(bytes);
    auto wrote = [self = shared_from_this(), done = std::move(done)](
                     boost::system::error_code error, std::size_t) mutable {
      done(error ? std::optional(self->ended(error)) : std::nullopt);
    };
    if (tls_) return write_tls(std::move(wrote));
    boost::asio::async_write(socket_, boost::asio::buffer(sending_), std::move(wrote));
  }

 private:
  struct Tls;
  using Moved = std::function<void(boost::system::error_code, std::size_t)>;

  template <class Endpoints>
  void connect(const Endpoints& endpoints, std::string host, Opened done);
  void connected(const std::string& host, Opened done);
  void read_tls(Moved done);
  void write_tls(Moved done);
  [[nodiscard]] Error ended(const boost::system::error_code& error) const;
  [[nodiscard]] Error unavailable(std::string_view what, const std::string& why) const;

  const Buffers buffers_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::unique_ptr<Tls> tls_;
  std::string where_;
  bool closed_ = false;
  std::vector<char> received_;
  std::string sending_;
};

}  // namespace nearlane::l2
