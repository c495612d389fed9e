#include "servers/loop/loop_group.h"

#include <array>
#include <string_view>
#include <thread>

#include <boost/asio/post.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/epoch.h"

namespace nearlane::loop {

namespace {

constexpr auto kHousekeeping = std::chrono::milliseconds(500);
constexpr std::size_t kReadOfRefused = std::size_t{16} * 1024;  // bytes

/// Tells a new connection why, and closes it.
void refuse(int socket, std::string_view why) noexcept {
  // A fresh socket's buffer is empty, so this does not block, and whether it arrives is the peer's luck:
  // what it sends after the close resets the connection. What it has sent before that need not.
  [[maybe_unused]] const auto sent = ::send(socket, why.data(), why.size(), MSG_NOSIGNAL);
  ::shutdown(socket, SHUT_WR);
  std::array<char, kReadOfRefused> unread;
  [[maybe_unused]] const auto got = ::recv(socket, unread.data(), unread.size(), MSG_DONTWAIT);
  ::close(socket);
}

}  // namespace

struct LoopGroup::Task {
  Task(boost::asio::io_context& context, Duration every, std::function<void()> what)
      : timer(context), period(every), run(std::move(what)) {}

  void arm() {
    timer.expires_after(period);
    timer.async_wait([this](const boost::system::error_code& failed) {
      if (failed) return;
      run();
      arm();
    });
  }

  boost::asio::steady_timer timer;
  Duration period;
  std::function<void()> run;
};

/// A connection's place in the counts, which is given back with this object, whatever ends it.
class LoopGroup::Seat {
 public:
  explicit Seat(LoopGroup& group) noexcept
      : group_(group), number_(group.open_.fetch_add(1, std::memory_order_relaxed) + 1) {}
  ~Seat() {
    if (client_) group_.clients_.give_back(*client_);
    group_.open_.fetch_sub(1, std::memory_order_relaxed);
  }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  /// Of those that were open when this one came, itself among them.
  [[nodiscard]] unsigned number() const noexcept { return number_; }

  /// One of the peer's own as well. False: it has as many as one may have.
  [[nodiscard]] bool take_for(int socket) {
    if (group_.limits_.max_connections_per_client == 0) return true;
    const auto client = client_of(socket);
    if (!client) return true;
    if (!group_.clients_.take(*client)) return false;
    client_ = client;
    return true;
  }

