#include "harness/topology/fault_proxy.h"

#include <algorithm>
#include <array>
#include <deque>
#include <future>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "core/protocol/reply_parser.h"

namespace nearlane::harness {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using Code = boost::system::error_code;

constexpr std::size_t kChunk = std::size_t{64} << 10U;

/// What is wrong at the moment, the same for every connection.
struct Faults {
  std::array<Duration, 2> delay{};
  std::array<bool, 2> held{};
  Duration push_delay{};
  bool drop_pushes = false;
  bool refuse = false;
};

/// Cuts a stream of replies after each frame and tells pushes from the rest. What it cannot read it hands
/// on as it is.
class Frames {
 public:
  struct Cut {
    std::string bytes;
    bool is_push = false;
  };

  void feed(std::string_view bytes, std::deque<Cut>& out) {
    while (!bytes.empty()) {
      const auto before = bytes;
      const auto reply = parser_.next(bytes);
      part_.append(before.substr(0, before.size() - bytes.size()));
      if (!reply) {
        part_.append(bytes);
        out.push_back({std::exchange(part_, {}), false});
        parser_.reset();
        return;
      }
      if (!*reply) return;
      out.push_back({std::exchange(part_, {}), (*reply)->type == protocol::Type::push});
    }
  }

 private:
  protocol::ReplyParser parser_;
  std::string part_;
};

}  // namespace

class FaultProxy::Loop {
 public:
  explicit Loop(Endpoint server)
      : work_(context_.get_executor()), acceptor_(context_), server_(std::move(server)) {}

