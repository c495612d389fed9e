#include "harness/driver/socket.h"

#include <array>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

/// Takes nobody until it is told to; its queue has room for one.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 0), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = {.host = "127.0.0.1", .port = ntohs(address.sin_port)};
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void take_one() const { ::close(::accept(fd_, nullptr, nullptr)); }
  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }

 private:
  int fd_;
  Endpoint endpoint_;
};

TEST(Socket, ConnectsAsSoonAsAFullQueueHasRoom) {
  const Listener listener;
  Socket first;
  ASSERT_TRUE(first.connect_by(listener.endpoint(), Clock::now() + 5s));
  const TimePoint begun = Clock::now();
  std::thread taking([&] {
    std::this_thread::sleep_until(begun + 50ms);
    listener.take_one();
  });
  Socket second;
  const auto connected = second.connect_by(listener.endpoint(), begun + 5s);
  const Duration took = Clock::now() - begun;
  taking.join();
  ASSERT_TRUE(connected) << connected.error().detail;
  EXPECT_EQ(second.state(), Socket::State::open);
  EXPECT_GE(took, 50ms) << "there was no room";
  EXPECT_LT(took, 900ms) << "the kernel asks again after a second";
}

TEST(Socket, GivesUpAtItsDeadline) {
  const Listener listener;
  Socket first;
  ASSERT_TRUE(first.connect_by(listener.endpoint(), Clock::now() + 5s));
  Socket second;
  EXPECT_EQ(second.connect_by(listener.endpoint(), Clock::now() + 60ms).error().code,
            Errc::timeout);
  EXPECT_EQ(second.state(), Socket::State::closed);
}

}  // namespace
}  // namespace nearlane::harness
