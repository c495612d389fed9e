// A connection over a real socket, to a peer that is slow with one thing or another; every request is answered with as
// many bytes as its path says.
#include "servers/http/connection.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/loop/socket_pair.h"

namespace nearlane::http {
namespace {

using std::chrono::seconds;

class Bytes final : public Handler {
 public:
  explicit Bytes(std::vector<TimePoint>& received) : received_(received) {}
  bool answer_now(const Request& request, Response& response, TimePoint received) override {
    received_.push_back(received);
    const std::string path(request.target());
    response.text = std::string(std::strtoul(path.c_str() + 1, nullptr, 10), 'v');
    response.head.content_length(response.text.size());
    return true;
  }
  boost::asio::awaitable<void> answer(const Request& /*request*/, Response& /*response*/) override {
    co_return;
  }

 private:
  std::vector<TimePoint>& received_;
};

constexpr ConnectionLimits kLimits{
    .idle = seconds(75), .header = seconds(10), .grace = seconds(30), .slowest_bytes = 1024};

class SlowPeer : public testing::Test {
 protected:
  explicit SlowPeer(std::array<int, 2> ends = loop::unix_pair()) : peer_(ends[0]) {
    loop_.add(
        std::make_shared<Connection>(loop_, ends[1], std::make_unique<Bytes>(received_), kLimits));
  }
  ~SlowPeer() override { ::close(peer_); }

  void send(std::string_view bytes) {
    ASSERT_EQ(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    turn();
  }
  void turn() {
    loop_.context().restart();
    loop_.context().poll();
  }
  /// Bytes that were there to take.
  std::size_t take(std::size_t most) {
    std::string bytes(most, '\0');
    const ssize_t got = ::recv(peer_, bytes.data(), bytes.size(), 0);
    turn();
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  /// The peer does nothing from now on: it is given up after `limit`, and not much before.
  void expect_given_up_after(seconds limit) {
    loop_.close_overdue(Clock::now() + limit - seconds(5));
    EXPECT_EQ(loop_.connections(), 1U);
    loop_.close_overdue(Clock::now() + limit + seconds(1));
    EXPECT_EQ(loop_.connections(), 0U);
  }

  std::vector<TimePoint> received_;  // when the requests came, as their answers were told
  loop::Loop loop_{0};
  int peer_;
};

class SlowTcpPeer : public SlowPeer {
 protected:
  SlowTcpPeer() : SlowPeer(loop::tcp_pair()) {}
};

TEST_F(SlowPeer, MayBeIdle) {
  send("GET /5 HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_GT(take(1000), 5U);
  expect_given_up_after(seconds(75));
}

TEST_F(SlowPeer, MustEndItsHeader) {
  send("GET /5 HTTP/1.1\r\nHost: t\r\n");
  send("X-a: b\r\n");
  expect_given_up_after(seconds(10));
}

TEST_F(SlowPeer, MustEndASecondHeaderAsSoon) {
  send("GET /5 HTTP/1.1\r\nHost: t\r\n\r\nGET /5 HT");
  expect_given_up_after(seconds(10));
}

TEST_F(SlowPeer, MustSendTheBodyThatItAnnounced) {
  send("PUT /5 HTTP/1.1\r\nHost: t\r\nContent-Length: 60000000\r\n\r\n");
  send("body");
  expect_given_up_after(seconds(30));
}

TEST_F(SlowPeer, MustSendTheNextChunk) {
  send("PUT /5 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int chunk = 0; chunk < 200; ++chunk) send("400\r\n" + std::string(1024, 'b') + "\r\n");
  expect_given_up_after(seconds(30));
}

TEST_F(SlowPeer, MustTakeItsAnswer) {
  send("GET /60000000 HTTP/1.1\r\nHost: t\r\n\r\n");
  for (int i = 0; i < 20; ++i) ASSERT_GT(take(100'000), 0U);
  expect_given_up_after(seconds(30));
}

TEST_F(SlowPeer, MustTakeTheAnswersToAPipeline) {
  std::string pipeline;
  for (int i = 0; i < 200; ++i) pipeline += "GET /16000 HTTP/1.1\r\nHost: t\r\n\r\n";
  send(pipeline);
  expect_given_up_after(seconds(30));
}

TEST_F(SlowPeer, PaysForNoAnswerThatWasSentBeforeItsOwn) {
  // The first five are more than is gathered before it is sent, and the kernel takes them at once.
  std::string pipeline;
  for (int i = 0; i < 6; ++i) pipeline += "GET /16000 HTTP/1.1\r\nHost: t\r\n\r\n";
  send(pipeline);
  ASSERT_EQ(received_.size(), 6U);
  EXPECT_EQ(received_[4], received_[0]);
  EXPECT_GT(received_[5], received_[0]);
}

TEST_F(SlowTcpPeer, IsNotSentWhatItDidNotTakeInTime) {
  send("GET /60000000 HTTP/1.1\r\nHost: t\r\n\r\n");
  ASSERT_GT(take(1000), 0U);
  expect_given_up_after(seconds(30));
  std::string rest(1'000'000, '\0');
  ssize_t got = 0;
  while ((got = ::recv(peer_, rest.data(), rest.size(), 0)) > 0) continue;
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(SlowPeer, IsAnsweredInFullIfItIsFastEnough) {
  send("GET /6000000 HTTP/1.1\r\nHost: t\r\n\r\n");
  std::size_t taken = 0;
  for (std::size_t got = 0; (got = take(100'000)) > 0;) taken += got;
  EXPECT_GT(taken, 6'000'000U);
  expect_given_up_after(seconds(75));
}

}  // namespace
}  // namespace nearlane::http
