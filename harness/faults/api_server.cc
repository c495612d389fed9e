#include "harness/faults/api_server.h"

#include <memory>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "harness/faults/proxy_api.h"

namespace nearlane::harness {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using net::ip::tcp;
using Code = boost::system::error_code;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

std::string_view view(boost::core::string_view text) { return {text.data(), text.size()}; }

ApiAnswer refuse(unsigned status, std::string error) {
  return {.status = status, .body = to_json(Refusal{status, std::move(error)}).dump() + "\n"};
}

Response response_to(const ApiAnswer& answer, unsigned version, bool keep_alive) {
  Response response{http::int_to_status(answer.status), version};
  response.keep_alive(keep_alive);
  if (!answer.body.empty()) response.set(http::field::content_type, "application/json");
  if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
  response.body() = answer.body;
  response.prepare_payload();
  return response;
}

}  // namespace

class ApiServer::Loop {
 public:
  Loop() : work_(context_.get_executor()), acceptor_(context_), pause_(context_) {}

  ~Loop() {
    if (!thread_.joinable()) return;
    net::post(context_, [this] {
      closing_ = true;
      Code ignored;
      (void)acceptor_.close(ignored);
      pause_.cancel();
      for (const auto& session : std::unordered_set(sessions_)) session->end();
      work_.reset();
    });
    thread_.join();
  }

  Result<void> start(std::string_view text, std::string_view populate) {
    const auto asked = read_address(text, "address");
    Code failed;
    const auto address = asked ? net::ip::make_address(asked->host, failed) : net::ip::address();
    if (!asked || failed) {
      return Error{Errc::invalid_argument, fmt::format("'{}' is not HOST:PORT", text)};
    }
    if (!address.is_loopback()) {
      return Error{Errc::invalid_argument,
                   fmt::format("{}: whoever reaches it can do as they like with the proxies, so it "
                               "must be an address of this machine alone, such as {}",
                               text, kUsualAddress)};
    }
    if (!populate.empty()) {
      const auto done = api_.populate(populate);
      if (!done) return Error{Errc::invalid_argument, "populate: " + done.error().error};
      populated_ = *done;
    }
    const tcp::endpoint at(address, asked->port);
    (void)acceptor_.open(at.protocol(), failed);
    if (!failed) (void)acceptor_.set_option(net::socket_base::reuse_address(true), failed);
    if (!failed) (void)acceptor_.bind(at, failed);
    if (!failed) (void)acceptor_.listen(net::socket_base::max_listen_connections, failed);
    if (failed) {
      return Error{Errc::unavailable,
                   fmt::format("listen {}: {}", address_text(*asked), failed.message())};
    }
    endpoint_ = {.host = asked->host, .port = acceptor_.local_endpoint().port()};
    accept();
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] std::size_t populated() const noexcept { return populated_; }

 private:
  class Session : public std::enable_shared_from_this<Session> {
   public:
    Session(Loop& loop, tcp::socket socket) : loop_(loop), stream_(std::move(socket)) {}

    void read() {
      parser_.emplace();
      parser_->body_limit(ProxyApi::kMaxBody);
      stream_.expires_after(kPatience);
      http::async_read(
          stream_, buffer_, *parser_,
          [self = shared_from_this()](Code failed, std::size_t) { self->took(failed); });
    }

    void end() {
      stream_.close();
      loop_.left(shared_from_this());
    }

   private:
    void took(Code failed) {
      if (loop_.closing_) return;
      // What follows such a request cannot be told from it.
      if (failed == http::error::body_limit) {
        return write(refuse(413, fmt::format("a body has {} bytes at most", ProxyApi::kMaxBody)),
                     false);
      }
      if (failed == http::error::header_limit) return write(refuse(431, "too long a head"), false);
      if (failed && failed.category() == make_error_code(http::error::bad_method).category() &&
          failed != http::error::end_of_stream && failed != http::error::partial_message) {
        return write(refuse(400, "not HTTP: " + failed.message()), false);
      }
      if (failed) return end();
      const Request& request = parser_->get();
      // An answer to HEAD would end with its head; there is nothing that is read by it.
      write(loop_.answer(request), request.keep_alive() && request.method() != http::verb::head);
    }

    void write(const ApiAnswer& answer, bool keep_alive) {
      response_ = response_to(answer, parser_->get().version(), keep_alive);
      stream_.expires_after(kPatience);
      http::async_write(stream_, response_, [self = shared_from_this()](Code failed, std::size_t) {
        if (self->loop_.closing_) return;
        if (failed || self->response_.need_eof()) return self->finish();
        self->read();
      });
    }

    /// A close while bytes are unread would take the answer with it.
    void finish() {
      Code failed;
      (void)stream_.socket().shutdown(tcp::socket::shutdown_send, failed);
      if (failed) return end();
      stream_.expires_after(kPatience);
      discard();
    }

    void discard() {
      buffer_.clear();
      stream_.async_read_some(buffer_.prepare(std::size_t{64} << 10U),
                              [self = shared_from_this()](Code failed, std::size_t) {
                                if (self->loop_.closing_) return;
                                if (failed) return self->end();
                                self->discard();
                              });
    }

    Loop& loop_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    Response response_;
  };

  ApiAnswer answer(const Request& request) {
    if (view(request[http::field::user_agent]).starts_with("Mozilla/")) {
      return refuse(403, "User agent not allowed");
    }
    return api_.answer(view(request.method_string()), view(request.target()), request.body());
  }

  void accept() {
    if (closing_ || accepting_ || sessions_.size() >= kMaxConnections) return;
    accepting_ = true;
    acceptor_.async_accept([this](Code failed, tcp::socket socket) {
      accepting_ = false;
      if (closing_) return;
      if (failed) {
        pause_.expires_after(FaultProxy::kAcceptPause);
        pause_.async_wait([this](Code) { accept(); });
        return;
      }
      const auto session = std::make_shared<Session>(*this, std::move(socket));
      sessions_.insert(session);
      session->read();
      accept();
    });
  }

  void left(const std::shared_ptr<Session>& session) {
    sessions_.erase(session);
    accept();
  }

  ProxyApi api_;
  net::io_context context_{1};
  net::executor_work_guard<net::io_context::executor_type> work_;
  tcp::acceptor acceptor_;
  net::steady_timer pause_;
  Endpoint endpoint_;
  std::size_t populated_ = 0;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  bool accepting_ = false;
  bool closing_ = false;
  std::thread thread_;
};

Result<ApiServer> ApiServer::start(std::string_view address, std::string_view populate) {
  auto loop = std::make_unique<Loop>();
  if (const auto started = loop->start(address, populate); !started) return started.error();
  return ApiServer(std::move(loop));
}

ApiServer::ApiServer(std::unique_ptr<Loop> loop) noexcept : loop_(std::move(loop)) {}
ApiServer::~ApiServer() = default;
ApiServer::ApiServer(ApiServer&&) noexcept = default;
ApiServer& ApiServer::operator=(ApiServer&&) noexcept = default;

const Endpoint& ApiServer::endpoint() const noexcept { return loop_->endpoint(); }
std::size_t ApiServer::populated() const noexcept { return loop_->populated(); }

}  // namespace nearlane::harness
