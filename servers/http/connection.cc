#include "servers/http/connection.h"

#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_prefix.hpp>
#include <boost/beast/core/buffers_suffix.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <sys/socket.h>

#include "servers/http/pace.h"
#include "servers/http/problem.h"

namespace nearlane::http {

namespace net = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto kAwait = net::as_tuple(net::use_awaitable);

constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
constexpr std::size_t kLargeReadBytes = std::size_t{128} * 1024;  // inside a body
constexpr std::size_t kSendBytes = std::size_t{64} * 1024;  // at once; then others have their turn
constexpr std::size_t kLingerBytes = std::size_t{1} << 20U;
constexpr std::chrono::seconds kLingerTime{2};

/// Whether the end of the body is beyond doubt. RFC 9112 section 6.3: where a transfer coding other than
/// chunked comes last, or any in HTTP/1.0, it is not, and bytes of the body could pass for a request.
bool frames_its_body(const Request& request) {
  const std::size_t codings = request.count(beast_http::field::transfer_encoding);
  if (codings == 0) return true;
  return codings == 1 && request.version() >= 11 &&
         boost::beast::iequals(request[beast_http::field::transfer_encoding], "chunked");
}

}  // namespace

Connection::Connection(loop::Loop& home, int socket, std::unique_ptr<Handler> handler,
                       const ConnectionLimits& limits)
    : home_(home),
      socket_(home.context(), net::generic::stream_protocol(AF_INET, IPPROTO_TCP), socket),
      handler_(std::move(handler)),
      limits_(limits),
      buffer_(std::size_t{limits.max_header} + kLargeReadBytes) {}

void Connection::start() {
  auto me = std::static_pointer_cast<Connection>(shared_from_this());
  net::co_spawn(home_.context(), serve(me), [me](const std::exception_ptr&) { me->close(); });
}

void Connection::drain() noexcept {
  draining_ = true;
  if (!busy_ && out_.empty()) close();  // else it ends behind the response
}

