// What the fast lane answers, the Beast lane answers alike, and leaves as much of the buffer. Without
// sockets, so that many inputs are tried; lanes_test.cc has the connections around it. The bytes from
// 0x80 on stand for the words of the protocol, which would have to be guessed letter by letter.

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include "servers/http/routes.h"
#include "servers/http/test_server.h"

namespace {

using namespace nearlane;
using namespace nearlane::http;

void check(bool holds) {
  if (!holds) std::abort();
}

constexpr std::string_view kWords[] = {
    "GET /cache/a HTTP/1.1\r\nHost: x\r\n",
    "HEAD /cache/b:1 HTTP/1.1\r\nHost: x\r\n",
    "GET /cache/",
    "HEAD /cache/",
    "PUT /cache/a",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "\r\n",
    "\r\n\r\n",
    "Host: x\r\n",
    "Host:",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "Connection:",
    "Proxy-Connection: close\r\n",
    "Accept-Encoding: gzip, br\r\n",
    "Accept-Encoding:",
    "identity",
    ";q=0",
    "*",
    "If-None-Match: *\r\n",
    "If-None-Match:",
    "\"9555e8555c62dcfd\"",
    "W/",
    "If-Match: *\r\n",
    "Range: bytes=0-1\r\n",
    "If-Range: \"x\"\r\n",
    "Expect: 100-continue\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Content-Length:",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:",
    "Upgrade: h2c\r\n",
    "TE: trailers\r\n",
    "Trailer: X\r\n",
    "Authorization: Bearer x\r\n",
    "X-API-Key: x\r\n",
    "X-Any: ",
    "large",
    "b:1",
    "b%3A1",
    "%61",
    "nothing",
    "/touch",
    "?ttl=1",
    "5\r\nhello\r\n0\r\n\r\n",
    "GET /cache/html HTTP/1.1\r\nHost: x\r\n",
    "Content-Type: text/plain\r\n",
};

std::string expand(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const std::size_t word = static_cast<unsigned char>(c) - std::size_t{0x80};
    if (word < std::size(kWords)) {
      text += kWords[word];
    } else {
      text += c;
    }
  }
  return text;
}

/// The request that `bytes` begins with; how many of them it takes.
std::size_t parse(std::string_view bytes,
                  beast_http::request_parser<beast_http::string_body>& parser) {
  parser.eager(true);
  std::size_t taken = 0;
  while (taken < bytes.size() && !parser.is_done()) {
    boost::system::error_code failed;
    const std::size_t step = parser.put(boost::asio::buffer(bytes.substr(taken)), failed);
    check(!failed);
    check(step > 0);
    taken += step;
  }
  check(parser.is_done());
  return taken;
}

struct Lanes {
  Lanes() {
    const std::string values = put_request("a", "value") +
                               put_request("b:1", std::string(700, 'b')) +
                               put_request("large", std::string(kGatherBytes + 1, 'l')) +
                               put_request("html", "<p>", "Content-Type: text/html\r\n");
    check(server.converse(values).starts_with("HTTP/1.1 201"));
  }

  TestServer server{{}};
  Routes routes{server.tier(), {.api_keys = {}}};
  FastLane fast{server.tier()};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Lanes lanes;
  const std::string text = expand({reinterpret_cast<const char*>(data), size});
  const std::string_view input(text);
  const TimePoint now = Clock::now();
  FastReader reader;
  Caller caller(lanes.routes.api_keys());
  std::string answered;
  const FastAnswers answers = lanes.fast.answer(input, now, reader, caller, answered);
  if (answers.body) answered.append(answers.body.bytes());

  std::string expected;
  std::size_t taken = 0;
  for (std::uint32_t i = 0; i < answers.gets + answers.heads; ++i) {
    beast_http::request_parser<beast_http::string_body> parser;
    taken += parse(input.substr(taken), parser);
    Plan plan = lanes.routes.plan(parser.get(), caller, now);
    check(plan.response.has_value());
    lanes.routes.complete(parser.get(), *plan.response);
    check(plan.response->head.keep_alive());
    append_head(expected, *plan.response);
    expected.append(sent_body(parser.get(), *plan.response));
  }
  check(taken == answers.bytes);
  check(without_dates(answered) == without_dates(expected));
  if (answers.looked_up) {
    beast_http::request_parser<beast_http::string_body> parser;
    parse(input.substr(taken), parser);
    // What L1 has not is not answered at once; what it has, and the client does not take, is.
    check(lanes.routes.plan(parser.get(), caller, now).response.has_value() ==
          static_cast<bool>(answers.looked_up->entry));
  }
  return 0;
}
