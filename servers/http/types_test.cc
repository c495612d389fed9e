// Content-Type over HTTP: it is answered as it was put, by both lanes, and nothing else is ever reflected.
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "servers/http/problem.h"
#include "servers/http/test_server.h"

namespace nearlane::http {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class HttpTypes : public testing::TestWithParam<bool> {
 protected:
  std::string put(std::string_view key, std::string_view value, const std::string& type,
                  std::string_view fields = "") {
    return server.converse(
        put_request(key, value, "Content-Type: " + type + "\r\n" + std::string(fields)));
  }
  std::string ask(const std::string& method, std::string_view target,
                  std::string_view fields = "") {
    std::string request = method + " " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n";
    return server.converse(request.append(fields).append("\r\n"));
  }
  static std::string type_in(const std::string& answer) {
    constexpr std::string_view kName = "\r\nContent-Type: ";
    const std::size_t at = answer.find(kName);
    if (at == std::string::npos) return "none in " + answer;
    return answer.substr(at + kName.size(), answer.find('\r', at + 1) - at - kName.size());
  }
  std::string type_of(std::string_view key, std::string_view fields = "") {
    return type_in(ask("GET", "/cache/" + std::string(key), fields));
  }
  void forget(std::string_view key) {
    server.tier().written_elsewhere(0, {std::string(key)}, false, kForever, [](auto) {});
  }

