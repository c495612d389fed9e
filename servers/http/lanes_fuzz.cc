// What the fast lane answers, the Beast lane answers alike, and leaves as much of the buffer. Without sockets, so that
// many inputs are tried; lanes_test.cc has the connections around it.

#include <cstdint>
#include <cstdlib>
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
                               put_request("large", std::string(kGatherBytes + 1, 'l'));
    check(server.converse(values).starts_with("HTTP/1.1 201"));
  }

  TestServer server{{}};
  Routes routes{server.tier(), {.api_keys = {}}};
  FastLane fast{server.tier()};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Lanes lanes;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const TimePoint now = Clock::now();
  Caller caller(lanes.routes.api_keys());
  std::string answered;
  const FastAnswers answers = lanes.fast.answer(input, now, caller, answered);
  if (answers.body) answered.append(answers.body->value());

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
  if (answers.missed) {
    beast_http::request_parser<beast_http::string_body> parser;
    parse(input.substr(taken), parser);
    check(!lanes.routes.plan(parser.get(), caller, now).response);
  }
  return 0;
}
