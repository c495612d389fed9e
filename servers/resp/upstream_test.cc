// A connection to a Redis that is played here, byte by byte.
#include "servers/resp/upstream.h"

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace nearlane::resp {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr Duration kPatience = std::chrono::seconds(20);  // for what takes milliseconds
constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

class UpstreamTest : public testing::Test, private Upstream::Owner {
 protected:
  UpstreamTest() {
    upstream_->connect();
    acceptor_.async_accept([this](const boost::system::error_code&, tcp::socket socket) {
      redis_.emplace(std::move(socket));
    });
    run_until([this] { return redis_.has_value(); });
    // Its greeting, which has to be answered before anything of a client's is sent.
    EXPECT_EQ(hear(greeting_.size()), greeting_);
    asio::write(*redis_, asio::buffer(std::string_view("+OK\r\n")));
    upstream_->set_owner(this);
    upstream_->send(std::array{std::string_view("PING")});
    upstream_->flush();
    EXPECT_EQ(hear(kPing.size()), kPing);
    asio::write(*redis_, asio::buffer(std::string_view("+PONG\r\n")));
    run_until([this] { return received_ == "+PONG\r\n"; });
  }
  ~UpstreamTest() override {
    upstream_->set_owner(nullptr);
    upstream_->close();
  }

  void received(std::string bytes, const protocol::Reply& /*frame*/) noexcept override {
    received_ += bytes;
  }
  void lost(const Error& why) noexcept override { ADD_FAILURE() << why.detail; }

  void run() {
    loop_.restart();
    loop_.poll();
  }
  template <class Condition>
  void run_until(const Condition& condition) {
    const TimePoint given_up = Clock::now() + kPatience;
    while (!condition() && Clock::now() < given_up) run();
    if (!condition()) throw std::runtime_error("what should come has not come");
  }
  std::string hear(std::size_t size) {
    run_until([&] { return redis_->available() >= size; });
    std::string heard(redis_->available(), '\0');
    asio::read(*redis_, asio::buffer(heard));
    return heard;
  }

  const std::string greeting_ = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$14\r\nnearlane-relay\r\n";
  asio::io_context loop_;
  tcp::acceptor acceptor_{loop_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::shared_ptr<Upstream> upstream_ = std::make_shared<Upstream>(
      loop_, std::make_shared<UpstreamLimits>(),
      std::make_shared<l2::Route>(
          l2::RedisUrl{.server = {.host = "127.0.0.1",
                                  .port = std::to_string(acceptor_.local_endpoint().port())}},
          nullptr));
  std::optional<tcp::socket> redis_;
  std::string received_;
};

TEST_F(UpstreamTest, WhatComesTogetherIsSentTogether) {
  for (int i = 0; i < 3; ++i) upstream_->send(std::array{std::string_view("PING")});
  run();
  EXPECT_EQ(redis_->available(), 0U) << "one by one each would be a system call";
  upstream_->flush();
  EXPECT_EQ(hear(3 * kPing.size()), std::string(kPing) + std::string(kPing) + std::string(kPing));
}

TEST_F(UpstreamTest, TheKernelFindsOutThatRedisIsGoneWithoutAWord) {
  const auto ours = redis_->remote_endpoint();
  int found = 0;
  for (int handle = 0; handle < 1024; ++handle) {
    sockaddr_in local{};
    socklen_t size = sizeof local;
    if (::getsockname(handle, reinterpret_cast<sockaddr*>(&local), &size) != 0 ||
        local.sin_family != AF_INET || ntohs(local.sin_port) != ours.port())
      continue;
    const auto option = [handle](int level, int name) {
      int value = -1;
      socklen_t length = sizeof value;
      EXPECT_EQ(::getsockopt(handle, level, name, &value, &length), 0);
      return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 300);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 100);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace nearlane::resp
