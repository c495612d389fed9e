#include "servers/loop/loop_group.h"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace nearlane::loop {
namespace {

using std::chrono::milliseconds;

std::atomic<int> retired{0};

/// Sends back what it reads, and is busy between the first byte of a line and its newline.
class Echo final : public Connection {
 public:
  Echo(Loop& home, int socket) : home_(home), socket_(home.context(), socket) {}

  void start() override { wait(); }
  void retire() noexcept override { ++retired; }
  void drain() noexcept override {
    draining_ = true;
    if (!busy_) close();
  }
  void close() noexcept override {
    if (!socket_.is_open()) return;
    boost::system::error_code ignored;
    socket_.close(ignored);
    home_.remove(*this);
  }
  using Connection::set_overdue_at;

 private:
  void wait() {
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this, self = shared_from_this()](const boost::system::error_code& failed) {
                         if (!failed) read();
                       });
  }
  void read() {
    const auto scratch = home_.scratch();
    const ssize_t got = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
    if (got <= 0) {
      close();
      return;
    }
    ::send(socket_.native_handle(), scratch.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    busy_ = scratch[static_cast<std::size_t>(got) - 1] != '\n';
    if (draining_ && !busy_) {
      close();
    } else {
      wait();
    }
  }

  Loop& home_;
  boost::asio::posix::stream_descriptor socket_;
  bool draining_ = false;
  bool busy_ = false;
};

/// `from`: by which address of this machine.
int dial(const Address& address, const char* from = "127.0.0.1") {
  if (address.kind == Address::Kind::unix_path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, address.path.c_str(), sizeof to.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  ::inet_pton(AF_INET, from, &own.sin_addr);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

std::string exchange(int fd, std::string_view text, std::size_t expect) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  std::string got(expect, '\0');
  const ssize_t size = ::recv(fd, got.data(), expect, MSG_WAITALL);
  got.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return got;
}

/// A group that echoes, running on a thread of its own.
class Running {
 public:
  Running(unsigned threads, const Address& address, Limits limits = {}) : group_(threads, limits) {
    auto bound = group_.listen(address, {.full = "full\n", .client_is_full = "your share\n"},
                               [this](Loop& home, int socket) {
                                 const std::lock_guard lock(mutex_);
                                 loops_seen_.insert(home.index());
                                 return std::make_shared<Echo>(home, socket);
                               });
    EXPECT_TRUE(bound.has_value());
    address_ = *bound;
    result_ = std::async(std::launch::async, [this] { return group_.run(); });
  }
  bool stop() {
    group_.drain();
    return result_.get();
  }

  LoopGroup group_;
  Address address_;
  std::future<bool> result_;
  std::mutex mutex_;
  std::set<std::size_t> loops_seen_;
};

TEST(LoopGroup, PicksOnePortForAllLoops) {
  Running running(2, *parse_address("127.0.0.1:0"));
  EXPECT_NE(running.address_.port, 0);
  std::vector<int> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(dial(running.address_));
    EXPECT_EQ(exchange(clients.back(), "hi\n", 3), "hi\n");
  }
  // The kernel spreads by a hash of the ports: all 64 on one loop has a chance of 2 in 2^64.
  EXPECT_EQ(running.loops_seen_.size(), 2U);
  EXPECT_EQ(running.group_.open_connections(), 64U);
  for (const int client : clients) ::close(client);
  EXPECT_TRUE(running.stop());
}

