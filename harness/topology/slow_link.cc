#include "harness/topology/slow_link.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "core/base/clock.h"

namespace nearlane::harness {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using Code = boost::system::error_code;

constexpr std::size_t kPart = std::size_t{32} << 10U;
constexpr Duration kAtOnce = std::chrono::microseconds(50);

}  // namespace

class SlowLink::Loop {
 public:
  Loop(Endpoint server, double bytes_per_s)
      : work_(context_.get_executor()),
        acceptor_(context_),
        server_(std::move(server)),
        ns_per_byte_(1e9 / bytes_per_s) {}

  ~Loop() {
    if (!thread_.joinable()) return;
    net::post(context_, [this] {
      Code ignored;
      (void)acceptor_.close(ignored);
      for (const auto& each : connections_) each->end();
      work_.reset();
    });
    thread_.join();
  }

  Result<void> start() {
    Code failed;
    const tcp::endpoint any(net::ip::address_v4::loopback(), 0);
    (void)acceptor_.open(any.protocol(), failed);
    if (!failed) (void)acceptor_.bind(any, failed);
    if (!failed) (void)acceptor_.listen(net::socket_base::max_listen_connections, failed);
    if (failed) return Error{Errc::unavailable, "slow link: " + failed.message()};
    endpoint_ = {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()};
    accept();
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] std::uint64_t delivered() const noexcept {
    return delivered_.load(std::memory_order_relaxed);
  }

 private:
  class Connection : public std::enable_shared_from_this<Connection> {
   public:
    Connection(Loop& loop, tcp::socket client)
        : loop_(loop), client_(std::move(client)), server_(loop.context_), timer_(loop.context_) {}

    void connect(const Endpoint& peer) {
      Code bad;
      const auto address = net::ip::make_address(peer.host, bad);
      server_.async_connect({address, peer.port}, [self = shared_from_this()](Code failed) {
        if (failed) return self->give_up();
        Code ignored;
        (void)self->client_.set_option(tcp::no_delay(true), ignored);
        (void)self->server_.set_option(tcp::no_delay(true), ignored);
        self->ask();
        self->answer();
      });
    }

    void end() {
      Code ignored;
      (void)client_.close(ignored);
      (void)server_.close(ignored);
      timer_.cancel();
    }

   private:
    void give_up() {
      end();
      loop_.connections_.remove_if([this](const auto& each) { return each.get() == this; });
    }

    /// From the client to the server.
    void ask() {
      client_.async_read_some(
          net::buffer(asked_), [self = shared_from_this()](Code failed, std::size_t size) {
            if (failed) return self->give_up();
            net::async_write(self->server_, net::buffer(self->asked_.data(), size),
                             [self](Code gone, std::size_t) {
                               if (gone) return self->give_up();
                               self->ask();
                             });
          });
    }

    /// And back: a part is sent when it has had its time, and the next one is read after it.
    void answer() {
      server_.async_read_some(
          net::buffer(answered_), [self = shared_from_this()](Code failed, std::size_t size) {
            if (failed) return self->give_up();
            const TimePoint now = Clock::now();
            // What was sent too late by a timer is not lost time.
            self->free_at_ = std::max(self->free_at_, now - kAtOnce) +
                             Duration(static_cast<std::int64_t>(static_cast<double>(size) *
                                                                self->loop_.ns_per_byte_));
            if (self->free_at_ <= now + kAtOnce) return self->deliver(size);
            self->timer_.expires_at(self->free_at_);
            self->timer_.async_wait([self, size](Code cancelled) {
              if (!cancelled) self->deliver(size);
            });
          });
    }
    void deliver(std::size_t size) {
      net::async_write(client_, net::buffer(answered_.data(), size),
                       [self = shared_from_this(), size](Code failed, std::size_t) {
                         if (failed) return self->give_up();
                         self->loop_.delivered_.fetch_add(size, std::memory_order_relaxed);
                         self->answer();
                       });
    }

    Loop& loop_;
    tcp::socket client_;
    tcp::socket server_;
    net::steady_timer timer_;
    TimePoint free_at_{};
    std::array<char, kPart> asked_{};
    std::array<char, kPart> answered_{};
  };

  void accept() {
    acceptor_.async_accept([this](Code failed, tcp::socket client) {
      if (failed) return;
      connections_.push_back(std::make_shared<Connection>(*this, std::move(client)));
      connections_.back()->connect(server_);
      if (acceptor_.is_open()) accept();
    });
  }

  net::io_context context_{1};
  net::executor_work_guard<net::io_context::executor_type> work_;
  tcp::acceptor acceptor_;
  const Endpoint server_;
  const double ns_per_byte_;
  Endpoint endpoint_;
  std::atomic<std::uint64_t> delivered_{0};
  std::list<std::shared_ptr<Connection>> connections_;
  std::thread thread_;
};

Result<SlowLink> SlowLink::start(Endpoint server, double bytes_per_s) {
  auto loop = std::make_unique<Loop>(std::move(server), bytes_per_s);
  if (const auto started = loop->start(); !started) return started.error();
  return SlowLink(std::move(loop));
}

SlowLink::SlowLink(std::unique_ptr<Loop> loop) noexcept : loop_(std::move(loop)) {}
SlowLink::~SlowLink() = default;
SlowLink::SlowLink(SlowLink&&) noexcept = default;
SlowLink& SlowLink::operator=(SlowLink&&) noexcept = default;

const Endpoint& SlowLink::endpoint() const noexcept { return loop_->endpoint(); }
std::uint64_t SlowLink::delivered() const noexcept { return loop_->delivered(); }

}  // namespace nearlane::harness
