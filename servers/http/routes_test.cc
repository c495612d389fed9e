// What requests mean that are HTTP and still not what they seem, and what is refused before anything is written.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servers/http/test_server.h"

namespace nearlane::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string get(std::string_view key) {
  return "GET /cache/" + std::string(key) + " HTTP/1.1\r\nHost: t\r\n\r\n";
}

/// What comes back for the request in one piece, and for it cut behind its header and behind its chunks.
class HttpTrailer : public testing::Test {
 protected:
  static std::vector<std::string> answers(const RoutesConfig& config, const std::string& head,
                                          const std::string& trailer) {
    const std::string chunks = "1\r\nx\r\n0\r\n";
    const std::string rest = chunks + trailer;
    std::vector<std::string> answers;
    for (const std::vector<std::string>& pieces :
         {std::vector<std::string>{head + rest}, {head, rest}, {head + chunks, trailer}}) {
      TestServer server(config);
      const std::vector<std::string_view> views(pieces.begin(), pieces.end());
      answers.push_back(server.converse(views));
      answers.back() += server.converse(get("t"));
    }
    return answers;
  }
  static std::string head(std::string_view fields) {
    return "PUT /cache/t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + std::string(fields) + "\r\n";
  }
};

TEST_F(HttpTrailer, SaysNothingOfTheValue) {
  for (const std::string& answer :
       answers({}, head("Host: t\r\n"),
               "If-Match: *\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n"
               "Connection: close\r\nHost: another\r\n\r\n")) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/octet-stream\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nx"));
    EXPECT_THAT(answer, Not(HasSubstr("Connection: close")));
  }
}

TEST_F(HttpTrailer, TakesNothingBackOfWhatTheHeaderSays) {
  for (const std::string& answer : answers({}, head("Host: t\r\nContent-Type: text/css\r\n"),
                                           "Content-Type: text/html\r\n\r\n")) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: text/css\r\n"));
  }
}

TEST_F(HttpTrailer, LetsNobodyIn) {
  for (const char* trailer :
       {"X-API-Key: s3cret\r\n\r\n", "Authorization: Bearer s3cret\r\n\r\n"}) {
    for (const std::string& answer :
         answers({.api_keys = {"s3cret"}}, head("Host: t\r\n"), trailer))
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 "));
  }
}

TEST_F(HttpTrailer, NamesNoHost) {
  for (const std::string& answer : answers({}, head(""), "Host: t\r\n\r\n"))
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
}

TEST(HttpPut, OfAPartDoesNotReplaceTheWhole) {
  TestServer server({});
  const std::string whole(100, 'v');
  ASSERT_THAT(server.converse(put_request("k", whole)), StartsWith("HTTP/1.1 201 "));
  const std::string answer =
      server.converse(put_request("k", "abcde", "Content-Range: bytes 0-4/100\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer, HasSubstr("Content-Range is not taken"));
  EXPECT_THAT(server.converse(get("k")), EndsWith("\r\n\r\n" + whole));
}

TEST(HttpTouch, IsTimedFromItsRequestOnWhereL1AnswersIt) {
  TestServer server({});
  ASSERT_THAT(server.converse(put_request("slid:k?ttl=60", "v")), StartsWith("HTTP/1.1 201 "));
  Request request(beast_http::verb::post, "/cache/slid:k/touch?ttl=60", 11);
  request.set(Field::host, "t");
  const Routes routes(server.tier(), {});
  Caller caller(routes.api_keys());
  const Plan plan = routes.plan(request, caller, Clock::now());
  ASSERT_TRUE(plan.response) << "what is waited for is timed from when it has ended";
  EXPECT_EQ(plan.response->head.result(), Status::no_content);
  EXPECT_EQ(plan.answered_by, loop::AnsweredBy::l1);
  const auto timed = [&server] { return server.stats().l1_latency.snapshot().count(); };
  const auto before = timed();
  EXPECT_THAT(server.converse("POST /cache/slid:k/touch?ttl=60 HTTP/1.1\r\nHost: t\r\n\r\n"),
              StartsWith("HTTP/1.1 204 "));
  EXPECT_EQ(timed(), before + 1);
  request.target("/cache/slid:k/touch?ttl=600");
  EXPECT_FALSE(routes.plan(request, caller, Clock::now()).response) << "that is L2's to do";
}

TEST(HttpExpect, OfHttp10IsNotAnsweredByItself) {
  TestServer server({});
  const auto put = [&server](std::string_view version) {
    const std::string head = "PUT /cache/k HTTP/" + std::string(version) +
                             "\r\nHost: t\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n"
                             "Content-Length: 5\r\n\r\n";
    return server.converse(std::initializer_list<std::string_view>{head, "hello"});
  };
  const std::string old = put("1.0");
  EXPECT_THAT(old, StartsWith("HTTP/1.0 201 "));
  EXPECT_THAT(old, Not(HasSubstr("100 Continue")));
  const std::string present = put("1.1");
  EXPECT_THAT(present, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 "));
}

/// A POST, with the fields of a browser's that shows a page of `origin`; without any, where that is empty.
std::string post(std::string_view target, std::string_view origin, std::string_view body = "") {
  std::string request = "POST " + std::string(target) + " HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n";
  if (!origin.empty()) request.append("Origin: ").append(origin).append("\r\n");
  request += "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ";
  return request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

TEST(HttpOrigin, OfAnotherPageWritesNothing) {
  TestServer server({});
  ASSERT_THAT(server.converse(put_request("k", "v")), StartsWith("HTTP/1.1 201 "));
  const std::string remove = R"({"operations": [{"delete": "k"}]})";
  for (const char* origin :
       {"https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:80801",
        "http://127.0.0.1:8080.evil.example", "file://127.0.0.1:8080", "127.0.0.1:8080"}) {
    EXPECT_THAT(server.converse(post("/cache:batch", origin, remove)), StartsWith("HTTP/1.1 403 "))
        << origin;
    EXPECT_THAT(server.converse(post("/cache/k/touch?px=1", origin)), StartsWith("HTTP/1.1 403 "))
        << origin;
  }
  EXPECT_THAT(server.converse(get("k")), EndsWith("\r\n\r\nv"));
}

TEST(HttpOrigin, OfOurOwnPageOrOfNoneMayWrite) {
  TestServer server({});
  for (const char* origin :
       {"", "http://127.0.0.1:8080", "https://127.0.0.1:8080", "http://127.0.0.1:8080 "}) {
    ASSERT_THAT(server.converse(put_request("k", "v")), HasSubstr("HTTP/1.1 20"));
    EXPECT_THAT(server.converse(post("/cache/k/touch?ttl=60", origin)), StartsWith("HTTP/1.1 204 "))
        << origin;
    EXPECT_THAT(
        server.converse(post("/cache:batch", origin, R"({"operations": [{"delete": "k"}]})")),
        HasSubstr("\"status\":204"))
        << origin;
  }
}

TEST(HttpOrigin, IsNoMatterWhereAKeyIsShownOrAllMayAsk) {
  const std::string request = post("/cache:batch", "https://app.example", R"({"operations": []})");
  std::string with_key = request;
  with_key.insert(with_key.find("Host"), "X-API-Key: s3cret\r\n");
  EXPECT_THAT(TestServer({.api_keys = {"s3cret"}}).converse(with_key), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(TestServer({.api_keys = {"s3cret"}}).converse(request), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(TestServer({.cors = true}).converse(request), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace nearlane::http