TEST(LoopGroup, HandsAUnixSocketsConnectionsOffInTurn) {
  const auto path =
      std::filesystem::temp_directory_path() / ("nearlane_loop_test." + std::to_string(::getpid()));
  {
    Running running(2, *parse_address("unix:" + path.string()));
    const int one = dial(running.address_);
    const int two = dial(running.address_);
    EXPECT_EQ(exchange(one, "1\n", 2), "1\n");
    EXPECT_EQ(exchange(two, "2\n", 2), "2\n");
    EXPECT_EQ(running.loops_seen_.size(), 2U);
    ::close(one);
    ::close(two);
    EXPECT_TRUE(running.stop());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(LoopGroup, TellsConnectionsOverTheCapWhyAndClosesThem) {
  Running running(1, *parse_address("127.0.0.1:0"), {.max_connections = 1});
  const int first = dial(running.address_);
  EXPECT_EQ(exchange(first, "a\n", 2), "a\n");
  const int second = dial(running.address_);
  char text[16] = {};
  EXPECT_EQ(::recv(second, text, sizeof text, MSG_WAITALL), 5);
  EXPECT_STREQ(text, "full\n");
  EXPECT_EQ(running.group_.refused_connections(), 1U);
  EXPECT_EQ(exchange(first, "b\n", 2), "b\n");
  ::close(first);
  ::close(second);
  EXPECT_TRUE(running.stop());
}

TEST(LoopGroup, GivesOneClientNoMoreThanItsShare) {
  Running running(2, *parse_address("127.0.0.1:0"),
                  {.max_connections = 3, .max_connections_per_client = 2});
  std::array<int, 2> mine{};
  for (int& fd : mine) {
    fd = dial(running.address_);
    EXPECT_EQ(exchange(fd, "a\n", 2), "a\n");
  }
  const auto refused = [&](const std::string& why) {
    const int over = dial(running.address_);
    std::string text(why.size() + 1, '\0');
    const ssize_t got = ::recv(over, text.data(), text.size(), MSG_WAITALL);
    ::close(over);
    EXPECT_EQ(text.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0))), why);
  };
  refused("your share\n");
  EXPECT_EQ(running.group_.refused_by_client(), 1U);
  EXPECT_EQ(running.group_.open_connections(), 2U);
  const int other = dial(running.address_, "127.0.0.2");
  EXPECT_EQ(exchange(other, "b\n", 2), "b\n");
  refused("full\n");
  EXPECT_EQ(running.group_.refused_connections(), 1U);
  ::close(other);
  ::close(mine[0]);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (running.group_.open_connections() > 1 && std::chrono::steady_clock::now() < patience)
    std::this_thread::yield();  // until the server has seen it go
  const int again = dial(running.address_);
  EXPECT_EQ(exchange(again, "c\n", 2), "c\n");
  ::close(again);
  ::close(mine[1]);
  EXPECT_TRUE(running.stop());
}

TEST(LoopGroup, CountsNobodyWhoHasNoAddress) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("nearlane_loop_share_test." + std::to_string(::getpid()));
  Running running(1, *parse_address("unix:" + path.string()), {.max_connections_per_client = 1});
  std::array<int, 3> clients{};
  for (int& fd : clients) {
    fd = dial(running.address_);
    EXPECT_EQ(exchange(fd, "a\n", 2), "a\n");
  }
  for (const int fd : clients) ::close(fd);
  EXPECT_TRUE(running.stop());
}

TEST(LoopGroup, AConnectionThatCannotBeMadeKeepsNoSeat) {
  LoopGroup group(1, {.max_connections = 1, .max_connections_per_client = 1});
  unsigned made = 0;
  const auto bound = group.listen(*parse_address("127.0.0.1:0"),
                                  {.full = "full\n", .client_is_full = "your share\n"},
                                  [&](Loop& home, int socket) -> std::shared_ptr<Connection> {
                                    if (made++ > 0) return std::make_shared<Echo>(home, socket);
                                    ::close(socket);
                                    throw std::bad_alloc();
                                  });
  ASSERT_TRUE(bound.has_value());
  const int failed = dial(*bound);
  EXPECT_THROW((void)group.run(), std::bad_alloc);
  EXPECT_EQ(group.open_connections(), 0U);
  std::future<bool> again = std::async(std::launch::async, [&] { return group.run(); });
  const int served = dial(*bound);
  EXPECT_EQ(exchange(served, "a\n", 2), "a\n");
  ::close(failed);
  ::close(served);
  group.drain();
  EXPECT_TRUE(again.get());
}

TEST(LoopGroup, DrainFinishesWhatIsInFlightAndClosesWhatIsIdle) {
  Running running(2, *parse_address("127.0.0.1:0"), {.drain_timeout = std::chrono::minutes(5)});
  const int idle = dial(running.address_);
  const int busy = dial(running.address_);
  EXPECT_EQ(exchange(idle, "x\n", 2), "x\n");
  EXPECT_EQ(exchange(busy, "half", 4), "half");
  running.group_.drain();
  char byte = 0;
  EXPECT_EQ(::recv(idle, &byte, 1, 0), 0);
  EXPECT_EQ(exchange(busy, "done\n", 5), "done\n");
  EXPECT_TRUE(running.result_.get());
  ::close(idle);
  ::close(busy);
}