  TestServer server{{.fast_lane = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(Lanes, HttpTypes, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Fast" : "Beast"; });

TEST_P(HttpTypes, AreAnsweredAsTheyWerePut) {
  const std::string put_answer = put("k", "v", "text/html; charset=\"utf-8\"");
  ASSERT_THAT(put_answer, HasSubstr(" 201 "));
  const std::string digits = put_answer.substr(put_answer.find("ETag: ") + 7, 16);
  EXPECT_THAT(ask("GET", "/cache/nearlane:type:%7Bk%7D"),
              HasSubstr("\r\n\r\n" + digits + " text/html"));
  for (const bool anew : {false, true}) {
    if (anew) forget("k");
    const std::string answer = ask("GET", "/cache/k");
    EXPECT_EQ(type_in(answer), "text/html; charset=\"utf-8\"");
    EXPECT_THAT(answer, HasSubstr(anew ? "X-Cache: L2" : "X-Cache: L1"));
    EXPECT_EQ(type_in(ask("HEAD", "/cache/k")), "text/html; charset=\"utf-8\"");
    EXPECT_EQ(type_of("k", "Range: bytes=0-0\r\n"), "text/html; charset=\"utf-8\"");
    EXPECT_THAT(ask("GET", "/cache/k", "If-None-Match: *\r\n"), Not(HasSubstr("Content-Type")));
  }
  ASSERT_THAT(server.converse(put_request("k", "v")), HasSubstr(" 204 "));
  EXPECT_EQ(type_of("k"), "application/octet-stream") << "who says nothing takes it back";
  ASSERT_THAT(put("b:k", "{}", "text/plain"), HasSubstr(" 201 "));
  EXPECT_EQ(type_of("b:k"), "text/plain");
  ASSERT_THAT(put("b:k", "{}", "application/json"), HasSubstr(" 204 "));
  EXPECT_EQ(type_of("b:k"), "application/json");
  ASSERT_THAT(put("raw:k", "v", "text/css"), HasSubstr(" 201 "));
  EXPECT_EQ(type_of("raw:k"), "text/css");
}

TEST_P(HttpTypes, AreThoseOfCompressedFormsToo) {
  const std::string value(3000, 'v');
  ASSERT_THAT(put("k", value, "text/css"), HasSubstr(" 201 "));
  const std::string answer = ask("GET", "/cache/k", "Accept-Encoding: br\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Encoding: br"));
  EXPECT_EQ(type_in(answer), "text/css");
}

TEST_P(HttpTypes, AreRefusedWhereTheyAreNone) {
  ASSERT_THAT(put("k", "old", "text/css"), HasSubstr(" 201 "));
  for (const std::string& type :
       {std::string(), std::string("text"), std::string("text/html, text/plain"),
        std::string("text/html; charset"), std::string("text/h\xC3\xA9"),
        "text/" + std::string(251, 'x')}) {
    const std::string answer = put("k", "new", type);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << type;
    EXPECT_EQ(type_in(answer), "application/problem+json");
    EXPECT_THAT(answer, HasSubstr("Content-Type is to be a media type"));
    EXPECT_THAT(answer, HasSubstr("255 bytes"));
    if (type.size() > 4) {
      EXPECT_THAT(answer, Not(HasSubstr(type)));
    }
  }
  const std::string twice = put("k", "new", "text/html", "Content-Type: text/html\r\n");
  EXPECT_THAT(twice, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(twice, HasSubstr("one Content-Type"));
  EXPECT_THAT(ask("GET", "/cache/k"), HasSubstr("\r\n\r\nold")) << "nothing was written";
  EXPECT_EQ(type_of("k"), "text/css");
  const std::string longest = "text/" + std::string(250, 'x');
  ASSERT_THAT(put("k", "new", longest), HasSubstr(" 204 "));
  EXPECT_EQ(type_of("k"), longest);
}

TEST_P(HttpTypes, GoWithWritesThatDependOnTheValue) {
  ASSERT_THAT(put("k", "v", "text/css", "If-None-Match: *\r\n"), HasSubstr(" 201 "));
  EXPECT_EQ(type_of("k"), "text/css");
  EXPECT_THAT(put("k", "v", "text/html", "If-None-Match: *\r\n"), HasSubstr(" 412 "));
  EXPECT_EQ(type_of("k"), "text/css");
  EXPECT_THAT(put("k", "v", "text/html", "If-Match: *\r\n"), HasSubstr(" 204 "));
  EXPECT_EQ(type_of("k"), "text/html");
  EXPECT_THAT(server.converse(put_request("k", "v", "If-Match: *\r\n")), HasSubstr(" 204 "));
  EXPECT_EQ(type_of("k"), "application/octet-stream");
  EXPECT_THAT(put("none", "v", "text/html", "If-Match: *\r\n"), HasSubstr(" 412 "));
  EXPECT_THAT(ask("GET", "/cache/none"), HasSubstr(" 404 "));
}

TEST_P(HttpTypes, GoWithTheirValue) {
  ASSERT_THAT(put("k", "v", "text/css"), HasSubstr(" 201 "));
  EXPECT_THAT(ask("POST", "/cache/k/touch?ttl=60"), HasSubstr(" 204 "));
  forget("k");
  EXPECT_EQ(type_of("k"), "text/css");
  ASSERT_THAT(ask("DELETE", "/cache/k"), HasSubstr(" 204 "));
  EXPECT_THAT(ask("GET", "/cache/nearlane:type:%7Bk%7D"), HasSubstr(" 404 "));
  EXPECT_THAT(ask("DELETE", "/cache/k"), HasSubstr(" 404 "));
  ASSERT_THAT(put("k", "v", "text/css"), HasSubstr(" 201 "));
  const std::string set = R"({"operations": [{"set": "k", "value": "v"}]})";
  const std::string batch =
      "POST /cache:batch HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(set.size()) +
      "\r\n\r\n" + set;
  ASSERT_THAT(server.converse(batch), HasSubstr(" 200 "));
  EXPECT_EQ(type_of("k"), "application/octet-stream") << "a batch says nothing of types";
}

TEST_P(HttpTypes, MayHaveASemicolonTooMany) {
  ASSERT_THAT(put("k", "{}", "application/json;"), HasSubstr(" 201 "));
  EXPECT_EQ(type_of("k"), "application/json;");
  forget("k");
  EXPECT_EQ(type_of("k"), "application/json;");
}

TEST(HttpTypesProblem, OfAValueWithoutItsTypeIsNotThatNothingWasWritten) {
  const auto outcome = [](std::string detail) {
    return problem_body({Errc::l2_error, std::move(detail)}, true, std::chrono::milliseconds(500))
        .at("outcome");
  };
  EXPECT_EQ(outcome("written, its type was not: OOM command not allowed"), "unknown");
  EXPECT_EQ(outcome("OOM command not allowed"), "not written");
}

}  // namespace
}  // namespace nearlane::http
