// Request smuggling at the HTTP door: bytes that two readers could cut into requests in two ways. Whatever stands in
// front of us may have read them the other way, so either there is no doubt where the request ends, or it is refused
// and the connection ends with it. With the fast lane and without.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "harness/check/raw_client.h"
#include "harness/topology/instance.h"

namespace nearlane::harness {
namespace {

using namespace std::string_literals;

const std::string kHit = "GET /cache/a HTTP/1.1\r\nHost: x\r\n\r\n";
/// What must never be executed: it stands where only one of two readers sees a request.
const std::string kStolen = "DELETE /cache/a HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kPut = "PUT /cache/b HTTP/1.1\r\nHost: x\r\n";

struct Case {
  const char* what;
  std::string bytes;
};

class RequestSmuggling : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto started = Instance::start({.flags = {"--threads", "1", "--http-fast-lane", GetParam()}});
    ASSERT_TRUE(started) << started.error().detail;
    nearlane.emplace(std::move(*started));
    ASSERT_EQ(statuses(answer(with_body("PUT /cache/a HTTP/1.1\r\nHost: x\r\n", "value"))), "201");
  }

  static std::string joined(std::initializer_list<std::string_view> parts) {
    std::string all;
    for (const std::string_view part : parts) all.append(part);
    return all;
  }
  static std::string with_body(const std::string& head, const std::string& body) {
    return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  /// All that comes back until the server hangs up, which it must by itself where we do not.
  std::string answer(const std::string& bytes, bool hang_up = true,
                     std::size_t at_once = 1U << 20U) {
    auto client = RawClient::connect(nearlane->http()).value();
    for (std::size_t at = 0; at < bytes.size(); at += at_once) {
      (void)client.send(
          std::string_view(bytes).substr(at, at_once));  // may fail: the server may close before
    }
    if (hang_up) client.finish_sending();
    const auto all = client.read_to_end();
    return all ? *all : "no end: " + all.error().detail;
  }
  /// "200 404": of each answer.
  static std::string statuses(const std::string& answers) {
    static constexpr std::string_view kBegin = "HTTP/1.1 ";
    std::string all;
    for (std::size_t at = answers.find(kBegin); at != std::string::npos;
         at = answers.find(kBegin, at + 1)) {
      all += (all.empty() ? "" : " ") + answers.substr(at + kBegin.size(), 3);
    }
    return all;
  }

  std::optional<Instance> nearlane;
};

INSTANTIATE_TEST_SUITE_P(FastLane, RequestSmuggling, testing::Values("true", "false"),
                         [](const auto& param) { return param.param == "true"s ? "On" : "Off"; });

TEST_P(RequestSmuggling, EndsInARefusalAndTheEndOfTheConnection) {
  const std::string line = "GET /cache/a HTTP/1.1\r\n";
  const std::string host = "Host: x\r\n";
  const std::string chunked = kPut + "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<Case> table = {
      {"length and chunks",
       kPut + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"chunks and length",
       kPut + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {"GET with length and chunks",
       line + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"two lengths", kPut + "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello"},
      {"two lengths in one", kPut + "Content-Length: 5, 0\r\n\r\nhello"},
      {"two lengths of a GET", line + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n"},
      {"a signed length", kPut + "Content-Length: +5\r\n\r\nhello"},
      {"a negative length", kPut + "Content-Length: -1\r\n\r\nhello"},
      {"a hexadecimal length", kPut + "Content-Length: 0x5\r\n\r\nhello"},
      {"half a length", kPut + "Content-Length: 5 0\r\n\r\nhello"},
      {"an empty length", kPut + "Content-Length: \r\n\r\nhello"},
      {"a length beyond 64 bits", kPut + "Content-Length: 18446744073709551621\r\n\r\nhello"},
      {"a length that is no number", line + host + "Content-Length: x\r\n\r\n"},
      {"a space before the colon of a length", kPut + "Content-Length : 5\r\n\r\nhello"},
      {"a tab before a colon", line + "Host\t: x\r\n\r\n"},
      {"a coding that is not chunked",
       kPut + "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"chunked, but not last",
       kPut + "Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"chunked behind another",
       kPut + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"chunked behind a control character", kPut + "Transfer-Encoding: \x0b"
                                                    "chunked\r\n\r\n0\r\n\r\n"},
      {"chunked in quotes", kPut + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
      {"chunked twice",
       kPut + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"chunked and another",
       kPut + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"},
      {"another and chunked",
       kPut + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"an empty coding", kPut + "Transfer-Encoding:\r\n\r\n"},
      {"a coding in HTTP/1.0",
       "PUT /cache/b HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"a space before the colon of a coding",
       kPut + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
      {"a chunk that is no number", chunked + "x\r\nhello\r\n0\r\n\r\n"},
      {"a negative chunk", chunked + "-5\r\nhello\r\n0\r\n\r\n"},
      {"a chunk in C's words", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
      {"a chunk beyond 64 bits", chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"a chunk that is longer than it says", chunked + "5\r\nhelloworld\r\n0\r\n\r\n"},
      {"a chunk without its end", chunked + "5\r\nhello0\r\n\r\n"},
      {"a chunk's head ended by LF", chunked + "5\nhello\r\n0\r\n\r\n"},
      {"a chunk ended by LF", chunked + "5\r\nhello\n0\r\n\r\n"},
      {"chunks ended by LF", chunked + "0\n\n"},
      {"lines ended by LF", "GET /cache/a HTTP/1.1\nHost: x\n\n"},
      {"a field ended by LF", line + "Host: x\n\r\n"},
      {"a head ended by LF", line + host + "\n"},
      {"a field that hides another behind LF", line + "Host: x\nContent-Length: 50\r\n\r\n"},
      {"a field that hides another behind CR", line + "Host: x\rContent-Length: 50\r\n\r\n"},
      {"a request line ended by CR", "GET /cache/a HTTP/1.1\rHost: x\r\n\r\n"},
      {"NUL in a field", line + "Host: x\0\r\n\r\n"s},
      {"NUL in a name", line + "Ho\0st: x\r\n\r\n"s},
      {"NUL in a target", "GET /cache/a\0 HTTP/1.1\r\nHost: x\r\n\r\n"s},
      {"NUL in a length", kPut + "Content-Length: 5\0\r\n\r\nhello"s},
      {"a first field that is folded", line + " Host: x\r\n\r\n"},
      {"a field without a colon", line + host + "Content-Length 5\r\n\r\n"},
      {"a field without a name", line + host + ": 5\r\n\r\n"},
      {"a version that is none", "GET /cache/a HTTP/1.1x\r\nHost: x\r\n\r\n"},
      {"a version to come", "GET /cache/a HTTP/2.0\r\nHost: x\r\n\r\n"},
      {"no version", "GET /cache/a\r\nHost: x\r\n\r\n"},
      {"a target with a space", "GET /cache/a b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"a tab for a space", "GET\t/cache/a HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"two spaces", "GET  /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"a space before the method", " GET /cache/a HTTP/1.1\r\nHost: x\r\n\r\n"},
  };
  for (const auto& [what, bytes] : table) {
    EXPECT_EQ(statuses(answer(joined({kHit, bytes, kStolen}), false)), "200 400") << what;
    EXPECT_EQ(statuses(answer(kHit)), "200") << what << " was executed in part";
  }
}

TEST_P(RequestSmuggling, FindsNoRequestInABody) {
  const std::string line = "GET /cache/a HTTP/1.1\r\nHost: x\r\n";
  const std::vector<Case> table = {
      {"of a GET", with_body(line, kStolen)},
      {"of a HEAD", with_body("HEAD /cache/a HTTP/1.1\r\nHost: x\r\n", kStolen)},
      {"of the same length said twice", line + "Content-Length: 37\r\n" + with_body("", kStolen)},
      {"in one chunk",
       line + "Transfer-Encoding: chunked\r\n\r\n25\r\n" + kStolen + "\r\n0\r\n\r\n"},
      {"in a trailer",
       line + "Transfer-Encoding: Chunked\r\n\r\n0\r\nX: " + "DELETE /cache/a HTTP/1.1\r\n\r\n"},
      {"of a folded length", line + "Content-Length:\r\n 37\r\n\r\n" + kStolen},
      {"where a GET asks for more",
       line + "Upgrade: h2c\r\nConnection: upgrade\r\n" + with_body("", kStolen)},
      {"where a condition holds", line + "If-None-Match: *\r\n" + with_body("", kStolen)},
  };
  ASSERT_EQ(kStolen.size(), 0x25U);
  for (const auto& [what, bytes] : table) {
    for (const std::string& before : {""s, kHit, kHit + kHit}) {
      std::string expected = "200";
      for (std::size_t i = 0; i < before.size(); i += kHit.size()) expected += " 200";
      const bool unchanged = bytes.find("If-None-Match") != std::string::npos;
      const std::string mine =
          unchanged ? expected.substr(0, expected.size() - 3) + "304" : expected;
      for (const std::size_t at_once : {1U << 20U, 1U}) {
        EXPECT_EQ(statuses(answer(joined({before, bytes, kHit}), true, at_once)),
                  joined({mine, " 200"}))
            << what;
      }
    }
  }
  EXPECT_EQ(statuses(answer(kHit)), "200");
}

TEST_P(RequestSmuggling, RefusesWhatNamesNoHostOrTwo) {
  for (const std::string host : {"", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: y\r\n"}) {
    EXPECT_EQ(statuses(answer(joined({"GET /cache/a HTTP/1.1\r\n", host, "\r\n"}))), "400") << host;
  }
}

}  // namespace
}  // namespace nearlane::harness
