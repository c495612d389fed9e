// A connection to a Redis that is played here, byte by byte.
#include "servers/resp/upstream.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace nearlane::resp {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class UpstreamTest : public testing::Test {
 protected:
  UpstreamTest() {
    upstream_->connect();
    acceptor_.async_accept([this](const boost::system::error_code&, tcp::socket socket) {
      redis_.emplace(std::move(socket));
    });
    while (!redis_) run();
    // Its greeting, which has to be answered before anything of a client's is sent.
    EXPECT_EQ(hear(greeting_.size()), greeting_);
    asio::write(*redis_, asio::buffer(std::string_view("+OK\r\n")));
    for (int turn = 0; turn < 100; ++turn) run();
  }
  ~UpstreamTest() override { upstream_->close(); }

  void run() {
    loop_.restart();
    loop_.poll();
  }
  std::string hear(std::size_t size) {
    while (redis_->available() < size) run();
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
};

TEST_F(UpstreamTest, WhatComesTogetherIsSentTogether) {
  constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
  for (int i = 0; i < 3; ++i) upstream_->send(std::array{std::string_view("PING")});
  run();
  EXPECT_EQ(redis_->available(), 0U) << "one by one each would be a system call";
  upstream_->flush();
  EXPECT_EQ(hear(3 * kPing.size()), std::string(kPing) + std::string(kPing) + std::string(kPing));
}

}  // namespace
}  // namespace nearlane::resp
