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

}  // namespace
}  // namespace nearlane::http
