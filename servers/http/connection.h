// Connection: one HTTP client. Two lanes answer it: the fast one (fast_lane.h) what it understands, and what it leaves
//             Beast's parser, the routes and Beast's serialiser: the "Beast lane" of DESIGN section 5.
//
// Reads into one flat buffer, answers every complete request in it, in order and each by its lane, and sends
// what can be sent together. What the routes must wait for is a coroutine; a hit is a plain call.
//
// Units:     limits below; a peer that is slower than they allow is closed by its loop (pace.h).
// Threads:   its loop's.
// Errors:    a request that breaks HTTP gets 400, 413 or 431, and the connection ends after it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include "servers/http/fast_lane.h"
#include "servers/http/messages.h"
#include "servers/loop/connection.h"
#include "servers/loop/door_stats.h"
#include "servers/loop/loop.h"

namespace nearlane::http {

struct ConnectionLimits {
  // A key of 64 KiB with every byte percent-encoded, and headers.
  std::uint32_t max_header = 256 * 1024;
  std::uint64_t max_body = std::uint64_t{64} * 1024 * 1024;
  std::chrono::milliseconds idle{75'000};    // between requests
  std::chrono::milliseconds header{10'000};  // from a request's first byte to its header's end
  std::chrono::milliseconds grace{30'000};   // of a body's and a response's Pace
  std::uint64_t slowest_bytes = 64 * 1024;   // a second
};

class Connection;

/// Answers one request. The response is ready when the coroutine ends; it may also end at once.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Answers requests from the front of `input` into `out`, as far as it can without Beast.
  virtual FastAnswers answer_fast(std::string_view input, std::string& out, TimePoint received) {
    return static_cast<void>(input), static_cast<void>(out), static_cast<void>(received),
           FastAnswers();
  }
  /// Whether a request with this header may send its body. If not, answer_now answers it without one.
  virtual bool admits(const Request& header) { return static_cast<void>(header), true; }
  /// The answer, if nothing must be waited for.
  virtual bool answer_now(const Request& request, Response& response, TimePoint received) = 0;
  /// After answer_now said false.
  virtual boost::asio::awaitable<void> answer(const Request& request, Response& response) = 0;
  /// The response's bytes are ready to be sent.
  virtual void bytes_ready(TimePoint received) noexcept { static_cast<void>(received); }
};

class Connection final : public loop::Connection {
 public:
  Connection(loop::Loop& home, int socket, std::unique_ptr<Handler> handler,
             const ConnectionLimits& limits);

  void start() override;
  void retire() noexcept override { retiring_ = true; }
  void drain() noexcept override;
  void close() noexcept override;

 private:
  using Parser = beast_http::request_parser<beast_http::string_body>;

  static boost::asio::awaitable<void> serve(std::shared_ptr<Connection> me);
  PinnedBody answer_fast();
  boost::asio::awaitable<bool> answer_one();
  boost::asio::awaitable<bool> read_request(Parser& parser);
  boost::asio::awaitable<bool> read_some();
  boost::asio::mutable_buffer room();
  bool received(boost::system::error_code failed, std::size_t size);
  boost::asio::awaitable<bool> send_continue(const Parser& parser);
  boost::asio::awaitable<bool> respond(const Request& request, Response& response);
  boost::asio::awaitable<bool> send_behind(std::string_view body);
  boost::asio::awaitable<bool> flush();
  boost::asio::awaitable<bool> send_all(std::string_view head, std::string_view body);
  bool send_now() noexcept;
  boost::asio::awaitable<void> refuse(boost::system::error_code why);
  boost::asio::awaitable<void> turn_away(const Request& request);
  boost::asio::awaitable<void> linger();
  void waited() noexcept;

  loop::Loop& home_;
  boost::asio::generic::stream_protocol::socket socket_;
  std::unique_ptr<Handler> handler_;
  const ConnectionLimits limits_;
  boost::beast::flat_buffer buffer_;
  std::string out_;
  TimePoint received_;
  bool busy_ = false;      // within a request
  bool sending_ = false;   // the peer has not taken all yet
  bool retiring_ = false;  // the next answer behind which nothing has come yet is the last one
  bool draining_ = false;
};

}  // namespace nearlane::http
