// A connection over a real socket, and what it does with the pieces in which bytes come and go; its session answers
// every line with that line.
#include "servers/resp/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/loop/socket_pair.h"

namespace nearlane::resp {
namespace {

using namespace std::chrono_literals;

class Lines final : public Session {
 public:
  std::size_t serve(std::string_view input, TimePoint /*received*/) override {
    if (blocking) return 0;
    const std::size_t taken = input.rfind('\n') + 1;  // none: npos + 1
    for (std::size_t i = 0; i < times; ++i) out_.text().append(input.substr(0, taken));
    return taken;
  }
  void refill() override {}
  [[nodiscard]] bool blocked() const noexcept override { return blocking; }
  [[nodiscard]] bool idle() const noexcept override { return !answering && !waiting; }
  [[nodiscard]] bool waits() const noexcept override { return waiting; }
  [[nodiscard]] bool listens() const noexcept override { return listening; }
  [[nodiscard]] std::size_t missing() const noexcept override { return 0; }
  void detach() noexcept override {}

  std::size_t times = 1;   // how often a line is its answer
  bool blocking = false;   // a whole command must wait
  bool answering = false;  // something is not answered yet
  bool waiting = false;    // and may take for ever
  bool listening = false;
};

constexpr std::chrono::seconds kTransferTimeout(7);
constexpr std::chrono::seconds kIdleTimeout(100);

class ConnectionTest : public testing::Test {
 protected:
  explicit ConnectionTest(std::array<int, 2> ends = loop::unix_pair(),
                          std::chrono::seconds idle = 0s)
      : peer_(ends[0]), socket_(ends[1]) {
    auto connection = std::make_shared<Connection>(
        loop_, ends[1], ConnectionLimits{.transfer = kTransferTimeout, .idle = idle},
        [this](Session::Host& host) {
          host_ = &host;
          return session_;
        });
    connection_ = connection;
    loop_.add(std::move(connection));
  }
  ~ConnectionTest() override { ::close(peer_); }