 private:
  LoopGroup& group_;
  const unsigned number_;
  std::optional<ClientCounts::Client> client_;
};

LoopGroup::LoopGroup(unsigned threads, Limits limits)
    : limits_(limits),
      clients_(limits.max_connections_per_client),
      loops_([&] {
        std::vector<std::unique_ptr<Loop>> made;
        for (std::size_t i = 0; i < std::max(threads, 1U); ++i) {
          made.push_back(std::make_unique<Loop>(i));
        }
        return made;
      }()),
      listeners_(loops_.size()),
      signals_(loops_[0]->context()),
      drain_delay_(loops_[0]->context()),
      drain_deadline_(loops_[0]->context()) {
  for (const auto& loop : loops_) {
    contexts_.push_back(&loop->context());
    housekeeping_.emplace_back(loop->context());
  }
}

LoopGroup::~LoopGroup() {
  for (const auto& path : socket_files_) ::unlink(path.c_str());
}

Result<Address> LoopGroup::listen(const Address& address, const Refusals& refusals,
                                  const AcceptHandler& on_accept) {
  const bool hand_off = address.kind == Address::Kind::unix_path;
  const bool shared = !hand_off && loops_.size() > 1;
  if (shared) {
    if (const auto taken = find_taken(address)) return *taken;
  }
  Address bound = address;
  for (std::size_t i = 0; i < (hand_off ? 1 : loops_.size()); ++i) {
    const Result<int> socket = bind_listener(bound, shared);
    if (socket.has_error()) return socket.error();
    bound = bound_address(*socket, bound);
    auto accept = [this, i, hand_off, refusals, on_accept](int accepted_socket) {
      if (!hand_off) {
        accepted(*loops_[i], accepted_socket, refusals, on_accept);
        return;
      }
      Loop& home = *loops_[next_loop_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
      home.post([this, &home, accepted_socket, refusals, on_accept] {
        accepted(home, accepted_socket, refusals, on_accept);
      });
    };
    listeners_[i].push_back(std::make_shared<Listener>(*loops_[i], *socket, std::move(accept)));
    if (hand_off) socket_files_.push_back(address.path);
  }
  return bound;
}

void LoopGroup::accepted(Loop& home, int socket, const Refusals& refusals,
                         const AcceptHandler& on_accept) {
  if (home.draining()) {
    ::close(socket);
    return;
  }
  auto seat = std::make_shared<Seat>(*this);
  if (seat->number() > limits_.max_connections) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    seat.reset();  // first: whoever is refused takes no place from others while it is told
    return refuse(socket, refusals.full);
  }
  if (!seat->take_for(socket)) {
    refused_by_client_.fetch_add(1, std::memory_order_relaxed);
    seat.reset();
    return refuse(socket, refusals.client_is_full);
  }
  accepted_.fetch_add(1, std::memory_order_relaxed);
  home.add(on_accept(home, socket), [seat = std::move(seat)]() mutable { seat.reset(); });
}

void LoopGroup::every(Duration period, std::function<void()> task) {
  tasks_.push_back(std::make_unique<Task>(loops_[0]->context(), period, std::move(task)));
}

void LoopGroup::after(Duration delay, std::function<void()> task) {
  loops_[0]->post([&context = loops_[0]->context(), delay, task = std::move(task)] {
    auto timer = std::make_shared<boost::asio::steady_timer>(context, delay);
    timer->async_wait([timer, task](const boost::system::error_code& failed) {
      if (!failed) task();
    });
  });
}

void LoopGroup::keep_house(std::size_t index) {
  housekeeping_[index].expires_after(kHousekeeping);
  housekeeping_[index].async_wait([this, index](const boost::system::error_code& failed) {
    if (failed) return;
    loops_[index]->close_overdue(Clock::now());
    collect(loops_[index]->context());
    keep_house(index);
  });
}

/// A long list is freed in turns of the loop, between which it serves.
void LoopGroup::collect(boost::asio::io_context& loop) {
  if (epoch::collect()) boost::asio::post(loop, [&loop] { collect(loop); });
}

bool LoopGroup::run() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  await_signal();
  for (const auto& task : tasks_) task->arm();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    keep_house(i);
    for (const auto& listener : listeners_[i]) listener->start();
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < loops_.size(); ++i) {
      threads.emplace_back([this, i] { loops_[i]->context().run(); });
    }
    loops_[0]->context().run();
  }
  return !cut_short_;
}

void LoopGroup::finish() {
  // Each round may hand something to another loop; what never ends is not waited for.
  constexpr int kRounds = 100;
  bool found = true;
  for (int round = 0; found && round < kRounds; ++round) {
    found = false;
    for (const auto& loop : loops_) {
      loop->context().restart();
      found = loop->context().poll() > 0 || found;
    }
  }
}

void LoopGroup::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& failed, int signal) {
    if (failed) return;
    if (draining()) {
      cut_short_ = true;
      stop();
      return;
    }
    begin_drain(signal == SIGINT ? Duration::zero() : limits_.drain_delay);
    await_signal();
  });
}

void LoopGroup::on_drain(std::function<void(std::function<void()> done)> task) {
  drain_tasks_.push_back(std::move(task));
}

void LoopGroup::drain() {
  loops_[0]->post([this] { begin_drain(limits_.drain_delay); });
}

void LoopGroup::begin_drain(Duration delay) {
  if (draining_.exchange(true)) return;
  drain_deadline_.expires_after(delay + limits_.drain_timeout);
  drain_deadline_.async_wait([this](const boost::system::error_code& failed) {
    if (failed) return;
    cut_short_ = true;
    stop();
  });
  undrained_.store(loops_.size() + drain_tasks_.size(), std::memory_order_relaxed);
  for (const auto& task : drain_tasks_) task([this] { drained_one(); });
  if (delay == Duration::zero()) return close_doors();
  for (const auto& loop : loops_) loop->post([&loop] { loop->retire(); });
  drain_delay_.expires_after(delay);
  drain_delay_.async_wait([this](const boost::system::error_code& failed) {
    if (!failed) close_doors();
  });
}

void LoopGroup::close_doors() {
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->post([this, i] {
      for (const auto& listener : listeners_[i]) listener->close();
      loops_[i]->drain([this] { drained_one(); });
    });
  }
}

void LoopGroup::drained_one() noexcept {
  if (undrained_.fetch_sub(1, std::memory_order_acq_rel) == 1) stop();
}

void LoopGroup::stop() noexcept {
  for (const auto& loop : loops_) loop->context().stop();
}

}  // namespace nearlane::loop
