// A connection over a real socket, and what it does with the pieces in which bytes come and go; its session answers
// every line with that line.
#include "servers/resp/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/loop/socket_pair.h"

namespace nearlane::resp {
namespace {

class Lines final : public Session {
 public:
  std::size_t serve(std::string_view input, TimePoint /*received*/) override {
    const std::size_t taken = input.rfind('\n') + 1;  // none: npos + 1
    out_.text().append(input.substr(0, taken));
    return taken;
  }
  void refill() override {}
  [[nodiscard]] bool blocked() const noexcept override { return false; }
  [[nodiscard]] bool idle() const noexcept override { return true; }
  [[nodiscard]] std::size_t missing() const noexcept override { return 0; }
  void detach() noexcept override {}
};

constexpr std::chrono::seconds kTransferTimeout(7);

class ConnectionTest : public testing::Test {
 protected:
  explicit ConnectionTest(std::array<int, 2> ends = loop::unix_pair()) : peer_(ends[0]) {
    auto connection = std::make_shared<Connection>(
        loop_, ends[1], kTransferTimeout, [](Session::Host&) { return std::make_shared<Lines>(); });
    connection_ = connection;
    loop_.add(std::move(connection));
  }
  ~ConnectionTest() override { ::close(peer_); }

  void send(std::string_view bytes) const {
    ASSERT_EQ(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Runs the loop, and takes what has come of it.
  std::string take() {
    std::string taken;
    std::array<char, 65536> bytes;
    for (int turn = 0; turn < 4; ++turn) {
      loop_.context().restart();
      loop_.context().poll();
      ssize_t got = 0;
      while ((got = ::recv(peer_, bytes.data(), bytes.size(), 0)) > 0)
        taken.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return taken;
  }
  static std::string line_of(std::size_t size) { return std::string(size - 1, 'x') + '\n'; }

  loop::Loop loop_{0};
  std::weak_ptr<Connection> connection_;
  int peer_;
};

class TcpConnectionTest : public ConnectionTest {
 protected:
  TcpConnectionTest() : ConnectionTest(small_pair()) {}

  /// What is not taken is soon more than the kernel keeps.
  static std::array<int, 2> small_pair() {
    const auto ends = loop::tcp_pair();
    const int bytes = 4096;
    EXPECT_EQ(::setsockopt(ends[0], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    EXPECT_EQ(::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    return ends;
  }
};

constexpr std::size_t kRead = Connection::kReadBytes;

TEST_F(ConnectionTest, AnswersWhatFillsItsBufferAndWhatDoesNot) {
  for (const std::size_t size : {std::size_t{1}, kRead - 1, kRead, kRead + 1, 50 * kRead}) {
    send(line_of(size));
    EXPECT_EQ(take(), line_of(size)) << size;
  }
}

TEST_F(ConnectionTest, KeepsHalfACommandThroughReadsOfAnySize) {
  for (const std::size_t rest : {std::size_t{1}, kRead - 1, kRead, kRead + 1, 50 * kRead}) {
    send("abc");
    EXPECT_EQ(take(), "");
    send(line_of(rest));
    EXPECT_EQ(take(), "abc" + line_of(rest)) << rest;
  }
}

TEST_F(ConnectionTest, AnswersWhatCameBeforeThePeersEnd) {
  send(line_of(kRead));
  ASSERT_EQ(::shutdown(peer_, SHUT_WR), 0);
  EXPECT_EQ(take(), line_of(kRead));
  EXPECT_EQ(loop_.connections(), 0U);
}

TEST_F(ConnectionTest, ADrainEndsAnIdleOneThatReads) {
  (void)take();
  loop_.drain([] {});
  (void)take();
  EXPECT_EQ(loop_.connections(), 0U);
}

TEST_F(ConnectionTest, APeerThatTakesNothingIsGivenUp) {
  for (int i = 0; i < 40; ++i) {
    const std::string line = line_of(60'000);
    (void)::send(peer_, line.data(), line.size(), MSG_NOSIGNAL);
    loop_.context().restart();
    loop_.context().poll();
  }
  ASSERT_EQ(loop_.connections(), 1U);
  loop_.close_overdue(Clock::now() + kTransferTimeout - std::chrono::seconds(1));
  EXPECT_EQ(loop_.connections(), 1U);
  loop_.close_overdue(Clock::now() + kTransferTimeout + std::chrono::seconds(1));
  EXPECT_EQ(loop_.connections(), 0U);
}

TEST_F(TcpConnectionTest, APeerThatIsGivenUpIsNotSentWhatItDidNotTake) {
  const std::string line = line_of(kRead - 1);
  // All of it is read: what was not would end the connection in the same way.
  while (connection_.lock()->overdue_at() == kForever) {
    ASSERT_EQ(::send(peer_, line.data(), line.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(line.size()));
    loop_.context().restart();
    loop_.context().poll();
  }
  loop_.close_overdue(Clock::now() + kTransferTimeout + std::chrono::seconds(1));
  ASSERT_EQ(loop_.connections(), 0U);
  std::array<char, 65536> bytes;
  ssize_t got = 0;
  while ((got = ::recv(peer_, bytes.data(), bytes.size(), 0)) > 0) continue;
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, ECONNRESET);
}

}  // namespace
}  // namespace nearlane::resp