  void send(std::string_view bytes) const {
    ASSERT_EQ(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void run() {
    loop_.context().restart();
    loop_.context().poll();
  }
  /// Runs the loop, and takes what has come of it.
  std::string take() {
    std::string taken;
    std::array<char, 65536> bytes;
    for (int turn = 0; turn < 4; ++turn) {
      run();
      ssize_t got = 0;
      while ((got = ::recv(peer_, bytes.data(), bytes.size(), 0)) > 0)
        taken.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return taken;
  }
  static std::string line_of(std::size_t size) { return std::string(size - 1, 'x') + '\n'; }

  [[nodiscard]] TimePoint overdue_at() const { return connection_.lock()->overdue_at(); }
  /// The answers have come for which the session's state stood.
  void answered() {
    session_->blocking = session_->answering = session_->waiting = false;
    host_->answered();
    (void)take();
  }
  /// Whether it is still there when so much time has gone by.
  bool lasts(std::chrono::seconds after) {
    loop_.close_overdue(Clock::now() + after);
    return loop_.connections() != 0;
  }

  loop::Loop loop_{0};
  std::shared_ptr<Lines> session_ = std::make_shared<Lines>();
  Session::Host* host_ = nullptr;
  std::weak_ptr<Connection> connection_;
  int peer_;
  int socket_;  // the connection's
};

class IdleConnectionTest : public ConnectionTest {
 protected:
  IdleConnectionTest() : ConnectionTest(loop::unix_pair(), kIdleTimeout) {}
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

TEST_F(ConnectionTest, APeerWhoseCommandDoesNotEndIsGivenUp) {
  (void)take();
  const TimePoint before = Clock::now();
  send("abc");
  (void)take();
  EXPECT_GE(overdue_at(), before + kTransferTimeout);
  EXPECT_LE(overdue_at(), Clock::now() + kTransferTimeout);
  EXPECT_FALSE(lasts(kTransferTimeout + 1s));
}

TEST_F(TcpConnectionTest, TheTimeInWhichThePeerTakesItsAnswersIsNoneInWhichItTrickles) {
  (void)take();
  session_->times = 60'000;
  send("a\nhalf");
  while (overdue_at() == kForever) run();  // some of the answer is on its way
  std::this_thread::sleep_for(20ms);
  const TimePoint before = Clock::now();
  std::string taken = take();
  while (taken.size() < 2 * session_->times) taken += take();
  EXPECT_GE(overdue_at(), before + kTransferTimeout);
  EXPECT_NE(overdue_at(), kForever) << "half a command has come";
}

TEST_F(ConnectionTest, WhatTheKernelKeepsForThePeerIsTakenFirst) {
  (void)take();
  session_->times = Connection::kSlowestBytes;  // two seconds' worth
  const TimePoint before = Clock::now();
  send("a\nhalf");
  run();
  EXPECT_GE(overdue_at(), before + kTransferTimeout + 2s);
  EXPECT_NE(overdue_at(), kForever);
}

TEST_F(ConnectionTest, TheTimeInWhichNothingIsReadIsNoneInWhichThePeerTrickles) {
  (void)take();
  send("half");
  (void)take();
  session_->blocking = true;
  send(" a line");
  (void)take();
  EXPECT_EQ(overdue_at(), kForever) << "it waits for us";
  std::this_thread::sleep_for(20ms);
  const TimePoint before = Clock::now();
  answered();
  EXPECT_GE(overdue_at(), before + kTransferTimeout);
  EXPECT_NE(overdue_at(), kForever);
}

TEST_F(ConnectionTest, HalfACommandHasToEndThoughAnotherIsNotAnswered) {
  (void)take();
  session_->answering = true;
  (void)take();
  const TimePoint before = Clock::now();
  send("half");
  (void)take();
  EXPECT_GE(overdue_at(), before + kTransferTimeout);
  EXPECT_FALSE(lasts(kTransferTimeout + 1s));
}

TEST_F(ConnectionTest, LittleIsReadBehindACommandThatWaits) {
  (void)take();
  session_->waiting = true;
  const std::string some(10'000, 'x');
  std::size_t sent = 0;
  for (ssize_t got = 0; got >= 0 && sent < 10'000'000; sent += static_cast<std::size_t>(got)) {
    got = ::send(peer_, some.data(), some.size(), MSG_NOSIGNAL);
    if (got < 0) break;
    (void)take();
  }
  EXPECT_LT(sent, 2'000'000U) << "the kernel's buffers, and little of ours";
  EXPECT_EQ(overdue_at(), kForever) << "we do not read";
  const TimePoint before = Clock::now();
  answered();
  EXPECT_GE(overdue_at(), before + kTransferTimeout);
  EXPECT_NE(overdue_at(), kForever);
}

TEST_F(ConnectionTest, TricklingBuysNoTimeButALargeCommandHasMore) {
  (void)take();
  send("a");
  (void)take();
  const TimePoint due = connection_.lock()->overdue_at();
  for (int i = 0; i < 20; ++i) {
    send("b");
    (void)take();
  }
  EXPECT_EQ(connection_.lock()->overdue_at(), due);
  for (int i = 0; i < 4; ++i) {
    send(std::string(Connection::kSlowestBytes / 2, 'c'));
    (void)take();
  }
  EXPECT_EQ(connection_.lock()->overdue_at(), due + 2s);
  send("\n");
  EXPECT_EQ(take().size(), 22 + 2 * Connection::kSlowestBytes);
  EXPECT_TRUE(lasts(kTransferTimeout + 5s)) << "it owes nothing any more";
}

TEST_F(ConnectionTest, APeerMaySayNothingForEverUnlessToldOtherwise) {
  (void)take();
  EXPECT_TRUE(lasts(std::chrono::hours(24)));
}

TEST_F(IdleConnectionTest, APeerThatSaysNothingIsGivenUp) {
  (void)take();
  EXPECT_LE(overdue_at(), Clock::now() + kIdleTimeout);
  EXPECT_GT(overdue_at(), Clock::now());
  EXPECT_FALSE(lasts(kIdleTimeout + 1s)) << "though it has never said anything";
}

TEST_F(IdleConnectionTest, WhoWaitsForAnAnswerMaySayNothing) {
  session_->answering = true;
  (void)take();
  send("a\n");
  (void)take();
  EXPECT_EQ(overdue_at(), kForever);
  answered();
  EXPECT_NE(overdue_at(), kForever);
}

TEST_F(IdleConnectionTest, WhatIsSentToItCountsAsWell) {
  session_->answering = true;
  send("a\n");
  (void)take();
  std::this_thread::sleep_for(20ms);
  const TimePoint before = Clock::now();
  session_->output().text() = "the answer";
  answered();
  EXPECT_GE(overdue_at(), before + kIdleTimeout);
  EXPECT_NE(overdue_at(), kForever);
}

TEST_F(IdleConnectionTest, WhoListensMaySayNothingButNotHalfACommand) {
  session_->listening = true;
  send("a\n");
  EXPECT_EQ(take(), "a\n");
  EXPECT_TRUE(lasts(kIdleTimeout + 1s));
  send("b");
  (void)take();
  EXPECT_FALSE(lasts(kTransferTimeout + 1s));
}

TEST_F(TcpConnectionTest, TheKernelFindsOutWhoIsGoneWithoutAWord) {
  int asks = 0;
  int quiet_seconds = 0;
  socklen_t size = sizeof asks;
  ASSERT_EQ(::getsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &asks, &size), 0);
  ASSERT_EQ(::getsockopt(socket_, IPPROTO_TCP, TCP_KEEPIDLE, &quiet_seconds, &size), 0);
  EXPECT_NE(asks, 0);
  EXPECT_EQ(quiet_seconds, 300);
}

TEST_F(ConnectionTest, APeerThatTakesNothingIsGivenUp) {
  for (int i = 0; i < 40; ++i) {
    const std::string line = line_of(60'000);
    (void)::send(peer_, line.data(), line.size(), MSG_NOSIGNAL);
    run();
  }
  ASSERT_EQ(loop_.connections(), 1U);
  EXPECT_GT(overdue_at(), Clock::now());
  EXPECT_FALSE(lasts(kTransferTimeout + 1s));
}

TEST_F(TcpConnectionTest, APeerThatIsGivenUpIsNotSentWhatItDidNotTake) {
  const std::string line = line_of(kRead - 1);
  // All of it is read: what was not would end the connection in the same way.
  while (connection_.lock()->overdue_at() == kForever) {
    ASSERT_EQ(::send(peer_, line.data(), line.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(line.size()));
    run();
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