  ~Loop() {
    if (!thread_.joinable()) return;
    run([this] {
      acceptor_.close();
      cut();
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
    if (failed) return Error{Errc::unavailable, "fault proxy: " + failed.message()};
    endpoint_ = {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()};
    accept();
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  /// Does `what` on the proxy's own thread and waits for it.
  template <class What>
  void run(What&& what) {
    std::promise<void> done;
    net::post(context_, [&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void cut() {
    for (auto& link : std::exchange(links_, {})) link->end();
  }
  void strand() {
    for (const auto& link : std::list(links_)) link->strand();  // a link that ends leaves links_
  }
  /// Faults have changed: what waits may go on.
  void changed() {
    for (const auto& link : std::list(links_)) link->pump();
  }

  Faults faults;
  Counts counts;

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  void retarget(Endpoint server) { server_ = std::move(server); }
  [[nodiscard]] std::size_t open() const noexcept { return links_.size(); }

 private:
  /// One connection: two sockets, and what is on its way between them.
  class Link : public std::enable_shared_from_this<Link> {
   public:
    Link(Loop& loop, tcp::socket client)
        : loop_(loop),
          client_(std::move(client)),
          server_(loop.context_),
          ways_{Stream(client_, server_, loop.context_), Stream(server_, client_, loop.context_)} {}

    void connect(const Endpoint& peer) {
      Code bad;
      const auto address = net::ip::make_address(peer.host, bad);
      server_.async_connect({address, peer.port}, [self = shared_from_this()](Code failed) {
        if (self->ended_ || self->stranded_) return;
        if (failed) {
          self->stream(Way::to_client).ended = true;
          return self->pump(Way::to_client);
        }
        Code ignored;
        (void)self->client_.set_option(tcp::no_delay(true), ignored);
        (void)self->server_.set_option(tcp::no_delay(true), ignored);
        self->read(Way::to_server);
        self->read(Way::to_client);
      });
    }

    void end() {
      Code ignored;
      // Without lingering, so that the peer learns of it even when it is not reading.
      (void)client_.set_option(net::socket_base::linger(true, 0), ignored);
      (void)server_.set_option(net::socket_base::linger(true, 0), ignored);
      (void)client_.close(ignored);
      (void)server_.close(ignored);
      for (auto& way : ways_) way.timer.cancel();
      ended_ = true;
    }

    void strand() {
      if (stream(Way::to_server).ended) return give_up();
      Code ignored;
      stranded_ = true;
      (void)server_.close(ignored);
      for (auto& way : ways_) way.discard();
      read(Way::to_server);  // it may have stopped because too much was queued, or not have begun
    }

    void pump() {
      pump(Way::to_server);
      pump(Way::to_client);
    }

   private:
    struct Piece {
      TimePoint due;
      std::string bytes;
    };
    struct Stream {
      Stream(tcp::socket& reads, tcp::socket& writes, net::io_context& context)
          : from(reads), to(writes), timer(context) {}
      void discard() {
        queue.clear();
        queued = sending.size();
      }
      tcp::socket& from;
      tcp::socket& to;
      net::steady_timer timer;
      std::array<char, kChunk> chunk{};
      std::deque<Piece> queue;
      std::size_t queued = 0;
      TimePoint last_due{};
      std::string sending;
      bool reading = false;
      bool ended = false;  // the reading side has nothing more
      bool deaf = false;   // the writing side takes nothing more
    };

    Stream& stream(Way way) { return ways_[static_cast<std::size_t>(way)]; }

    void give_up() {
      if (ended_) return;
      end();
      loop_.links_.remove_if([this](const auto& link) { return link.get() == this; });
    }

    void read(Way way) {
      Stream& at = stream(way);
      if (at.reading || at.ended || ended_ || (at.queued >= kMaxQueued && !stranded_)) return;
      at.reading = true;
      at.from.async_read_some(net::buffer(at.chunk),
                              [self = shared_from_this(), way](Code failed, std::size_t size) {
                                self->took(way, failed, size);
                              });
    }

    void took(Way way, Code failed, std::size_t size) {
      Stream& at = stream(way);
      at.reading = false;
      if (ended_) return;
      if (stranded_) {
        // The client talks on to nobody; only its own end ends this.
        if (way == Way::to_server && !failed) return read(way);
        if (way == Way::to_server) give_up();
        return;
      }
      if (failed) {
        at.ended = true;
      } else {
        queue(way, {at.chunk.data(), size});
        read(way);
      }
      pump(way);
    }

    void queue(Way way, std::string_view bytes) {
      if (way == Way::to_server) return add(way, std::string(bytes), Duration::zero());
      std::deque<Frames::Cut> frames;
      frames_.feed(bytes, frames);
      for (auto& frame : frames) {
        if (frame.is_push) {
          ++loop_.counts.pushes;
          if (loop_.faults.drop_pushes) {
            ++loop_.counts.pushes_dropped;
            continue;
          }
        }
        add(way, std::move(frame.bytes),
            frame.is_push ? loop_.faults.push_delay : Duration::zero());
      }
    }

    void add(Way way, std::string bytes, Duration more) {
      Stream& at = stream(way);
      if (at.deaf) return;
      const auto delay = loop_.faults.delay[static_cast<std::size_t>(way)] + more;
      // Nothing overtakes what came before it.
      at.last_due = std::max(at.last_due, Clock::now() + delay);
      at.queued += bytes.size();
      at.queue.push_back({at.last_due, std::move(bytes)});
    }

    void pump(Way way) {
      Stream& at = stream(way);
      if (ended_ || stranded_ || !at.sending.empty()) return;
      if (loop_.faults.held[static_cast<std::size_t>(way)]) return;
      const TimePoint now = Clock::now();
      while (!at.queue.empty() && at.queue.front().due <= now) {
        at.sending += at.queue.front().bytes;
        at.queue.pop_front();
      }
      if (at.sending.empty()) {
        if (!at.queue.empty()) return wait(way);
        if (at.ended) give_up();
        return;
      }
      net::async_write(at.to, net::buffer(at.sending),
                       [self = shared_from_this(), way](Code failed, std::size_t) {
                         Stream& sent = self->stream(way);
                         sent.queued -= std::exchange(sent.sending, {}).size();
                         if (self->ended_ || self->stranded_) return;
                         if (failed) {
                           // Whoever ended is found out by reading from it, and the other one told
                           // when that may arrive.
                           sent.deaf = true;
                           sent.discard();
                         }
                         self->read(way);
                         self->pump(way);
                       });
    }

    void wait(Way way) {
      Stream& at = stream(way);
      at.timer.expires_at(at.queue.front().due);
      at.timer.async_wait([self = shared_from_this(), way](Code failed) {
        if (!failed) self->pump(way);
      });
    }

    Loop& loop_;
    tcp::socket client_;
    tcp::socket server_;
    std::array<Stream, 2> ways_;
    Frames frames_;
    bool stranded_ = false;
    bool ended_ = false;
  };

  void accept() {
    acceptor_.async_accept([this](Code failed, tcp::socket client) {
      if (failed == net::error::operation_aborted) return;
      if (!failed) {
        ++counts.accepted;
        if (!faults.refuse) {
          links_.push_back(std::make_shared<Link>(*this, std::move(client)));
          links_.back()->connect(server_);
        }
      }
      accept();
    });
  }

  net::io_context context_{1};
  net::executor_work_guard<net::io_context::executor_type> work_;
  tcp::acceptor acceptor_;
  Endpoint server_;
  Endpoint endpoint_;
  std::list<std::shared_ptr<Link>> links_;
  std::thread thread_;
};

Result<FaultProxy> FaultProxy::start(Endpoint server) {
  auto loop = std::make_unique<Loop>(std::move(server));
  if (const auto started = loop->start(); !started) return started.error();
  return FaultProxy(std::move(loop));
}

FaultProxy::FaultProxy(std::unique_ptr<Loop> loop) noexcept : loop_(std::move(loop)) {}
FaultProxy::~FaultProxy() = default;
FaultProxy::FaultProxy(FaultProxy&&) noexcept = default;
FaultProxy& FaultProxy::operator=(FaultProxy&&) noexcept = default;

const Endpoint& FaultProxy::endpoint() const noexcept { return loop_->endpoint(); }

void FaultProxy::delay(Way way, Duration by) {
  loop_->run([&] { loop_->faults.delay[static_cast<std::size_t>(way)] = by; });
}
void FaultProxy::hold(Way way, bool on) {
  loop_->run([&] {
    loop_->faults.held[static_cast<std::size_t>(way)] = on;
    loop_->changed();
  });
}
void FaultProxy::delay_pushes(Duration by) {
  loop_->run([&] { loop_->faults.push_delay = by; });
}
void FaultProxy::drop_pushes(bool on) {
  loop_->run([&] { loop_->faults.drop_pushes = on; });
}
void FaultProxy::cut() {
  loop_->run([&] { loop_->cut(); });
}
void FaultProxy::strand() {
  loop_->run([&] { loop_->strand(); });
}
void FaultProxy::refuse(bool on) {
  loop_->run([&] { loop_->faults.refuse = on; });
}
void FaultProxy::retarget(Endpoint server) {
  loop_->run([&] { loop_->retarget(std::move(server)); });
}
void FaultProxy::heal() {
  loop_->run([&] {
    loop_->faults = {};
    loop_->changed();
  });
}

FaultProxy::Counts FaultProxy::counts() const {
  Counts copy;
  loop_->run([&] {
    copy = loop_->counts;
    copy.open = loop_->open();
  });
  return copy;
}

}  // namespace nearlane::harness
