// The API over HTTP, byte by byte as curl would send it and as nobody should.
#include "harness/faults/api_server.h"

#include <list>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/faults/proxy_api.h"

namespace nearlane::harness {
namespace {

using boost::asio::ip::tcp;
using testing::EndsWith;
using testing::HasSubstr;

using testing::StartsWith;

class Caller {
 public:
  explicit Caller(const Endpoint& to) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address(to.host), to.port});
  }
  void send(std::string_view bytes) {
    boost::system::error_code ended;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ended);
  }
  /// All that comes until the end.
  std::string rest() {
    std::string all;
    boost::system::error_code end;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(all), end);
    EXPECT_EQ(end, boost::asio::error::eof) << "an end, and no reset";
    return all;
  }
  std::string head() {
    std::string all;
    boost::system::error_code end;
    const auto size =
        boost::asio::read_until(socket_, boost::asio::dynamic_buffer(all), "\r\n\r\n", end);
    return all.substr(0, size);
  }

 private:
  boost::asio::io_context context_;
  tcp::socket socket_;
};

std::string request(std::string_view method, std::string_view target, std::string_view body = "",
                    std::string_view more = "Connection: close\r\n") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n{}\r\n{}", method,
                     target, body.size(), more, body);
}

class Server : public testing::Test {
 protected:
  void SetUp() override {
    auto started = ApiServer::start("127.0.0.1:0");
    ASSERT_TRUE(started) << started.error().detail;
    server.emplace(std::move(*started));
  }
  std::string exchange(std::string_view bytes) {
    Caller caller(server->endpoint());
    caller.send(bytes);
    return caller.rest();
  }

  std::optional<ApiServer> server;
};

TEST_F(Server, AnswersInJson) {
  const auto created =
      exchange(request("POST", "/proxies", R"({"name":"a","upstream":"127.0.0.1:1"})"));
  EXPECT_THAT(created, StartsWith("HTTP/1.1 201 Created\r\n"));
  EXPECT_THAT(created, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(created, HasSubstr(R"("upstream":"127.0.0.1:1")"));
  const auto absent = exchange(request("GET", "/proxies/b"));
  EXPECT_THAT(absent, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(absent, EndsWith("\r\n\r\n{\"error\":\"proxy not found\",\"status\":404}\n"));
  const auto wrong = exchange(request("PUT", "/reset"));
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(wrong, HasSubstr("\r\nAllow: POST\r\n"));
  const auto deleted = exchange(request("DELETE", "/proxies/a"));
  EXPECT_THAT(deleted, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(deleted, EndsWith("\r\n\r\n"));
}

TEST_F(Server, AnswersOneAfterTheOtherOnAConnection) {
  const auto both = exchange(request("GET", "/proxies", "", "") + request("GET", "/version"));
  EXPECT_THAT(both,
              testing::MatchesRegex(
                  "HTTP/1.1 200 OK\r\n(.|\n)*\\{\\}HTTP/1.1 200 OK\r\n(.|\n)*2\\.12\\.0(.|\n)*"));
}

TEST_F(Server, TakesABodyInChunks) {
  const auto answer = exchange(
      "POST /proxies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "8\r\n{\"name\":\r\n1c\r\n\"a\",\"upstream\":\"127.0.0.1:1\"\r\n1\r\n}\r\n0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 "));
}

TEST_F(Server, RefusesABodyThatIsTooLarge) {
  const std::string large(ProxyApi::kMaxBody + 1, ' ');
  const auto answer = exchange(request("POST", "/populate", large));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer,
              EndsWith("{\"error\":\"a body has 1048576 bytes at most\",\"status\":413}\n"));
  const std::string fits = "[" + std::string(ProxyApi::kMaxBody - 2, ' ') + "]";
  EXPECT_THAT(exchange(request("POST", "/populate", fits)), StartsWith("HTTP/1.1 201 "));
}

TEST_F(Server, RefusesWhatIsNoHttp) {
  EXPECT_THAT(exchange("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(Server, RefusesBrowsers) {
  const std::string agent = "Connection: close\r\nUser-Agent: Mozilla/5.0 (X11)\r\n";
  EXPECT_THAT(exchange(request("POST", "/reset", "", agent)), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(
      exchange(request("POST", "/reset", "", "Connection: close\r\nUser-Agent: curl/8\r\n")),
      StartsWith("HTTP/1.1 204 "));
}

TEST_F(Server, EndsAConnectionBehindAnAnswerToHead) {
  const auto answer = exchange(request("HEAD", "/version", "", ""));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
}

TEST_F(Server, HasRoomAgainWhenAConnectionEnds) {
  std::list<Caller> callers;
  while (callers.size() < ApiServer::kMaxConnections) {
    callers.emplace_back(server->endpoint());
    callers.back().send(request("GET", "/version", "", ""));
    EXPECT_THAT(callers.back().head(), StartsWith("HTTP/1.1 200 "));
  }
  Caller waiting(server->endpoint());
  waiting.send(request("GET", "/version"));
  callers.pop_front();
  EXPECT_THAT(waiting.rest(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Server, ListensToThisMachineAlone) {
  for (const char* open : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"}) {
    const auto started = ApiServer::start(open);
    ASSERT_FALSE(started) << open;
    EXPECT_EQ(started.error().code, Errc::invalid_argument);
    EXPECT_THAT(started.error().detail, HasSubstr("this machine alone"));
  }
  for (const char* wrong : {"x", "x:1", "127.0.0.1", "127.0.0.1:x"}) {
    const auto started = ApiServer::start(wrong);
    ASSERT_FALSE(started) << wrong;
    EXPECT_THAT(started.error().detail, HasSubstr("is not HOST:PORT"));
  }
  const auto taken = ApiServer::start(server->endpoint().to_string());
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::unavailable);
  EXPECT_TRUE(ApiServer::start("localhost:0"));
}

TEST_F(Server, BeginsWithProxies) {
  const auto with = ApiServer::start("127.0.0.1:0", R"([{"name":"a","upstream":"127.0.0.1:1"}])");
  ASSERT_TRUE(with);
  EXPECT_EQ(with->populated(), 1U);
  const auto wrong = ApiServer::start("127.0.0.1:0", "[{}]");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::invalid_argument);
  EXPECT_EQ(wrong.error().detail, "populate: missing required field: name at proxy 1");
}

}  // namespace
}  // namespace nearlane::harness
