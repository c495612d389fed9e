#include "harness/topology/fault_proxy.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <list>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "harness/topology/toxic_chain.h"

namespace nearlane::harness {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using Code = boost::system::error_code;

constexpr std::size_t kChunk = std::size_t{64} << 10U;
/// Chunks that are taken from a peer before its socket is closed: what is left unread there would turn the end that it
/// is to see into a reset.
constexpr int kLastChunks = 16;
/// Draws are the same in each run, in the order of the connections.
constexpr std::uint64_t kSeed = 1;

static_assert(FaultProxy::kMaxQueued == ToxicChain::kMaxQueued);

std::size_t index_of(Way way) { return static_cast<std::size_t>(way); }
Way other(Way way) { return way == Way::to_server ? Way::to_client : Way::to_server; }

/// What is wrong beside the toxics.
struct Faults {
  std::array<bool, 2> held{};
  bool refuse = false;
};

}  // namespace

class FaultProxy::Loop {
 public:
  explicit Loop(Endpoint server)
      : work_(context_.get_executor()),
        acceptor_(context_),
        pause_(context_),
        server_(std::move(server)) {}

  ~Loop() {
    if (!thread_.joinable()) return;
    run([this] {
      closing_ = true;
      acceptor_.close();
      pause_.cancel();
      cut();
      work_.reset();
    });
    thread_.join();
  }