TEST(LoopGroup, DrainEndsAtItsDeadlineWhateverIsStillOpen) {
  Running running(2, *parse_address("127.0.0.1:0"),
                  {.drain_timeout = std::chrono::milliseconds(50)});
  const int busy = dial(running.address_);
  EXPECT_EQ(exchange(busy, "half", 4), "half");
  EXPECT_FALSE(running.stop()) << "something was cut off, and whoever waits must know";
  ::close(busy);
}

TEST(LoopGroup, ServesOnForTheDelayAndTellsThatItDrains) {
  Running running(2, *parse_address("127.0.0.1:0"),
                  {.drain_timeout = std::chrono::minutes(5), .drain_delay = milliseconds(300)});
  const int idle = dial(running.address_);
  EXPECT_EQ(exchange(idle, "x\n", 2), "x\n");
  EXPECT_FALSE(running.group_.draining());
  retired = 0;
  const TimePoint begun = Clock::now();
  running.group_.drain();
  while (!running.group_.draining() || retired.load() == 0) std::this_thread::yield();
  EXPECT_EQ(exchange(idle, "y\n", 2), "y\n");
  const int late = dial(running.address_);
  EXPECT_EQ(exchange(late, "z\n", 2), "z\n") << "a balancer that has not noticed yet";
  EXPECT_EQ(retired.load(), 2);
  EXPECT_TRUE(running.result_.get());
  EXPECT_GE(Clock::now() - begun, milliseconds(300));
  char byte = 0;
  for (const int client : {idle, late}) {
    EXPECT_EQ(::recv(client, &byte, 1, 0), 0);
    ::close(client);
  }
}

TEST(LoopGroup, WaitsForWhatIsToBeDoneBeforeItEnds) {
  LoopGroup loops(2, {});
  std::promise<std::function<void()>> asked;
  loops.on_drain([&](std::function<void()> done) { asked.set_value(std::move(done)); });
  auto ran = std::async(std::launch::async, [&] { return loops.run(); });
  loops.drain();
  EXPECT_EQ(ran.wait_for(milliseconds(100)), std::future_status::timeout);
  asked.get_future().get()();
  EXPECT_TRUE(ran.get());
}

TEST(LoopGroup, WaitsForThatNoLongerThanForAllElse) {
  LoopGroup loops(1, {.drain_timeout = milliseconds(50)});
  loops.on_drain([](const std::function<void()>& /*never*/) {});
  loops.drain();
  EXPECT_FALSE(loops.run());
}

TEST(LoopGroup, RunsATaskOnceAndNotBeforeItsTime) {
  LoopGroup loops(2, {});
  std::vector<Duration> ran;
  const TimePoint begun = Clock::now();
  for (const Duration delay : {milliseconds(30), milliseconds(10)}) {
    loops.after(delay, [&] {
      ran.push_back(Clock::now() - begun);
      if (ran.size() == 2) loops.drain();
    });
  }
  EXPECT_TRUE(loops.run());
  ASSERT_EQ(ran.size(), 2U);
  EXPECT_GE(ran[0], milliseconds(10));
  EXPECT_GE(ran[1], milliseconds(30));
}

TEST(LoopGroup, SaysWhyItCannotListen) {
  // With several loops too, whose listeners share the port among themselves.
  for (const unsigned loops : {1U, 2U}) {
    LoopGroup first(loops, {});
    LoopGroup second(loops, {});
    const auto bound = first.listen(*parse_address("127.0.0.1:0"), {}, {});
    ASSERT_TRUE(bound.has_value());
    const auto again = second.listen(*bound, {}, {});
    ASSERT_TRUE(again.has_error()) << loops;
    EXPECT_NE(again.error().detail.find("Address already in use"), std::string::npos);
  }
}

TEST(LoopGroup, LeavesAFileThatIsNoSocketAlone) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("nearlane_not_a_socket_" + std::to_string(::getpid()));
  std::ofstream(path) << "precious";
  LoopGroup group(1, {});
  EXPECT_TRUE(group.listen(*parse_address("unix:" + path.string()), {}, {}).has_error());
  EXPECT_EQ(std::filesystem::file_size(path), 8U);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace nearlane::loop