void Connection::close() noexcept {
  if (!socket_.is_open()) return;
  error_code ignored;
  // What the peer does not take is not kept for it by the kernel either.
  if (sending_) socket_.set_option(net::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
  home_.remove(*this);
}

net::awaitable<void> Connection::serve(std::shared_ptr<Connection> me) {
  bool goes_on = true;
  while (goes_on) {
    if (const PinnedBody large = me->answer_fast()) {
      goes_on = co_await me->send_behind(large.bytes());
    } else if (me->out_.size() >= kFlushBytes || (me->buffer_.size() == 0 && !me->send_now())) {
      goes_on = co_await me->flush();
    } else if (me->buffer_.size() > 0) {
      goes_on = co_await me->answer_one();
    } else if (me->draining_) {
      me->close();
      goes_on = false;
    } else {
      // Not a coroutine of its own: it would cost a request more than its answer.
      me->busy_ = false;
      me->set_overdue_at(Clock::now() + me->limits_.idle);
      const auto [failed, size] = co_await me->socket_.async_read_some(me->room(), kAwait);
      goes_on = me->received(failed, size);
    }
  }
  co_await me->linger();
}

/// Answers by the fast lane what it takes of the buffer; the last value, where it is yet to be sent.
PinnedBody Connection::answer_fast() {
  if (draining_ || retiring_ || buffer_.size() == 0) return {};
  const auto input = buffer_.data();
  FastAnswers answers = handler_->answer_fast(
      {static_cast<const char*>(input.data()), input.size()}, out_, received_);
  buffer_.consume(answers.bytes);
  return std::move(answers.body);
}

/// Answers one request by the Beast lane, all of which need not have come yet. False: it was the last.
net::awaitable<bool> Connection::answer_one() {
  Parser parser;
  parser.header_limit(limits_.max_header);
  parser.body_limit(limits_.max_body);
  busy_ = true;
  if (!co_await read_request(parser)) co_return false;
  const Request& request = parser.get();
  Response response;
  if (!handler_->answer_now(request, response, received_)) {
    // Answers that are ready need not wait with this one.
    if (!co_await flush()) co_return false;
    set_overdue_at(kForever);  // L2's own timeout bounds the wait
    co_await handler_->answer(request, response);
    received_ = Clock::now();
  }
  const bool goes_on = co_await respond(request, response);
  co_return goes_on;
}

/// False: the connection is over. Precondition: the parser is not eager, so that it pauses behind the header.
net::awaitable<bool> Connection::read_request(Parser& parser) {
  const TimePoint header_due = Clock::now() + limits_.header;
  std::optional<Pace> body;
  std::optional<beast_http::fields> header;  // as it is without the trailer, where there may be one
  while (true) {
    while (buffer_.size() > 0 && !parser.is_done()) {
      error_code failed;
      const std::size_t taken = parser.put(buffer_.data(), failed);
      buffer_.consume(taken);
      if (failed && failed != beast_http::error::need_more) {
        co_await refuse(failed);
        co_return false;
      }
      if (parser.is_header_done() && !parser.eager()) {
        parser.eager(true);
        if (parser.chunked()) header.emplace(parser.get());
      }
      if (taken == 0) break;
    }
    if (parser.is_header_done() && !body && !frames_its_body(parser.get())) {
      co_await refuse(beast_http::make_error_code(beast_http::error::bad_transfer_encoding));
      co_return false;
    }
    if (parser.is_done()) {
      // RFC 9110 section 6.5.1: a trailer's fields are not the header's, among which Beast puts them. Whoever let the
      // header pass has not seen them.
      if (header) static_cast<beast_http::fields&>(parser.get()) = std::move(*header);
      co_return true;
    }
    if (parser.is_header_done() && !body) {
      // A stranger's body is not read: it would be memory for whoever asks.
      if (!handler_->admits(parser.get())) {
        co_await turn_away(parser.get());
        co_return false;
      }
      body.emplace(limits_.grace, limits_.slowest_bytes, Clock::now());
      if (!co_await send_continue(parser)) co_return false;
    }
    // What fills the buffer and is still not complete is a chunk's head or a trailer without an end.
    if (buffer_.size() == buffer_.max_size()) {
      co_await refuse(beast_http::make_error_code(beast_http::error::header_limit));
      co_return false;
    }
    if (!co_await flush()) co_return false;
    set_overdue_at(body ? body->overdue_at() : header_due);
    const std::size_t held = buffer_.size();
    if (!co_await read_some()) co_return false;
    if (body) body->moved(buffer_.size() - held, received_);
  }
}

net::awaitable<bool> Connection::read_some() {
  const auto [failed, size] = co_await socket_.async_read_some(room(), kAwait);
  co_return received(failed, size);
}

/// Where the next bytes are read to.
net::mutable_buffer Connection::room() {
  const std::size_t left = buffer_.max_size() - buffer_.size();
  return buffer_.prepare(std::min(left, buffer_.size() > 0 ? kLargeReadBytes : kReadBytes));
}

/// False: the connection is over.
bool Connection::received(error_code failed, std::size_t size) {
  if (failed) {
    close();
    return false;
  }
  buffer_.commit(size);
  received_ = Clock::now();
  return true;
}

net::awaitable<bool> Connection::send_continue(const Parser& parser) {
  // RFC 9110 section 10.1.1: HTTP/1.0 knows no answer before the answer, and would take this for it.
  if (parser.get().version() < 11) co_return true;
  const auto expect = parser.get().find(Field::expect);
  if (expect == parser.get().end() || !boost::beast::iequals(expect->value(), "100-continue")) {
    co_return true;
  }
  out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  co_return co_await flush();
}

/// A peer that does not read makes us wait, and leases and deadlines run on meanwhile: what is buffered is answered as of
/// now, not as of when it came. Where nobody made us wait, sending has still taken a time that is none of its answer's.
void Connection::waited() noexcept {
  if (buffer_.size() > 0) received_ = Clock::now();
}

/// False: this was the last response.
net::awaitable<bool> Connection::respond(const Request& request, Response& response) {
  if (draining_ || (retiring_ && buffer_.size() == 0)) response.head.keep_alive(false);
  const bool last = response.head.need_eof() || !response.head.keep_alive();
  append_head(out_, response);
  const std::string_view body = sent_body(request, response);
  if (body.size() <= kGatherBytes) out_.append(body);
  handler_->bytes_ready(received_);
  if (body.size() > kGatherBytes) {
    if (!co_await send_behind(body)) co_return false;
  } else if (last) {
    co_await flush();
  }
  co_return !last;
}

/// Sends what has been answered, and behind it a body from where it lies.
net::awaitable<bool> Connection::send_behind(std::string_view body) {
  const bool sent = co_await send_all(out_, body);
  out_.clear();
  co_return sent;
}

net::awaitable<bool> Connection::flush() {
  if (send_now()) {
    waited();
    co_return socket_.is_open();
  }
  const bool sent = co_await send_all(out_, {});
  out_.clear();
  co_return sent;
}

/// False: the peer has gone, or was given up.
net::awaitable<bool> Connection::send_all(std::string_view head, std::string_view body) {
  const std::array parts = {net::const_buffer(head.data(), head.size()),
                            net::const_buffer(body.data(), body.size())};
  boost::beast::buffers_suffix left(parts);
  Pace pace(limits_.grace, limits_.slowest_bytes, Clock::now());
  sending_ = true;
  while (boost::beast::buffer_bytes(left) > 0) {
    set_overdue_at(pace.overdue_at());
    const auto next = boost::beast::buffers_prefix(kSendBytes, left);
    const auto [failed, size] = co_await socket_.async_write_some(next, kAwait);
    if (failed) {
      close();
      co_return false;
    }
    left.consume(size);
    pace.moved(size, Clock::now());
  }
  sending_ = false;
  waited();
  co_return true;
}

/// Sends what the kernel takes at once. False: there is more, or an error for whoever waits.
bool Connection::send_now() noexcept {
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t got = ::send(socket_.native_handle(), out_.data() + sent, out_.size() - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    sent += static_cast<std::size_t>(got);
  }
  out_.erase(0, sent);
  return out_.empty();
}

/// What broke HTTP is told so, as far as that can be said, and the connection ends.
net::awaitable<void> Connection::refuse(error_code why) {
  Status status = Status::bad_request;
  std::string detail = "the request is not HTTP: " + why.message();
  if (why == beast_http::error::body_limit) {
    status = Status::payload_too_large;
    detail = "the body is longer than max-value";
  } else if (why == beast_http::error::header_limit) {
    status = Status::request_header_fields_too_large;
    detail = "the header, or the head of a chunk or a trailer, is too long";
  }
  Response response = problem(status, detail);
  response.head.version(11);
  response.head.keep_alive(false);
  response.head.content_length(response.body().size());
  append_head(out_, response);
  out_.append(response.body());
  if (co_await flush()) co_await linger();
}

/// Answers a request whose body is not wanted, and ends the connection.
net::awaitable<void> Connection::turn_away(const Request& request) {
  Response response;
  if (!handler_->answer_now(request, response, received_)) co_return close();
  response.head.keep_alive(false);
  co_await respond(request, response);
  co_await linger();
}

/// Lets the peer read the last response before the connection is closed: closing with bytes unread
/// would reset it.
net::awaitable<void> Connection::linger() {
  if (!socket_.is_open()) co_return;
  error_code failed;
  socket_.shutdown(boost::asio::socket_base::shutdown_send, failed);
  set_overdue_at(Clock::now() + kLingerTime);
  buffer_.clear();
  std::size_t total = 0;
  while (!failed && total < kLingerBytes) {
    std::tie(failed, std::ignore) =
        co_await socket_.async_read_some(net::buffer(buffer_.prepare(kReadBytes)), kAwait);
    total += kReadBytes;
  }
  close();
}

}  // namespace nearlane::http