  Result<void> start(const Endpoint& listen) {
    Code failed;
    const std::string host = listen.host.empty() ? "127.0.0.1" : listen.host;
    const auto address = net::ip::make_address(host, failed);
    const tcp::endpoint at(address, listen.port);
    if (!failed) (void)acceptor_.open(at.protocol(), failed);
    // The port of a proxy that has just ended can be had again while its connections time out.
    if (!failed) (void)acceptor_.set_option(net::socket_base::reuse_address(true), failed);
    if (!failed) (void)acceptor_.bind(at, failed);
    if (!failed) (void)acceptor_.listen(net::socket_base::max_listen_connections, failed);
    if (failed) {
      return Error{Errc::unavailable,
                   fmt::format("listen {}:{}: {}", host, listen.port, failed.message())};
    }
    endpoint_ = {.host = host, .port = acceptor_.local_endpoint().port()};
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

  Result<void> add(Toxic toxic) {
    if (auto good = check(toxic); !good) return good;
    if (find(toxic.name) != toxics_.end()) {
      return Error{Errc::invalid_argument, fmt::format("there is a toxic '{}'", toxic.name)};
    }
    if (toxics_.size() >= kMaxToxics) {
      return Error{Errc::invalid_argument,
                   fmt::format("a proxy has {} toxics at most", kMaxToxics)};
    }
    for (const auto& link : links_) link->chain(toxic.way).add(toxic, Clock::now());
    toxics_.push_back(std::move(toxic));
    changed();
    return {};
  }

  Result<void> update(Toxic toxic) {
    if (auto good = check(toxic); !good) return good;
    const auto at = find(toxic.name);
    if (at == toxics_.end() || at->way != toxic.way || at->kind.index() != toxic.kind.index()) {
      return Error{Errc::invalid_argument,
                   fmt::format("there is no {} {} '{}'", stream_of(toxic.way), type_of(toxic.kind),
                               toxic.name)};
    }
    for (const auto& link : links_) link->chain(toxic.way).update(toxic, Clock::now());
    *at = std::move(toxic);
    changed();
    return {};
  }

  Result<void> remove(std::string_view name) {
    const auto at = find(name);
    if (at == toxics_.end()) {
      return Error{Errc::invalid_argument, fmt::format("there is no toxic '{}'", name)};
    }
    for (const auto& link : links_) link->chain(at->way).remove(name, Clock::now());
    toxics_.erase(at);
    changed();
    return {};
  }

  /// One of the proxy's own: there, and like this, or not there.
  void set(std::string_view name, Way way, bool on, ToxicKind kind) {
    Toxic toxic{.name = fmt::format("{}_{}", name, stream_of(way)), .way = way, .kind = kind};
    const bool there = find(toxic.name) != toxics_.end();
    Result<void> done;
    if (!on) {
      if (there) done = remove(toxic.name);
    } else if (there) {
      done = update(toxic);
    } else {
      done = add(toxic);
    }
    if (done) return;
    // A scenario that went on would find nothing wrong, as nothing was.
    fmt::print(stderr, "fault proxy: {}: {}\n", toxic.name, done.error().detail);
    std::abort();
  }

  void heal() {
    faults = {};
    while (!toxics_.empty()) (void)remove(std::string(toxics_.back().name));
    changed();
  }

  Faults faults;
  Counts counts;
  PushCounts pushes;

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  void retarget(Endpoint server) { server_ = std::move(server); }
  [[nodiscard]] std::size_t open() const noexcept { return links_.size(); }
  [[nodiscard]] const std::vector<Toxic>& toxics() const noexcept { return toxics_; }

 private:
  /// One connection: two sockets, and what is on its way between them.
  class Link : public std::enable_shared_from_this<Link> {
   public:
    Link(Loop& loop, tcp::socket client)
        : loop_(loop),
          client_(std::move(client)),
          server_(loop.context_),
          resolver_(loop.context_),
          ways_{Stream(client_, server_, Way::to_server, loop),
                Stream(server_, client_, Way::to_client, loop)} {
      const TimePoint now = Clock::now();
      for (const auto& toxic : loop.toxics_) chain(toxic.way).add(toxic, now);
    }

    void connect(const Endpoint& peer) {
      Code named;
      const auto address = net::ip::make_address(peer.host, named);
      if (!named) {
        return connect(tcp::resolver::results_type::create({address, peer.port}, peer.host, ""));
      }
      resolver_.async_resolve(
          peer.host, std::to_string(peer.port),
          [self = shared_from_this()](Code failed, const tcp::resolver::results_type& found) {
            if (self->ended_ || self->stranded_) return;
            if (failed) return self->nobody_there();
            self->connect(found);
          });
    }

    ToxicChain& chain(Way way) { return stream(way).chain; }

    /// Both sides are reset.
    void end() {
      Code ignored;
      // Without lingering, so that the peer learns of it even when it is not reading.
      (void)client_.set_option(net::socket_base::linger(true, 0), ignored);
      (void)server_.set_option(net::socket_base::linger(true, 0), ignored);
      shut();
    }

    void strand() {
      if (stream(Way::to_server).source_ended) return give_up();
      Code ignored;
      stranded_ = true;
      resolver_.cancel();
      (void)server_.close(ignored);
      for (auto& way : ways_) {
        way.chain.clear();
        way.timer.cancel();
      }
      read(Way::to_server);  // it may have stopped because too much was queued, or not have begun
    }

    void pump() {
      pump(Way::to_server);
      pump(Way::to_client);
    }

   private:
    struct Stream {
      Stream(tcp::socket& reads, tcp::socket& writes, Way way, Loop& loop)
          : from(reads), to(writes), timer(loop.context_), chain(way, loop.random_, loop.pushes) {}
      tcp::socket& from;
      tcp::socket& to;
      net::steady_timer timer;
      TimePoint alarm = kForever;  // what the timer is set to
      std::array<char, kChunk> chunk{};
      ToxicChain chain;
      bool reading = false;
      bool waiting = false;       // until the writing side takes more
      bool source_ended = false;  // the reading side has nothing more
      bool finished = false;      // and the writing side has been told
      bool deaf = false;          // the writing side takes nothing more
    };

    Stream& stream(Way way) { return ways_[index_of(way)]; }

    void connect(const tcp::resolver::results_type& peers) {
      net::async_connect(server_, peers,
                         [self = shared_from_this()](Code failed, const tcp::endpoint&) {
                           if (self->ended_ || self->stranded_) return;
                           if (failed) return self->nobody_there();
                           self->begin();
                         });
    }

    void nobody_there() {
      stream(Way::to_client).source_ended = true;
      chain(Way::to_client).take(Mark::reset, Clock::now());
      pump(Way::to_client);
    }

    void begin() {
      Code ignored;
      for (auto* socket : {&client_, &server_}) {
        (void)socket->set_option(tcp::no_delay(true), ignored);
        (void)socket->non_blocking(true, ignored);
      }
      connected_ = true;
      read(Way::to_server);
      read(Way::to_client);
      pump();
    }

    void shut() {
      Code ignored;
      (void)client_.close(ignored);
      (void)server_.close(ignored);
      resolver_.cancel();
      for (auto& way : ways_) way.timer.cancel();
      ended_ = true;
    }

    void leave() {
      loop_.links_.remove_if([this](const auto& link) { return link.get() == this; });
    }

    void give_up() {
      if (ended_) return;
      end();
      leave();
    }

    /// Both sides see an end behind all that was written to them.
    void close() {
      Code failed;
      for (auto* socket : {&client_, &server_}) {
        (void)socket->shutdown(tcp::socket::shutdown_send, failed);
        failed = {};
        // Before they are connected they would wait here.
        for (int chunks = 0; connected_ && chunks < kLastChunks && !failed; ++chunks) {
          (void)socket->read_some(net::buffer(stream(Way::to_client).chunk), failed);
        }
      }
      shut();
      leave();
    }

    void read(Way way) {
      Stream& at = stream(way);
      if (at.reading || at.source_ended || ended_ || !(connected_ || stranded_)) return;
      if (at.chain.full() && !stranded_) return;
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
      const TimePoint now = Clock::now();
      if (failed) {
        at.source_ended = true;
        at.chain.take(failed == net::error::eof ? Mark::end : Mark::reset, now);
      } else if (!at.deaf) {
        at.chain.take({at.chunk.data(), size}, now);
      }
      pump(way);
    }

    void pump(Way way) {
      if (ended_ || stranded_) return;
      Stream& at = stream(way);
      TimePoint due = at.chain.advance(Clock::now());
      while (deliver(way)) due = at.chain.advance(Clock::now());
      if (ended_) return;
      if (due != at.alarm) set_alarm(way, due);
      read(way);
    }

    /// Writes what the other side takes; whether there may be more. It is written from here and not by an operation
    /// that goes on by itself, so that hold() finds nothing under way.
    bool deliver(Way way) {
      Stream& at = stream(way);
      if (loop_.faults.held[index_of(way)] || at.waiting || ended_ || !at.chain.has_output()) {
        return false;
      }
      const Piece& piece = at.chain.output();
      if (piece.mark != Mark::none) {
        tell(way, piece.mark);
        return !ended_;
      }
      Code failed;
      const auto size = at.to.write_some(net::buffer(piece.view()), failed);
      if (failed == net::error::would_block || failed == net::error::try_again) {
        wait_until_writable(way);
        return false;
      }
      if (failed) {
        stop_writing(way);
        return false;
      }
      at.chain.written(size);
      return true;
    }

    void wait_until_writable(Way way) {
      Stream& at = stream(way);
      at.waiting = true;
      at.to.async_wait(tcp::socket::wait_write,
                       [self = shared_from_this(), way](Code /*a write tells as well*/) {
                         self->stream(way).waiting = false;
                         self->pump(way);
                       });
    }

    /// How a way ends, to whom it leads.
    void tell(Way way, Mark mark) {
      if (mark == Mark::reset) return give_up();
      if (mark == Mark::close) return close();
      Stream& at = stream(way);
      Code ignored;
      (void)at.to.shutdown(tcp::socket::shutdown_send, ignored);
      at.chain.written(0);  // a toxic may have put an end to both ways behind it
      at.finished = true;
      const Stream& back = stream(other(way));
      if (back.finished || back.deaf || at.deaf) close();
    }

    void stop_writing(Way way) {
      Stream& at = stream(way);
      at.deaf = true;
      if (at.source_ended || stream(other(way)).finished) return give_up();
      // Whoever ended is found out by reading from it, and the other one told when that may arrive.
      at.chain.clear();
    }

    void set_alarm(Way way, TimePoint due) {
      Stream& at = stream(way);
      at.alarm = due;
      at.timer.cancel();
      if (due == kForever) return;
      at.timer.expires_at(due);
      at.timer.async_wait([self = shared_from_this(), way](Code failed) {
        if (failed) return;
        self->stream(way).alarm = kForever;
        self->pump(way);
      });
    }

    Loop& loop_;
    tcp::socket client_;
    tcp::socket server_;
    tcp::resolver resolver_;
    std::array<Stream, 2> ways_;
    bool connected_ = false;
    bool stranded_ = false;
    bool ended_ = false;
  };

  void accept() {
    acceptor_.async_accept([this](Code failed, tcp::socket client) {
      if (closing_) return;
      if (failed) {
        pause_.expires_after(kAcceptPause);
        pause_.async_wait([this](Code) {
          if (!closing_) accept();
        });
        return;
      }
      ++counts.accepted;
      if (!faults.refuse) {
        links_.push_back(std::make_shared<Link>(*this, std::move(client)));
        links_.back()->connect(server_);
      }
      accept();
    });
  }

  std::vector<Toxic>::iterator find(std::string_view name) {
    return std::ranges::find(toxics_, name, &Toxic::name);
  }

  net::io_context context_{1};
  net::executor_work_guard<net::io_context::executor_type> work_;
  tcp::acceptor acceptor_;
  net::steady_timer pause_;
  Endpoint server_;
  Endpoint endpoint_;
  Randomness random_{kSeed};
  std::vector<Toxic> toxics_;
  std::list<std::shared_ptr<Link>> links_;
  bool closing_ = false;
  std::thread thread_;
};

Result<FaultProxy> FaultProxy::start(Endpoint server) { return start(std::move(server), {}); }

Result<FaultProxy> FaultProxy::start(Endpoint server, const Endpoint& listen) {
  auto loop = std::make_unique<Loop>(std::move(server));
  if (const auto started = loop->start(listen); !started) return started.error();
  return FaultProxy(std::move(loop));
}

FaultProxy::FaultProxy(std::unique_ptr<Loop> loop) noexcept : loop_(std::move(loop)) {}
FaultProxy::~FaultProxy() = default;
FaultProxy::FaultProxy(FaultProxy&&) noexcept = default;
FaultProxy& FaultProxy::operator=(FaultProxy&&) noexcept = default;

const Endpoint& FaultProxy::endpoint() const noexcept { return loop_->endpoint(); }

Result<void> FaultProxy::add(Toxic toxic) {
  Result<void> done;
  loop_->run([&] { done = loop_->add(std::move(toxic)); });
  return done;
}
Result<void> FaultProxy::update(Toxic toxic) {
  Result<void> done;
  loop_->run([&] { done = loop_->update(std::move(toxic)); });
  return done;
}
Result<void> FaultProxy::remove(std::string_view name) {
  Result<void> done;
  loop_->run([&] { done = loop_->remove(name); });
  return done;
}
std::vector<Toxic> FaultProxy::toxics() const {
  std::vector<Toxic> copy;
  loop_->run([&] { copy = loop_->toxics(); });
  return copy;
}

void FaultProxy::delay(Way way, Duration by) {
  loop_->run([&] { loop_->set("delay", way, by > Duration::zero(), Latency{.latency = by}); });
}
void FaultProxy::hold(Way way, bool on) {
  loop_->run([&] {
    loop_->faults.held[index_of(way)] = on;
    loop_->changed();
  });
}
void FaultProxy::delay_pushes(Duration by) {
  loop_->run([&] {
    loop_->set("delay_pushes", Way::to_client, by > Duration::zero(), DelayPushes{.delay = by});
  });
}
void FaultProxy::drop_pushes(bool on) {
  loop_->run([&] { loop_->set("drop_pushes", Way::to_client, on, DropPushes{}); });
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
  loop_->run([&] { loop_->heal(); });
}

FaultProxy::Counts FaultProxy::counts() const {
  Counts copy;
  loop_->run([&] {
    copy = loop_->counts;
    copy.open = loop_->open();
    copy.pushes = loop_->pushes.seen;
    copy.pushes_dropped = loop_->pushes.dropped;
  });
  return copy;
}

}  // namespace nearlane::harness
